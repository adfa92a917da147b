//! Soak tests: the server process under mixed calls and random faults. Every call gets a response, and memory does not grow.
//! The sandbox runs in another process, so that only the server's memory is measured.
//!
//! `SOAK_SECONDS` overrides the default of ten minutes.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use posthog_sandbox::Sandbox;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Barrier;
use tokio::time::{interval, timeout};

use crate::ADA;
use crate::http_client::client;
use crate::result_invariants::read_calls;
use crate::stdio::{connected, sandbox_process};
use crate::upstream::head;
use crate::wire::{WITH_HANDSHAKE, opening_messages, parse_message, request};

/// Calls in flight.
const IN_FLIGHT: u64 = 64;
/// Calls per injected fault. A fault affects one to three requests, so about one request in eight fails.
const CALLS_PER_FAULT: u64 = 16;
/// Growth of resident memory allowed after the warm-up: the first minute, or the first quarter of a shorter run.
const TOLERANCE_MEGABYTES: u64 = 16;
/// Longer than the server waits for PostHog, including retries.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(150);

/// A memory counter of `/proc/PID/status`: `VmRSS` (resident) or `VmHWM` (peak resident).
pub(crate) fn megabytes(process: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|text| text.starts_with(line)).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes.div_ceil(1024)
}

/// A deterministic pseudo-random generator (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// A client of the sandbox's admin endpoints.
struct SandboxAdmin {
    client: Client,
    url: String,
}

impl SandboxAdmin {
    async fn send(&self, method: Method, endpoint: &str, body: Value) -> Value {
        let url = format!("{}/sandbox/{endpoint}", self.url);
        let request = self.client.request(method, url).json(&body);
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{endpoint}: {response:?}");
        response.json().await.unwrap_or_default()
    }
}

/// A fault for the next few requests. Never a 429: after one, the server limits its own rate, and most calls would not reach
/// an injected fault.
fn random_fault(random: &mut Random) -> Value {
    let deep = "[".repeat(200) + &"]".repeat(200);
    let kinds = [
        json!({"server_error": {"status": 500}}),
        json!({"server_error": {"status": 502}}),
        json!({"server_error": {"status": 503}}),
        json!("drop_before_effect"),
        json!("drop_after_effect"),
        json!({"cut_response": {"after_bytes": 200}}),
        json!({"delay": 0.3}),
        json!({"response": {"status": 200, "content_type": "text/html", "body": "<html></html>"}}),
        json!({"alter_response": {"replace_field": {"field": "results", "json": "7"}}}),
        json!({"alter_response": {"replace_field": {"field": "properties", "json": format!("{{\"email\": {deep}}}")}}}),
        json!({"alter_response": {"pad": {"bytes": 2_000_000}}}),
        json!({"alter_response": {"gzip_bomb": {"mebibytes": 40}}}),
        json!({"alter_response": {"drip": {"bytes": 400, "every": 0.01}}}),
    ];
    let kind = match random.below(2000) {
        // Rare, because each stall occupies a concurrency slot for a minute.
        0 => json!("stall"),
        _ => random.pick(&kinds).clone(),
    };
    json!({"times": 1 + random.below(3), "kind": kind})
}

/// A read, or a write of a property.
fn random_call(random: &mut Random) -> (&'static str, Value) {
    let plan = ["free", "pro", "team"];
    match random.below(10) {
        0 => (
            "persons-property-set",
            json!({"id": ADA, "key": "plan", "value": random.pick(&plan)}),
        ),
        1 => (
            "persons-update",
            json!({"id": ADA, "properties": {"plan": random.pick(&plan)}}),
        ),
        2 => (
            "persons-list",
            json!({"limit": 1 + random.below(200), "select": ["*"]}),
        ),
        _ => {
            let mut calls = read_calls();
            // It is offered with a directory only.
            calls.retain(|(tool, _)| *tool != "persons-export");
            random.pick(&calls).clone()
        }
    }
}

