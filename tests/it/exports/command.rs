//! `posthog-persons-mcp export`.

use std::time::Duration;

use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::time::{sleep, timeout};

use super::{Archive, Folder, rows};
use crate::process::{binary, run, send, wait_for_exit};
use crate::stdio::{connected, sandbox};
use crate::wire::{JsonRpcClient, TIMEOUT, request};

/// The export of Ada, with more arguments.
fn of_ada<'a>(folder: &'a Folder, more: &[&'a str]) -> Vec<&'a str> {
    let directory = folder.0.to_str().unwrap();
    let ada = [
        "export",
        "--distinct-id",
        "ada@example.com",
        "--export-dir",
        directory,
    ];
    [&ada, more].concat()
}

#[tokio::test]
async fn one_person_is_exported_to_the_directory() {
    let folder = Folder::new();
    let arguments = of_ada(&folder, &["--sandbox", "--date-from", "-400d"]);
    let ended = run(binary(&arguments), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr, "", "no progress bar without a terminal");
    assert!(
        ended.stdout.starts_with("Exported person ada0ada0"),
        "{}",
        ended.stdout
    );
    let archive = Archive::open(&folder.file());
    assert!(archive.events().len() > 5);
    let report = archive.text("report.md");
    assert!(report.contains("What the person did from 20"), "{report}");
    assert!(archive.json("manifest.json")["events_from"].is_string());
}

#[tokio::test]
async fn events_from_the_first_one_are_those_up_to_now() {
    let folder = Folder::new();
    let arguments = of_ada(&folder, &["--sandbox"]);
    let ended = run(binary(&arguments), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let archive = Archive::open(&folder.file());
    let report = archive.text("report.md");
    assert!(report.contains("What the person did up to 20"), "{report}");
    assert!(!report.contains("1970"), "{report}");
    assert_eq!(archive.json("manifest.json")["events_from"], Value::Null);
}

#[tokio::test]
async fn list_is_exported_to_the_current_directory() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    let filter = r#"{"key": "plan", "operator": "exact", "value": "pro"}"#;
    let arguments = [
        "export",
        "--sandbox",
        "--filter",
        filter,
        "--select",
        "email,plan",
        "--json",
    ];
    let mut command = binary(&arguments);
    command.current_dir(&folder.0);
    let ended = run(command, "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(result["persons"], 3);
    let rows = rows(&std::fs::read_to_string(folder.file()).unwrap());
    assert!(rows.iter().all(|row| row[2] == "pro"), "{rows:?}");
}

#[tokio::test]
async fn failure_ends_with_1_and_leaves_nothing() {
    let folder = Folder::new();
    let directory = folder.0.to_str().unwrap();
    for (arguments, error) in [
        (
            &["--id", "6ba7b810-9dad-41d1-80b4-00c04fd430c8"][..],
            "PostHog found no person",
        ),
        (&[], "Give one person"),
        (&["--filter", "plan"], "--filter is not a JSON object"),
    ] {
        let all = [
            &["export", "--sandbox", "--export-dir", directory],
            arguments,
        ]
        .concat();
        let ended = run(binary(&all), "").await;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(error), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(folder.names(), Vec::<String>::new());
    let missing = Folder::new();
    std::fs::write(&missing.0, "a file").unwrap();
    let ended = run(
        binary(&["--sandbox", "--export-dir", missing.0.to_str().unwrap()]),
        "",
    )
    .await;
    assert!(
        ended.startup_error().contains("--export-dir: "),
        "{}",
        ended.stderr
    );
    std::fs::remove_file(&missing.0).unwrap();
}

/// Whatever ends an export, no half of a file is left.
#[cfg(unix)]
#[tokio::test]
async fn interrupted_export_leaves_no_file() {
    let sandbox = sandbox().await;
    sandbox.inject(Fault::always("activity", FaultKind::Stall));
    for signal in ["-INT", "-TERM"] {
        let folder = Folder::new();
        let arguments = of_ada(&folder, &[]);
        let child = connected(&arguments, &sandbox.url(), Sandbox::KEY)
            .spawn()
            .unwrap();
        let writing = async {
            while !folder.0.exists() || folder.names().is_empty() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(TIMEOUT, writing).await.unwrap();
        send(&child, signal).await;
        assert_eq!(wait_for_exit(child).await, Some(1));
        assert_eq!(folder.names(), Vec::<String>::new());
    }
}

/// Whoever ends the wait for a rate limit keeps what was read, as the limit itself does.
#[cfg(unix)]
#[tokio::test]
async fn interrupted_wait_keeps_what_was_read() {
    let sandbox = sandbox().await;
    let folder = Folder::new();
    let arguments = of_ada(&folder, &[]);
    let hour = FaultKind::Throttle { retry_after: 3594 };
    sandbox.inject(Fault::always("activity", hour));
    let mut child = connected(&arguments, &sandbox.url(), Sandbox::KEY)
        .spawn()
        .unwrap();
    let limited = async {
        let is_limited = || {
            let requests = sandbox.requests();
            requests
                .iter()
                .any(|request| request.path.contains("activity"))
        };
        while !is_limited() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(TIMEOUT, limited).await.unwrap();
    // The response arrives after the request is counted.
    sleep(Duration::from_secs(3)).await;
    send(&child, "-INT").await;
    let mut stderr = child.stderr.take().unwrap();
    assert_eq!(wait_for_exit(child).await, Some(1));
    let mut text = String::new();
    stderr.read_to_string(&mut text).await.unwrap();
    assert!(
        text.starts_with("Cancelled. The export is not complete, and there is no file yet.")
            && text.contains("the same export goes on from there."),
        "{text}"
    );
    let names = folder.names();
    assert!(
        names.len() == 1 && names[0].ends_with(".partial"),
        "{names:?}"
    );
    sandbox.clear_faults();
    let ended = run(connected(&arguments, &sandbox.url(), Sandbox::KEY), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(Archive::open(&folder.file()).events().len() > 5);
}

/// A client that gives up, and a process that is killed.
#[cfg(unix)]
#[tokio::test]
async fn cancelled_call_leaves_no_file_and_a_killed_process_none_beyond_the_next_start() {
    let sandbox = sandbox().await;
    sandbox.inject(Fault::always("activity", FaultKind::Stall));
    let folder = Folder::new();
    let directory = folder.0.to_str().unwrap();
    let arguments = ["--export-dir", directory];
    let mut child = connected(&arguments, &sandbox.url(), Sandbox::KEY)
        .spawn()
        .unwrap();
    let (reader, writer) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let (mut wire, _) = JsonRpcClient::begin("2025-11-25", reader, writer).await;
    let call = json!({"name": "persons-export", "arguments": {"distinct_id": "ada@example.com"}});
    let is_writing = || folder.names().iter().any(|name| name.ends_with(".tmp"));
    let until = async |writing: bool| {
        let waiting = async {
            while is_writing() != writing {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(TIMEOUT, waiting).await.unwrap();
    };
    wire.send(&request("2025-11-25", 7, "tools/call", call.clone()))
        .await;
    until(true).await;
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
    wire.send(&cancelled).await;
    until(false).await;
    wire.send(&request("2025-11-25", 8, "tools/call", call))
        .await;
    until(true).await;
    child.kill().await.unwrap();
    assert!(is_writing(), "nobody could remove it");
    folder.exports();
    assert_eq!(folder.names(), Vec::<String>::new());
}
