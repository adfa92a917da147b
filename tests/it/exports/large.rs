//! A person with 100,000 events: all of them, each once, in bounded memory.

use std::collections::HashSet;
use std::time::Duration;

use posthog_sandbox::{Clock, Fault, FaultKind, Sandbox, SandboxOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::{Archive, Folder};
use crate::stdio::connected;
use crate::wire::{JsonRpcClient, request};

const EVENTS: usize = 100_000;
/// Resident memory of the server at its peak, in bytes, without the pages of the program: those of a release build are at
/// most 10 MiB more, those of a debug build three times that.
#[cfg(target_os = "linux")]
const MAX_MEMORY: u64 = 54 * 1024 * 1024;
/// This export takes a small part of it, even in a debug build.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(240);

async fn sandbox(events: usize) -> Sandbox {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let options = SandboxOptions {
        events,
        clock: Clock::Real,
        ..SandboxOptions::default()
    };
    Sandbox::start(listener, options).await.unwrap()
}

/// Faults and new events, from the third page on.
async fn disturb(sandbox: &Sandbox) -> usize {
    let pages = || {
        let requests = sandbox.requests().into_iter();
        let texts = requests.map(|request| request.body["query"]["query"].to_string());
        texts
            .filter(|text| text.contains("order by timestamp asc"))
            .count()
    };
    let faults = [
        FaultKind::Throttle { retry_after: 1 },
        FaultKind::DropBeforeEffect,
        FaultKind::CutResponse {
            after_bytes: 100_000,
        },
        FaultKind::ServerError { status: 504 },
    ];
    let mut captured = 0;
    for (number, fault) in faults.into_iter().enumerate() {
        while pages() < 3 + 2 * number {
            sleep(Duration::from_millis(10)).await;
        }
        sandbox.inject(Fault::once("/query/", fault));
        for _ in 0..10 {
            let properties = serde_json::Map::new();
            sandbox.capture("ines@example.com", "arrived meanwhile", properties);
            captured += 1;
        }
    }
    captured
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_events_are_exported_once_each_in_64_megabytes() {
    let sandbox = sandbox(EVENTS).await;
    let folder = Folder::new();
    let directory = folder.0.to_str().unwrap();
    let mut child = connected(&["--export-dir", directory], &sandbox.url(), Sandbox::KEY)
        .env("POSTHOG_MCP_STRUCTURED", "off")
        .spawn()
        .unwrap();
    let (reader, writer) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let (mut wire, _) = JsonRpcClient::begin("2025-11-25", reader, writer).await;
    let arguments = json!({"id": Sandbox::LONG_HISTORY});
    let params =
        json!({"name": "persons-export", "arguments": arguments, "_meta": {"progressToken": 1}});
    wire.send(&request("2025-11-25", 7, "tools/call", params))
        .await;
    let disturbing = {
        let sandbox = sandbox.clone();
        tokio::spawn(async move { disturb(&sandbox).await })
    };
    let mut progress: Vec<f64> = Vec::new();
    let mut messages = Vec::new();
    let response = timeout(EXPORT_TIMEOUT, async {
        loop {
            let message = wire.receive().await.unwrap();
            if message["id"] == 7 {
                return message;
            }
            progress.push(message["params"]["progress"].as_f64().unwrap());
            messages.push(message["params"]["message"].as_str().unwrap().to_owned());
        }
    })
    .await
    .expect("an end in time");
    let content = &response["result"]["content"];
    assert_eq!(response["result"]["isError"], false, "{response}");
    assert_eq!(disturbing.await.unwrap(), 40);
    #[cfg(target_os = "linux")]
    {
        let peak = peak_memory(child.id().unwrap());
        assert!(peak <= MAX_MEMORY, "{} KiB", peak / 1024);
    }

    // What the model reads.
    let size = content.to_string().len();
    assert!(size / 4 < 1500, "{size} bytes: {content}");
    assert!(
        content[0]["text"]
            .as_str()
            .unwrap()
            .contains("100000 events until"),
        "{content}"
    );
    assert!(progress.is_sorted(), "{progress:?}");
    assert!(
        messages.contains(&"100000 of 100000 read".to_owned()),
        "{messages:?}"
    );
    assert!(
        messages
            .iter()
            .any(|message| message.contains("rate limit")),
        "{messages:?}"
    );

    let archive = Archive::open(&folder.file());
    let check = archive.json("manifest.json")["events"].clone();
    let expected =
        json!({"exported": EVENTS, "counted_before": EVENTS, "repeated_rows": 0, "complete": true});
    assert_eq!(check, expected);
    let mut uuids = HashSet::new();
    let mut last = String::new();
    for line in archive.text("events.jsonl").lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_ne!(event["event"], "arrived meanwhile");
        let at = event["timestamp"].as_str().unwrap().to_owned();
        assert!(last <= at, "{last} {at}");
        last = at;
        assert!(
            uuids.insert(event["uuid"].as_str().unwrap().to_owned()),
            "{event}"
        );
    }
    assert_eq!(uuids.len(), EVENTS);
    assert_eq!(sandbox.violations(), Vec::<String>::new());
}

/// The most that was resident, without the pages of the program.
#[cfg(target_os = "linux")]
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.unwrap().trim().trim_end_matches(" kB").parse::<u64>();
        kibibytes.unwrap() * 1024
    };
    bytes("VmHWM:") - bytes("RssFile:")
}