/// Classifies a tool result for the summary. Panics on an unknown error.
fn outcome(response: &Value) -> &'static str {
    let result = &response["result"];
    assert!(result.is_object(), "{response}");
    let text = result["content"][0]["text"].as_str().unwrap();
    if result["isError"] == false {
        return "ok";
    }
    let errors = [
        ("The outcome is unknown", "write with unknown outcome"),
        ("PostHog failed (status ", "server error"),
        // Where the faults hit a request and the ones that examine its failure.
        (
            "This PostHog fails on every request to ",
            "failing endpoint",
        ),
        ("The connection to ", "connection lost"),
        ("PostHog's response is invalid", "response invalid"),
        ("PostHog's response exceeds", "response too large"),
        ("PostHog did not respond in time", "no response in time"),
    ];
    let known = errors.iter().find(|(prefix, _)| text.starts_with(prefix));
    known.unwrap_or_else(|| panic!("unknown error: {text}")).1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes; run it as a release build"]
async fn soak_under_faults_answers_every_call_without_memory_growth() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(600, |text| text.parse().unwrap());
    let duration = Duration::from_secs(seconds);
    let warm_up = (duration / 4).min(Duration::from_secs(60));
    let sandbox = sandbox_process(&["--sandbox-persons", "2000"]).await;
    let admin = SandboxAdmin {
        client: client(),
        url: sandbox.url.clone(),
    };
    let mut command = connected(&["--log", "warn"], &sandbox.url, Sandbox::LEGACY_KEY);
    let mut server = command.spawn().unwrap();
    let process = server.id().unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut log = server.stderr.take().unwrap();
    let logging = tokio::spawn(async move {
        let mut text = String::new();
        log.read_to_string(&mut text).await.unwrap();
        text
    });

    let version = WITH_HANDSHAKE[3];
    for message in opening_messages(version) {
        input
            .write_all(format!("{message}\n").as_bytes())
            .await
            .unwrap();
    }
    output.next_line().await.unwrap().unwrap();

    let mut random = Random(0x2026_1124);
    let mut in_flight: BTreeMap<u64, &str> = BTreeMap::new();
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut sent, mut received, mut faults) = (0, 0, 0_u64);
    let (mut warm_up_peak, mut later_peak) = (0, 0);
    let started = Instant::now();
    let mut sample = interval(Duration::from_millis(500));
    while started.elapsed() < duration || !in_flight.is_empty() {
        while started.elapsed() < duration && (in_flight.len() as u64) < IN_FLIGHT {
            sent += 1;
            if sent % CALLS_PER_FAULT == 0 {
                admin
                    .send(Method::POST, "faults", random_fault(&mut random))
                    .await;
                faults += 1;
            }
            let (tool, arguments) = random_call(&mut random);
            let params = json!({"name": tool, "arguments": arguments});
            let line = format!("{}\n", request(version, sent, "tools/call", params));
            input.write_all(line.as_bytes()).await.unwrap();
            in_flight.insert(sent, tool);
        }
        tokio::select! {
            line = timeout(RESPONSE_TIMEOUT, output.next_line()) => {
                let line = line.unwrap_or_else(|_| panic!("no response: {in_flight:?}"));
                let response = parse_message(&line.unwrap().expect("the server is running"));
                let id = response["id"].as_u64().unwrap();
                assert!(in_flight.remove(&id).is_some(), "unexpected or repeated response to {id}");
                *outcomes.entry(outcome(&response)).or_default() += 1;
                received += 1;
            }
            _ = sample.tick() => {
                let now = megabytes(process, "VmRSS");
                if started.elapsed() < warm_up {
                    warm_up_peak = warm_up_peak.max(now);
                } else {
                    later_peak = later_peak.max(now);
                }
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let end = megabytes(process, "VmRSS");
    drop(input);
    let status = timeout(RESPONSE_TIMEOUT, server.wait())
        .await
        .unwrap()
        .unwrap();
    let log = logging.await.unwrap();

    let mut summary = format!(
        "{received} calls in {seconds:.0} s ({:.0}/s), {faults} faults, {IN_FLIGHT} in flight\n\
         resident memory: peak {warm_up_peak} MB in the first {} s, peak {later_peak} MB afterwards, {end} MB at the end\n",
        f64::from(u32::try_from(received).unwrap()) / seconds,
        warm_up.as_secs(),
    );
    for (outcome, count) in &outcomes {
        writeln!(summary, "{count:>9} {outcome}").unwrap();
    }
    eprintln!("{summary}");
    assert_eq!(received, sent, "every call gets a response");
    assert!(outcomes["ok"] > 0 && outcomes.len() > 1, "{summary}");
    assert!(
        later_peak <= warm_up_peak + TOLERANCE_MEGABYTES,
        "memory grows: {summary}"
    );
    assert!(status.success(), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    let violations = admin.send(Method::GET, "violations", Value::Null).await;
    assert_eq!(violations, json!({"violations": []}));
}

/// The server's concurrency limit for requests of one key to PostHog.
const CONCURRENCY: usize = 8;

/// An upstream whose every response is a person with a property of 1 MB. It holds back the end of each response until all
/// concurrent responses are nearly complete, so that the server buffers all of them.
async fn start_large_upstream() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let big = "x".repeat(1_000_000);
    let person =
        json!({"uuid": ADA, "name": "Ada", "distinct_ids": ["ada"], "properties": {"big": big}});
    let body = person.to_string();
    let length = body.len();
    let response: Arc<str> = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into();
    let barrier = Arc::new(Barrier::new(CONCURRENCY));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (response, barrier) = (Arc::clone(&response), Arc::clone(&barrier));
            tokio::spawn(async move {
                let (start, end) = response.split_at(950_000);
                while head(&mut stream).await {
                    stream.write_all(start.as_bytes()).await.unwrap();
                    barrier.wait().await;
                    stream.write_all(end.as_bytes()).await.unwrap();
                }
            });
        }
    });
    url
}

