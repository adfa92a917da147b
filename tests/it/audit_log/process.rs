//! The audit log of the binary.

use super::support::*;
use crate::ADA;
use crate::process::{binary, run, send, session_input, wait_for_exit};
use crate::stdio::{connected, sandbox};
use crate::wire::WITH_HANDSHAKE;
use crate::writing::{GRACE, QA};
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::json;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn unopenable_log_stops_the_start() {
    let directory = std::env::temp_dir();
    let nowhere = directory.join("no such directory").join("audit.jsonl");
    for path in [directory, nowhere] {
        let path = path.to_str().unwrap();
        for command in [
            &["--sandbox", "--audit-log", path][..],
            &["call", "persons-list", "--sandbox", "--audit-log", path],
        ] {
            let ended = run(binary(command), "").await;
            assert!(ended.startup_error().contains(path), "{}", ended.stderr);
        }
        let mut command = binary(&["--sandbox"]);
        command.env("POSTHOG_MCP_AUDIT_LOG", path);
        assert!(run(command, "").await.startup_error().contains(path));
    }
}

#[tokio::test]
async fn audit_log_flag_writes_entries() {
    let log = Log::new();
    let arguments = json!({"id": ADA, "properties": {"plan": "secret"}});
    let input = session_input(
        WITH_HANDSHAKE[2],
        &[(UPDATE, arguments), (DELETE, json!({"ids": [QA[0]]}))],
    );
    let command = binary(&[
        "--sandbox",
        "--confirm",
        "off",
        "--audit-log",
        log.0.to_str().unwrap(),
    ]);
    let ended = run(command, &input).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.response(3)["result"]["isError"], false);
    let mut tools: Vec<String> = log
        .writes()
        .iter()
        .map(|line| line["tool"].as_str().unwrap().to_owned())
        .collect();
    tools.sort_unstable();
    assert_eq!(tools, [DELETE, UPDATE]);
    assert_eq!(log.outcomes(), ["queued", "queued"]);
    assert!(!log.text().contains("secret"), "{}", log.text());
}

/// Clients terminate a server that does not exit by itself.
#[cfg(unix)]
#[tokio::test]
async fn pending_write_is_logged_before_a_signal_ends_the_process() {
    for signal in ["-TERM", "-INT"] {
        let sandbox = sandbox().await;
        let slow = FaultKind::Delay(Duration::from_secs(1));
        sandbox.inject(Fault::always("update_property", slow));
        let log = Log::new();
        // Created here, so that it can be read before the process starts.
        log.open();
        let arguments = ["--audit-log", log.0.to_str().unwrap()];
        let mut command = connected(&arguments, &sandbox.url(), Sandbox::KEY);
        let mut child = command.spawn().unwrap();
        let call = json!({"id": ADA, "key": "plan", "value": "pro"});
        let input = session_input(WITH_HANDSHAKE[3], &[("persons-property-set", call)]);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        log.until(|lines| lines.len() == 1).await;
        assert_eq!(log.outcomes(), ["started"]);
        send(&child, signal).await;
        assert_eq!(wait_for_exit(child).await, Some(0), "{signal}");
        assert_eq!(log.outcomes(), ["queued"], "{signal}");
    }
}

#[tokio::test]
async fn confirm_setting_reaches_the_confirmer() {
    for (mode, says) in [
        ("auto", "Nothing was sent yet: a person has to approve"),
        ("strict", "Rejected: "),
        ("token", "Nothing was sent yet."),
        ("off", "Queued, not done yet"),
    ] {
        let input = session_input(WITH_HANDSHAKE[2], &[(DELETE, json!({"ids": [QA[0]]}))]);
        let mut command = binary(&["--sandbox"]);
        command.env("POSTHOG_MCP_CONFIRM", mode);
        let ended = run(command, &input).await;
        let response = ended.response(2);
        let text = response["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with(says), "{mode}: {text}");
        let page = text.contains("\nhttp://127.0.0.1:");
        assert_eq!(page, mode == "auto", "{mode}: {text}");
    }
    // The next process accepts no token of this one.
    let arguments = json!({"ids": [QA[0]]}).to_string();
    let ended = run(binary(&["call", DELETE, &arguments, "--sandbox"]), "").await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.starts_with("Rejected: "), "{}", ended.stdout);
}

/// At every log level.
#[tokio::test]
async fn logs_contain_no_data_of_a_write() {
    let log = Log::new();
    let secret = json!({"email": "secret@example.com", "plan": "secret"});
    let calls = [
        (UPDATE, json!({"id": ADA, "properties": secret})),
        (
            "persons-property-set",
            json!({"distinct_id": "ada@example.com", "key": "plan", "value": "secret"}),
        ),
        (
            "persons-property-delete",
            json!({"distinct_id": "ada@example.com", "unset": ["secret"]}),
        ),
        (
            "persons-reset-distinct-id",
            json!({"distinct_id": "secret@example.com"}),
        ),
        (
            "persons-split",
            json!({"id": GRACE, "distinct_ids_to_split": ["katherine@example.com"]}),
        ),
        (
            DELETE,
            json!({"distinct_ids": ["qa-1", "secret@example.com"]}),
        ),
    ];
    for mode in ["auto", "off"] {
        let mut command = binary(&[
            "--sandbox",
            "--log",
            "trace",
            "--confirm",
            mode,
            "--audit-log",
            log.0.to_str().unwrap(),
        ]);
        command.env("RUST_LOG", "trace");
        let ended = run(command, &session_input(WITH_HANDSHAKE[3], &calls)).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("tool call finished"),
            "{}",
            ended.stderr
        );
        for secret in ["secret", "@", "qa-1", Sandbox::KEY, ADA, GRACE, "rs1."] {
            assert!(!ended.stderr.contains(secret), "{secret}: {}", ended.stderr);
        }
    }
}
