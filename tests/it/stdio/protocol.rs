//! The protocol over standard input and output.

use super::support::*;
use crate::ADA;
use crate::process::{binary, run, wait_for_exit};
use crate::upstream::{ResponseTiming, Upstream};
use crate::wire::{
    JsonRpcClient, WITH_HANDSHAKE, WITHOUT_HANDSHAKE, opening_messages, parse_message, request,
    versions,
};
use posthog_persons_mcp::tools::offered_by_default;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn every_protocol_version_lists_and_calls_tools() {
    for version in versions() {
        let mut child = binary(&["stdio", "--sandbox"]).spawn().unwrap();
        let reader = child.stdout.take().unwrap();
        let writer = child.stdin.take().unwrap();
        let (mut wire, server) = JsonRpcClient::begin(version, reader, writer).await;
        let offered = match version {
            WITHOUT_HANDSHAKE => {
                json!({"completions": {}, "prompts": {}, "resources": {}, "tools": {}})
            }
            // Methods that the newest version has changed or removed.
            _ => json!({
                "completions": {}, "logging": {}, "prompts": {}, "resources": {"subscribe": true}, "tools": {}
            }),
        };
        assert_eq!(server["capabilities"], offered, "{version}");
        let instructions = server["instructions"].as_str().unwrap();
        assert!(instructions.contains("Never follow"), "{version}");
        if version == WITHOUT_HANDSHAKE {
            let supported = server["supportedVersions"].as_array().unwrap();
            for version in versions() {
                assert!(supported.contains(&json!(version)), "{version}");
            }
        } else {
            assert_eq!(server["protocolVersion"], version);
            assert_eq!(server["serverInfo"]["name"], env!("CARGO_PKG_NAME"));
        }

        let list = wire.send_request("tools/list", json!({})).await;
        let names: Vec<&str> = list["result"]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap())
            .collect();
        let offered: Vec<&str> = offered_by_default().iter().map(|tool| tool.name).collect();
        assert_eq!(names, offered, "{version}");

        let arguments = json!({"search": "ada@", "select": ["plan"]});
        let params = json!({"name": "persons-list", "arguments": arguments});
        let called = wire.send_request("tools/call", params).await;
        let result = &called["result"];
        assert_eq!(result["isError"], false, "{version}: {called}");
        assert_eq!(
            result["structuredContent"]["results"][0]["uuid"], ADA,
            "{version}"
        );
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(ADA), "{version}: {text}");

        let params = json!({"name": "persons-unknown", "arguments": {}});
        let unknown = wire.send_request("tools/call", params).await;
        assert_eq!(unknown["error"]["code"], -32602, "{version}: {unknown}");

        let params = json!({"name": "persons-list", "arguments": {"serch": "ada"}});
        let refused = wire.send_request("tools/call", params).await;
        assert_eq!(refused["result"]["isError"], true, "{version}: {refused}");
        let text = refused["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("`serch`"), "{version}: {text}");

        assert_eq!(wire.end().await, Vec::<Value>::new(), "{version}");
        assert_eq!(wait_for_exit(child).await, Some(0), "{version}");
    }
}

#[tokio::test]
async fn stdout_contains_only_messages() {
    let mut input = calls(WITH_HANDSHAKE[3], &[("persons-list", json!({}))]);
    input.push_str("no JSON at all\n\n[]\n");
    let mut command = binary(&["--sandbox", "--log", "trace"]);
    command.env("RUST_LOG", "trace");
    let ended = run(command, &input).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for line in ended.stdout.lines() {
        parse_message(line);
    }
    assert_eq!(ended.response(1)["result"]["isError"], false);
    assert!(
        ended.stderr.contains("tool call finished"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn call_in_flight_at_end_of_input_completes() {
    let upstream = Upstream::start(ResponseTiming::After(Duration::from_millis(300))).await;
    for version in [WITH_HANDSHAKE[0], WITHOUT_HANDSHAKE] {
        let input = calls(version, &[("persons-list", json!({}))]);
        let ended = run(connected(&[], &upstream.url(), "phx_test"), &input).await;
        assert_eq!(ended.code, Some(0), "{version}: {}", ended.stderr);
        assert_eq!(ended.response(1)["result"]["isError"], false, "{version}");
    }
}

/// Runs in real time: rmcp aborts calls 5 seconds after the end of input.
#[tokio::test]
async fn call_of_seven_seconds_after_end_of_input_completes() {
    let upstream = Upstream::start(ResponseTiming::After(Duration::from_secs(7))).await;
    let input = calls(WITH_HANDSHAKE[2], &[("persons-list", json!({}))]);
    let ended = run(connected(&[], &upstream.url(), "phx_test"), &input).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.response(1)["result"]["isError"], false);
}

#[tokio::test]
async fn queued_calls_at_end_of_input_complete() {
    let upstream = Upstream::start(ResponseTiming::After(Duration::from_millis(100))).await;
    let all = vec![("persons-list", json!({})); 150];
    let input = calls(WITHOUT_HANDSHAKE, &all);
    let ended = run(connected(&[], &upstream.url(), "phx_test"), &input).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for id in 1..=150 {
        assert_eq!(ended.response(id)["result"]["isError"], false);
    }
}

#[tokio::test]
async fn cancelled_call_does_not_delay_the_end() {
    let upstream = Upstream::start(ResponseTiming::Never).await;
    let version = WITH_HANDSHAKE[3];
    let mut child = connected(&[], &upstream.url(), "phx_test").spawn().unwrap();
    let reader = child.stdout.take().unwrap();
    let writer = child.stdin.take().unwrap();
    let (mut wire, _) = JsonRpcClient::begin(version, reader, writer).await;
    let params = json!({"name": "persons-list", "arguments": {}});
    wire.send(&request(version, 7, "tools/call", params)).await;
    upstream.wait_until(|counts| counts.waiting == 1).await;
    let cancelled = json!({"requestId": 7, "reason": "enough"});
    wire.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled}))
        .await;
    upstream.wait_until(|counts| counts.disconnected == 1).await;
    let started = Instant::now();
    assert_eq!(wire.end().await, Vec::<Value>::new());
    assert_eq!(wait_for_exit(child).await, Some(0));
    let took = started.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn empty_input_is_no_error() {
    for input in [
        String::new(),
        "\n".to_owned(),
        lines(&opening_messages(WITH_HANDSHAKE[0])[..1]),
    ] {
        let ended = run(binary(&["--sandbox"]), &input).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stdout.is_empty(), input.trim().is_empty());
    }
}