/// Peak memory of the server in MB with [`IN_FLIGHT`] concurrent calls that each receive 1 MB from PostHog, and return it if
/// `selected`.
async fn peak_memory_of_large_responses(arguments: &[&str], selected: bool) -> u64 {
    let url = start_large_upstream().await;
    let mut command: Command = connected(&[], &url, Sandbox::KEY);
    let mut server = command
        .args(arguments)
        .args(["--log", "error"])
        .spawn()
        .unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap()).lines();
    let version = WITH_HANDSHAKE[3];
    let mut lines: Vec<Value> = opening_messages(version);
    for id in 1..=IN_FLIGHT {
        let select = if selected { "big" } else { "email" };
        let arguments = json!({"id": ADA, "select": [select]});
        let params = json!({"name": "persons-retrieve", "arguments": arguments});
        lines.push(request(version, id, "tools/call", params));
    }
    for line in lines {
        let line = format!("{line}\n");
        input.write_all(line.as_bytes()).await.unwrap();
    }
    for _ in 0..=IN_FLIGHT {
        let line = timeout(RESPONSE_TIMEOUT, output.next_line())
            .await
            .expect("in time");
        let response = parse_message(&line.unwrap().expect("a response"));
        if response["id"] != 0 {
            assert_eq!(response["result"]["isError"], false, "{response}");
            let person = &response["result"]["structuredContent"];
            assert_eq!(person["properties"]["big"].is_string(), selected);
        }
    }
    megabytes(server.id().unwrap(), "VmHWM")
}

#[tokio::test]
async fn concurrent_large_responses_stay_below_200_mb() {
    let peak = peak_memory_of_large_responses(&[], false).await;
    assert!(peak < 200, "{peak} MB");
}

#[tokio::test]
#[ignore = "takes long without optimization; run it as a release build"]
async fn concurrent_large_results_stay_below_their_memory_limit() {
    for (arguments, limit) in [(&[][..], 200), (&["--max-result-bytes", "3000000"], 600)] {
        let peak = peak_memory_of_large_responses(arguments, true).await;
        eprintln!("64 responses of 1 MB with {arguments:?}: peak {peak} MB");
        assert!(peak < limit, "{peak} MB with {arguments:?}");
    }
}
