//! The commands call, tools and sandbox, and what they log.

use super::support::*;
use crate::ADA;
use crate::process::{binary, run, send, wait_for_exit};
use crate::wire::{
    JsonRpcClient, WITH_HANDSHAKE, WITHOUT_HANDSHAKE, opening_messages, parse_message, request,
};
use posthog_persons_mcp::tools::offered_by_default;
use posthog_sandbox::Sandbox;
use serde_json::{Value, json};

#[tokio::test]
async fn call_prints_text_or_json() {
    let arguments = r#"{"search": "ada@", "select": ["plan"]}"#;
    let call = ["call", "persons-list", arguments, "--sandbox"];
    let ended = run(binary(&call), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(ADA), "{}", ended.stdout);
    assert!(ended.stdout.ends_with('\n'));

    let ended = run(binary(&[&call[..], &["--json"]].concat()), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let response: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(response["results"][0]["uuid"], ADA);
}

#[tokio::test]
async fn call_fails_as_the_tool_does() {
    let call = [
        "call",
        "persons-retrieve",
        r#"{"id": "ada@example.com"}"#,
        "--sandbox",
    ];
    let ended = run(binary(&call), "").await;
    assert_eq!(ended.code, Some(1));
    let message = format!("{}{}", ended.stdout, ended.stderr);
    assert!(message.contains("Invalid argument `id`"), "{message}");
}

#[tokio::test]
async fn call_rejects_non_objects_and_unknown_tools() {
    for (arguments, word) in [
        (["call", "persons-list", "{", "--sandbox"], "JSON object"),
        (["call", "persons-list", "[1]", "--sandbox"], "JSON object"),
        (["call", "persons-lst", "{}", "--sandbox"], "persons-lst"),
    ] {
        let message = startup_error(binary(&arguments)).await;
        assert!(message.contains(word), "{message}");
    }
}

#[tokio::test]
async fn tools_lists_what_a_client_receives() {
    let ended = run(binary(&["tools"]), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let names: Vec<&str> = ended
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let offered: Vec<&str> = offered_by_default().iter().map(|tool| tool.name).collect();
    assert_eq!(names, offered);

    for structured in ["on", "off"] {
        let ended = run(binary(&["tools", "--json", "--structured", structured]), "").await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
        let mut messages = opening_messages(WITH_HANDSHAKE[3]);
        messages.push(request(WITH_HANDSHAKE[3], 1, "tools/list", json!({})));
        let command = binary(&["--sandbox", "--structured", structured]);
        let served = run(command, &lines(&messages)).await.response(1);
        assert_eq!(printed, served["result"]["tools"], "{structured}");
    }
}

#[tokio::test]
async fn sandbox_prints_its_url_and_serves() {
    let sandbox = sandbox_process(&[]).await;
    let call = ["call", "persons-list", r#"{"search": "ada@"}"#];
    let ended = run(connected(&call, &sandbox.url, Sandbox::KEY), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(ADA), "{}", ended.stdout);
    let ended = run(connected(&call, &sandbox.url, "phx_wrong"), "").await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[cfg(unix)]
#[tokio::test]
async fn sandbox_and_server_exit_cleanly_on_interrupt() {
    let sandbox = sandbox_process(&[]).await;
    // The signal handler is installed before the first response.
    let call = connected(&["call", "persons-list"], &sandbox.url, Sandbox::KEY);
    assert_eq!(run(call, "").await.code, Some(0));
    send(&sandbox.child, "-INT").await;
    assert_eq!(wait_for_exit(sandbox.child).await, Some(0));

    let mut child = binary(&["--sandbox"]).spawn().unwrap();
    let reader = child.stdout.take().unwrap();
    let writer = child.stdin.take().unwrap();
    let (wire, _) = JsonRpcClient::begin(WITHOUT_HANDSHAKE, reader, writer).await;
    send(&child, "-INT").await;
    assert_eq!(wait_for_exit(child).await, Some(0));
    drop(wire);
}

/// At every level, logs contain tool names and outcomes, and no personal data.
#[tokio::test]
async fn logs_contain_neither_key_nor_data() {
    let mut sandbox = sandbox_process(&["--log", "trace"]).await;
    let requested = [
        ("persons-list", json!({"search": "ada@example.com"})),
        ("persons-list", json!({"email": "grace@example.com"})),
        ("persons-list", json!({"format": "csv"})),
        (
            "persons-retrieve",
            json!({"distinct_id": "hedy@example.com"}),
        ),
        (
            "persons-retrieve",
            json!({"distinct_id": "gone@example.com"}),
        ),
        ("persons-retrieve", json!({"id": "alan@example.com"})),
        (
            "persons-retrieve",
            json!({"id": ADA, "alan@example.com": 1}),
        ),
        ("persons-values-retrieve", json!({"key": "email"})),
        (
            "persons-batch-retrieve",
            json!({"distinct_ids": ["ada@example.com"]}),
        ),
        ("persons-activity-retrieve", json!({"id": ADA})),
        ("persons-trends", json!({"entity_id": "purchase"})),
        ("radia@example.com", json!({})),
    ];
    let secrets = ["@example.com", "Lovelace", "Analytical", "Vienna", ADA];
    for key in [Sandbox::KEY, "phx_not_a_key_of_this_sandbox"] {
        for version in [WITH_HANDSHAKE[3], WITHOUT_HANDSHAKE] {
            let mut input = calls(version, &requested);
            // Invalid messages are handled by other code than valid ones.
            input.push_str("ada@example.com\n{\"ada@example.com\": 1}\n");
            let params = json!({"name": "persons-list", "arguments": ["ada@example.com"]});
            input.push_str(&lines(&[request(version, 90, "tools/call", params)]));
            let mut command = connected(&["--log", "trace"], &sandbox.url, key);
            command.env("RUST_LOG", "trace");
            let ended = run(command, &input).await;
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            let fails = ended.response(1)["result"]["isError"] == true;
            assert_eq!(fails, key != Sandbox::KEY, "{version}");
            assert!(
                ended.stderr.contains("tool call finished"),
                "{}",
                ended.stderr
            );
            for secret in secrets.into_iter().chain([key]) {
                assert!(!ended.stderr.contains(secret), "{secret}: {}", ended.stderr);
            }
            assert!(!ended.stdout.contains(key), "{}", ended.stdout);
        }
    }
    sandbox.child.start_kill().unwrap();
    let output = sandbox.child.wait_with_output().await.unwrap();
    let logged = String::from_utf8(output.stderr).unwrap();
    for secret in secrets.into_iter().chain([Sandbox::KEY]) {
        assert!(!logged.contains(secret), "{secret}: {logged}");
    }
}

#[tokio::test]
async fn invalid_first_message_is_not_logged() {
    for first in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "persons-list", "arguments": {"email": "ada@example.com"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/ada@example.com"}),
        json!({"jsonrpc": "2.0", "id": 1, "result": {"ada@example.com": 1}}),
    ] {
        let input = lines(std::slice::from_ref(&first));
        let ended = run(binary(&["--sandbox", "--log", "trace"]), &input).await;
        for line in ended.stdout.lines() {
            parse_message(line);
        }
        assert!(!ended.stderr.contains("ada@"), "{first}: {}", ended.stderr);
    }
}

/// The scripted user reads each question, and the last one is on a page.
#[tokio::test]
async fn demo_shows_every_way_to_answer() {
    let ended = run(binary(&["demo"]), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for line in [
        "you        Yes",
        "you        No",
        "Nothing was sent: the user declined",
        "a person has to approve this call on a page",
        "nobody has answered on the page",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
    let by_client = "the client declined";
    assert!(!ended.stdout.contains(by_client), "{}", ended.stdout);
}
