//! The server's own process under mixed calls and random faults for a long time: every call is answered, and memory does
//! not grow. PostHog is simulated in another process, so that what is measured is the server's alone.
//!
//! `SOAK_SECONDS` sets another time than ten minutes.
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

/// Calls that are under way at any time.
const IN_FLIGHT: u64 = 64;
/// Each fault strikes one to three requests: one of eight or so.
const CALLS_PER_FAULT: u64 = 16;
/// What resident memory may gain after the first minute, or the first quarter of a shorter time.
const TOLERANCE_MEGABYTES: u64 = 16;
/// Longer than the server waits for PostHog, its repetitions included.
const LONG: Duration = Duration::from_secs(150);

/// A line of what the system knows of a process: `VmRSS`, or `VmHWM` for the most so far.
pub(crate) fn megabytes(process: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|text| text.starts_with(line)).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes.div_ceil(1024)
}

/// Chance that comes out the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// What the levers of the sandbox in the other process do.
struct Levers {
    client: Client,
    url: String,
}

impl Levers {
    async fn pull(&self, method: Method, lever: &str, body: Value) -> Value {
        let url = format!("{}/sandbox/{lever}", self.url);
        let request = self.client.request(method, url).json(&body);
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{lever}: {response:?}");
        response.json().await.unwrap_or_default()
    }
}

/// What befalls the next few requests. No 429: after one, the server keeps to PostHog's limit by itself, and most calls
/// would never get as far as a fault.
fn fault(chance: &mut Chance) -> Value {
    let deep = "[".repeat(200) + &"]".repeat(200);
    let kinds = [
        json!({"server_error": {"status": 500}}),
        json!({"server_error": {"status": 502}}),
        json!({"server_error": {"status": 503}}),
        json!("drop_before_effect"),
        json!("drop_after_effect"),
        json!({"cut_response": {"after_bytes": 200}}),
        json!({"delay": 0.3}),
        json!({"answer": {"status": 200, "content_type": "text/html", "body": "<html></html>"}}),
        json!({"alter_response": {"replace_field": {"field": "results", "json": "7"}}}),
        json!({"alter_response": {"replace_field": {"field": "properties", "json": format!("{{\"email\": {deep}}}")}}}),
        json!({"alter_response": {"pad": {"bytes": 2_000_000}}}),
        json!({"alter_response": {"gzip_bomb": {"mebibytes": 40}}}),
        json!({"alter_response": {"drip": {"bytes": 400, "every": 0.01}}}),
    ];
    let what = match chance.below(2000) {
        // Waited for a whole minute, in one of the places for calls.
        0 => json!("stall"),
        _ => chance.of(&kinds).clone(),
    };
    json!({"times": 1 + chance.below(3), "kind": what})
}

/// One of the calls that read, or a write of a property.
fn call(chance: &mut Chance) -> (&'static str, Value) {
    let plan = ["free", "pro", "team"];
    match chance.below(10) {
        0 => (
            "persons-property-set",
            json!({"id": ADA, "key": "plan", "value": chance.of(&plan)}),
        ),
        1 => (
            "persons-update",
            json!({"id": ADA, "properties": {"plan": chance.of(&plan)}}),
        ),
        2 => (
            "persons-list",
            json!({"limit": 1 + chance.below(200), "select": ["*"]}),
        ),
        _ => chance.of(&read_calls()).clone(),
    }
}

/// What kind of answer it was, for the summary. An error in unknown words fails.
fn kind(answer: &Value) -> &'static str {
    let result = &answer["result"];
    assert!(result.is_object(), "{answer}");
    let text = result["content"][0]["text"].as_str().unwrap();
    if result["isError"] == false {
        return "answered";
    }
    let kinds = [
        ("The outcome is unknown", "write with unknown outcome"),
        ("PostHog failed (status ", "PostHog failed"),
        ("The connection to ", "connection lost"),
        ("PostHog's response is invalid", "response invalid"),
        ("PostHog's response exceeds", "response too large"),
        ("PostHog did not respond in time", "no response in time"),
    ];
    let known = kinds.iter().find(|(begins, _)| text.starts_with(begins));
    known
        .unwrap_or_else(|| panic!("an error of another kind: {text}"))
        .1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes; run it as a release build"]
async fn ten_minutes_of_faults_lose_no_call_and_no_memory() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(600, |text| text.parse().unwrap());
    let whole = Duration::from_secs(seconds);
    let warm = (whole / 4).min(Duration::from_secs(60));
    let sandbox = sandbox_process(&["--sandbox-persons", "2000"]).await;
    let levers = Levers {
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

    let mut chance = Chance(0x2026_1124);
    let mut open: BTreeMap<u64, &str> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut asked, mut answered, mut faults) = (0, 0, 0_u64);
    let (mut warm_most, mut late_most) = (0, 0);
    let begun = Instant::now();
    let mut look_due = interval(Duration::from_millis(500));
    while begun.elapsed() < whole || !open.is_empty() {
        while begun.elapsed() < whole && (open.len() as u64) < IN_FLIGHT {
            asked += 1;
            if asked % CALLS_PER_FAULT == 0 {
                levers
                    .pull(Method::POST, "faults", fault(&mut chance))
                    .await;
                faults += 1;
            }
            let (tool, arguments) = call(&mut chance);
            let params = json!({"name": tool, "arguments": arguments});
            let line = format!("{}\n", request(version, asked, "tools/call", params));
            input.write_all(line.as_bytes()).await.unwrap();
            open.insert(asked, tool);
        }
        tokio::select! {
            line = timeout(LONG, output.next_line()) => {
                let line = line.unwrap_or_else(|_| panic!("not answered: {open:?}"));
                let answer = parse_message(&line.unwrap().expect("it goes on"));
                let id = answer["id"].as_u64().unwrap();
                assert!(open.remove(&id).is_some(), "{id} was not asked, or is answered twice");
                *kinds.entry(kind(&answer)).or_default() += 1;
                answered += 1;
            }
            _ = look_due.tick() => {
                let now = megabytes(process, "VmRSS");
                if begun.elapsed() < warm {
                    warm_most = warm_most.max(now);
                } else {
                    late_most = late_most.max(now);
                }
            }
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let end = megabytes(process, "VmRSS");
    drop(input);
    let status = timeout(LONG, server.wait()).await.unwrap().unwrap();
    let log = logging.await.unwrap();

    let mut summary = format!(
        "{answered} calls in {took:.0} s ({:.0} a second), {faults} faults, {IN_FLIGHT} calls in flight\n\
         resident memory: {warm_most} MB at most in the first {} s, {late_most} MB at most afterwards, {end} MB at the end\n",
        f64::from(u32::try_from(answered).unwrap()) / took,
        warm.as_secs(),
    );
    for (kind, count) in &kinds {
        writeln!(summary, "{count:>9} {kind}").unwrap();
    }
    eprintln!("{summary}");
    assert_eq!(answered, asked, "every call is answered");
    assert!(kinds["answered"] > 0 && kinds.len() > 1, "{summary}");
    assert!(
        late_most <= warm_most + TOLERANCE_MEGABYTES,
        "memory grows: {summary}"
    );
    assert!(status.success(), "{log}");
    assert!(!log.contains("defect"), "{log}");
    let violations = levers.pull(Method::GET, "violations", Value::Null).await;
    assert_eq!(violations, json!({"violations": []}));
}

/// Requests of one key that PostHog gets at once.
const AT_ONCE: usize = 8;

/// A PostHog whose every answer is a person with a property of a megabyte. It sends most of each, and the rest once it
/// has sent most of as many as it is asked for at once: so all of those are in the server at the same time.
async fn megabytes_from_posthog() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let big = "x".repeat(1_000_000);
    let person =
        json!({"uuid": ADA, "name": "Ada", "distinct_ids": ["ada"], "properties": {"big": big}});
    let body = person.to_string();
    let length = body.len();
    let answer: Arc<str> = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into();
    let all = Arc::new(Barrier::new(AT_ONCE));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answer, all) = (Arc::clone(&answer), Arc::clone(&all));
            tokio::spawn(async move {
                let (most, rest) = answer.split_at(950_000);
                while head(&mut stream).await {
                    stream.write_all(most.as_bytes()).await.unwrap();
                    all.wait().await;
                    stream.write_all(rest.as_bytes()).await.unwrap();
                }
            });
        }
    });
    url
}

/// The most memory that the server had while as many calls waited for their answers as it has places, each with a megabyte
/// from PostHog, and showed it if `shown`.
async fn most_for_a_megabyte_each(arguments: &[&str], shown: bool) -> u64 {
    let url = megabytes_from_posthog().await;
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
        let select = if shown { "big" } else { "email" };
        let arguments = json!({"id": ADA, "select": [select]});
        let params = json!({"name": "persons-retrieve", "arguments": arguments});
        lines.push(request(version, id, "tools/call", params));
    }
    for line in lines {
        let line = format!("{line}\n");
        input.write_all(line.as_bytes()).await.unwrap();
    }
    for _ in 0..=IN_FLIGHT {
        let line = timeout(LONG, output.next_line()).await.expect("in time");
        let answer = parse_message(&line.unwrap().expect("a response"));
        if answer["id"] != 0 {
            assert_eq!(answer["result"]["isError"], false, "{answer}");
            let person = &answer["result"]["structuredContent"];
            assert_eq!(person["properties"]["big"].is_string(), shown);
        }
    }
    megabytes(server.id().unwrap(), "VmHWM")
}

#[tokio::test]
async fn sixty_four_answers_of_a_megabyte_at_once_stay_within_200_megabytes() {
    let most = most_for_a_megabyte_each(&[], false).await;
    assert!(most < 200, "{most} MB");
}

#[tokio::test]
#[ignore = "takes long without optimization; run it as a release build"]
async fn sixty_four_megabytes_that_are_shown_stay_within_their_limit() {
    for (arguments, limit) in [(&[][..], 200), (&["--max-result-bytes", "3000000"], 600)] {
        let most = most_for_a_megabyte_each(arguments, true).await;
        eprintln!("64 answers of 1 MB with {arguments:?}: {most} MB at most");
        assert!(most < limit, "{most} MB with {arguments:?}");
    }
}
