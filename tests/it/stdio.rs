//! The binary as a process of its own: its arguments, its streams, its end.

use std::time::{Duration, Instant};

use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::ADA;
use crate::process::{binary, exit, run, send};
use crate::upstream::{Answers, Upstream};
use crate::wire::{
    PATIENCE, WITH_HANDSHAKE, WITHOUT_HANDSHAKE, Wire, beginning, message, request, versions,
};

const KEY: &str = "POSTHOG_PERSONAL_API_KEY";

fn lines(messages: &[Value]) -> String {
    messages
        .iter()
        .map(|message| format!("{message}\n"))
        .collect()
}

/// A conversation that asks for these tool calls, numbered from 1, all at once.
fn calls(version: &str, calls: &[(&str, Value)]) -> String {
    let mut messages = beginning(version);
    for ((tool, arguments), id) in calls.iter().zip(1..) {
        let params = json!({"name": tool, "arguments": arguments});
        messages.push(request(version, id, "tools/call", params));
    }
    lines(&messages)
}

/// The binary, set to a PostHog at this address.
pub(crate) fn connected(arguments: &[&str], host: &str, key: &str) -> Command {
    let mut command = binary(arguments);
    command
        .env("POSTHOG_HOST", host)
        .env("POSTHOG_PROJECT_ID", Sandbox::PROJECT.to_string())
        .env(KEY, key);
    command
}

#[tokio::test]
async fn every_version_of_the_protocol_lists_calls_and_refuses() {
    for version in versions() {
        let mut child = binary(&["stdio", "--sandbox"]).spawn().unwrap();
        let reader = child.stdout.take().unwrap();
        let writer = child.stdin.take().unwrap();
        let (mut wire, server) = Wire::begin(version, reader, writer).await;
        let offered = match version {
            WITHOUT_HANDSHAKE => {
                json!({"completions": {}, "prompts": {}, "resources": {}, "tools": {}})
            }
            // What the newest version has otherwise, or no longer.
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

        let list = wire.ask("tools/list", json!({})).await;
        let names: Vec<&str> = list["result"]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap())
            .collect();
        let offered: Vec<&str> = catalog().iter().map(|tool| tool.name).collect();
        assert_eq!(names, offered, "{version}");

        let arguments = json!({"search": "ada@", "select": ["plan"]});
        let params = json!({"name": "persons-list", "arguments": arguments});
        let called = wire.ask("tools/call", params).await;
        let result = &called["result"];
        assert_eq!(result["isError"], false, "{version}: {called}");
        assert_eq!(
            result["structuredContent"]["results"][0]["uuid"], ADA,
            "{version}"
        );
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(ADA), "{version}: {text}");

        let params = json!({"name": "persons-nobody-made", "arguments": {}});
        let unknown = wire.ask("tools/call", params).await;
        assert_eq!(unknown["error"]["code"], -32602, "{version}: {unknown}");

        let params = json!({"name": "persons-list", "arguments": {"serch": "ada"}});
        let refused = wire.ask("tools/call", params).await;
        assert_eq!(refused["result"]["isError"], true, "{version}: {refused}");
        let text = refused["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("`serch`"), "{version}: {text}");

        assert_eq!(wire.end().await, Vec::<Value>::new(), "{version}");
        assert_eq!(exit(child).await, Some(0), "{version}");
    }
}

#[tokio::test]
async fn standard_output_holds_messages_alone_whatever_the_logs_say() {
    let mut input = calls(WITH_HANDSHAKE[3], &[("persons-list", json!({}))]);
    input.push_str("no JSON at all\n\n[]\n");
    let mut command = binary(&["--sandbox", "--log", "trace"]);
    command.env("RUST_LOG", "trace");
    let ended = run(command, &input).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for line in ended.stdout.lines() {
        message(line);
    }
    assert_eq!(ended.answer(1)["result"]["isError"], false);
    assert!(ended.stderr.contains("called"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_call_in_flight_when_the_input_ends_is_answered() {
    let upstream = Upstream::start(Answers::After(Duration::from_millis(300))).await;
    for version in [WITH_HANDSHAKE[0], WITHOUT_HANDSHAKE] {
        let input = calls(version, &[("persons-list", json!({}))]);
        let ended = run(connected(&[], &upstream.url(), "phx_test"), &input).await;
        assert_eq!(ended.code, Some(0), "{version}: {}", ended.stderr);
        assert_eq!(ended.answer(1)["result"]["isError"], false, "{version}");
    }
}

/// Takes as long as it says: the protocol library gives up 5 seconds after the input ends.
#[tokio::test]
async fn a_call_in_flight_for_seven_seconds_after_the_input_ends_is_answered() {
    let upstream = Upstream::start(Answers::After(Duration::from_secs(7))).await;
    let input = calls(WITH_HANDSHAKE[2], &[("persons-list", json!({}))]);
    let ended = run(connected(&[], &upstream.url(), "phx_test"), &input).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.answer(1)["result"]["isError"], false);
}

#[tokio::test]
async fn calls_that_wait_for_their_turn_when_the_input_ends_are_answered() {
    let upstream = Upstream::start(Answers::After(Duration::from_millis(100))).await;
    let all = vec![("persons-list", json!({})); 150];
    let input = calls(WITHOUT_HANDSHAKE, &all);
    let ended = run(connected(&[], &upstream.url(), "phx_test"), &input).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for id in 1..=150 {
        assert_eq!(ended.answer(id)["result"]["isError"], false);
    }
}

#[tokio::test]
async fn a_cancelled_call_does_not_hold_up_the_end() {
    let upstream = Upstream::start(Answers::Never).await;
    let version = WITH_HANDSHAKE[3];
    let mut child = connected(&[], &upstream.url(), "phx_test").spawn().unwrap();
    let reader = child.stdout.take().unwrap();
    let writer = child.stdin.take().unwrap();
    let (mut wire, _) = Wire::begin(version, reader, writer).await;
    let params = json!({"name": "persons-list", "arguments": {}});
    wire.send(&request(version, 7, "tools/call", params)).await;
    upstream.until(|counts| counts.waiting == 1).await;
    let cancelled = json!({"requestId": 7, "reason": "enough"});
    wire.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled}))
        .await;
    upstream.until(|counts| counts.left == 1).await;
    let started = Instant::now();
    assert_eq!(wire.end().await, Vec::<Value>::new());
    assert_eq!(exit(child).await, Some(0));
    let took = started.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn an_input_that_ends_at_once_is_no_error() {
    for input in [
        String::new(),
        "\n".to_owned(),
        lines(&beginning(WITH_HANDSHAKE[0])[..1]),
    ] {
        let ended = run(binary(&["--sandbox"]), &input).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stdout.is_empty(), input.trim().is_empty());
    }
}

/// What a start says that must fail: on standard error, with nothing on standard output.
async fn refusal(command: Command) -> String {
    let ended = run(command, "").await;
    assert_ne!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    ended.stderr
}

#[tokio::test]
async fn without_a_key_the_ways_to_give_one_are_said() {
    for arguments in [&[][..], &["stdio"], &["call", "persons-list"]] {
        let said = refusal(binary(arguments)).await;
        for word in [KEY, "--api-key-file", "--sandbox"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}

#[tokio::test]
async fn a_project_token_is_refused_without_being_repeated() {
    for token in [Sandbox::PROJECT_TOKEN, "phs_secret_of_a_project"] {
        let mut command = binary(&[]);
        command.env(KEY, token);
        let said = refusal(command).await;
        assert!(said.contains("phx_"), "{said}");
        assert!(!said.contains(token), "{said}");
    }
}

#[tokio::test]
async fn the_key_does_not_travel_in_the_clear_to_another_machine() {
    let command = connected(&[], "http://posthog.example", "phx_test");
    let said = refusal(command).await;
    assert!(said.contains("--allow-insecure-http"), "{said}");
    let command = connected(
        &["--allow-insecure-http"],
        "http://posthog.example",
        "phx_test",
    );
    assert_eq!(run(command, "").await.code, Some(0));
}

#[tokio::test]
async fn all_that_is_wrong_with_the_settings_is_said_at_once() {
    let mut command = connected(&[], "http://posthog.example", "phc_token");
    command.env("POSTHOG_PROJECT_ID", "mine");
    let said = refusal(command).await;
    for word in [KEY, "POSTHOG_PROJECT_ID", "POSTHOG_HOST"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[tokio::test]
async fn a_wrong_host_does_not_hide_a_wrong_ca_file() {
    for host in [
        "http://posthog.example",
        "us.posthog.com",
        "ftp://x.example",
    ] {
        let mut command = connected(&[], host, "phx_test");
        command.env("POSTHOG_MCP_CA_CERT", "/nowhere/ca.pem");
        let said = refusal(command).await;
        for word in ["POSTHOG_HOST", "/nowhere/ca.pem"] {
            assert!(said.contains(word), "{host}, {word}: {said}");
        }
    }
}

#[tokio::test]
async fn an_empty_variable_counts_as_unset() {
    let mut wrong = Vec::new();
    for name in [
        "POSTHOG_HOST",
        "POSTHOG_PROJECT_ID",
        "POSTHOG_PERSONAL_API_KEY_FILE",
        "POSTHOG_MCP_ALLOW_INSECURE_HTTP",
        "POSTHOG_MCP_CA_CERT",
        "POSTHOG_MCP_LOG",
        "POSTHOG_MCP_MAX_RESULT_BYTES",
        "POSTHOG_MCP_SANDBOX",
        "POSTHOG_MCP_SANDBOX_ERA",
        "POSTHOG_MCP_SANDBOX_PERSONS",
        "POSTHOG_MCP_SANDBOX_SEED",
        "POSTHOG_MCP_STRUCTURED",
    ] {
        let mut command = binary(&["call", "persons-list", "--json", "--sandbox"]);
        command.env(name, "");
        let ended = run(command, "").await;
        // One call logs nothing but warnings.
        let usual =
            ended.code == Some(0) && ended.stdout.starts_with('{') && ended.stderr.is_empty();
        if !usual {
            wrong.push(format!("{name}: {}", ended.stderr));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    // An empty level is the usual one: lines of INFO where a server runs.
    let mut command = binary(&["stdio", "--sandbox"]);
    command.env("POSTHOG_MCP_LOG", "");
    let ended = run(
        command,
        &calls(WITHOUT_HANDSHAKE, &[("persons-list", json!({}))]),
    )
    .await;
    assert!(ended.stderr.contains("INFO"), "{}", ended.stderr);
}

#[tokio::test]
async fn an_empty_key_or_switch_counts_as_unset() {
    let mut command = binary(&[]);
    command.env(KEY, " ").env("POSTHOG_MCP_SANDBOX", "");
    assert!(refusal(command).await.contains(KEY));
}

#[tokio::test]
async fn a_key_comes_from_a_file_and_the_file_wins() {
    let upstream = Upstream::start(Answers::After(Duration::ZERO)).await;
    let file = std::env::temp_dir().join(format!("key-{}", uuid::Uuid::new_v4()));
    std::fs::write(&file, "phx_from_the_file\n").unwrap();
    let mut command = connected(&["call", "persons-list"], &upstream.url(), "phc_wrong");
    command.env("POSTHOG_PERSONAL_API_KEY_FILE", &file);
    let ended = run(command, "").await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(upstream.counts().asked, 1);
}

#[tokio::test]
async fn call_prints_the_text_or_with_json_the_structured_answer() {
    let arguments = r#"{"search": "ada@", "select": ["plan"]}"#;
    let call = ["call", "persons-list", arguments, "--sandbox"];
    let ended = run(binary(&call), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(ADA), "{}", ended.stdout);
    assert!(ended.stdout.ends_with('\n'));

    let ended = run(binary(&[&call[..], &["--json"]].concat()), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(answer["results"][0]["uuid"], ADA);
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
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains("Invalid argument `id`"), "{said}");
}

#[tokio::test]
async fn call_refuses_what_is_no_object_and_no_tool() {
    for (arguments, word) in [
        (["call", "persons-list", "{", "--sandbox"], "JSON object"),
        (["call", "persons-list", "[1]", "--sandbox"], "JSON object"),
        (["call", "persons-lst", "{}", "--sandbox"], "persons-lst"),
    ] {
        let said = refusal(binary(&arguments)).await;
        assert!(said.contains(word), "{said}");
    }
}

#[tokio::test]
async fn tools_are_listed_as_an_assistant_gets_them() {
    let ended = run(binary(&["tools"]), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let names: Vec<&str> = ended
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let offered: Vec<&str> = catalog().iter().map(|tool| tool.name).collect();
    assert_eq!(names, offered);

    for structured in ["on", "off"] {
        let ended = run(binary(&["tools", "--json", "--structured", structured]), "").await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
        let mut messages = beginning(WITH_HANDSHAKE[3]);
        messages.push(request(WITH_HANDSHAKE[3], 1, "tools/list", json!({})));
        let command = binary(&["--sandbox", "--structured", structured]);
        let served = run(command, &lines(&messages)).await.answer(1);
        assert_eq!(printed, served["result"]["tools"], "{structured}");
    }
}

/// A sandbox in a process of its own.
pub(crate) struct Imitation {
    child: Child,
    pub(crate) url: String,
    /// Held, since a process whose reader has gone fails to write the rest.
    _stdout: Lines<BufReader<ChildStdout>>,
}

/// A sandbox in this process, for a binary beside it.
pub(crate) async fn sandbox() -> Sandbox {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let started = Sandbox::start(listener, SandboxOptions::default()).await;
    started.unwrap()
}

pub(crate) async fn imitation(arguments: &[&str]) -> Imitation {
    let mut command = binary(&[&["sandbox", "--port", "0"][..], arguments].concat());
    command.env("RUST_LOG", "trace");
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
    let first = first.unwrap();
    let url = first
        .split_whitespace()
        .map(|word| word.trim_end_matches('.'))
        .find(|word| word.starts_with("http://127.0.0.1:"))
        .unwrap_or_else(|| panic!("{first}"))
        .to_owned();
    Imitation {
        child,
        url,
        _stdout: lines,
    }
}

#[tokio::test]
async fn the_sandbox_prints_its_address_and_serves() {
    let sandbox = imitation(&[]).await;
    let call = ["call", "persons-list", r#"{"search": "ada@"}"#];
    let ended = run(connected(&call, &sandbox.url, Sandbox::KEY), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(ADA), "{}", ended.stdout);
    let ended = run(connected(&call, &sandbox.url, "phx_wrong"), "").await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[cfg(unix)]
#[tokio::test]
async fn the_sandbox_and_the_server_end_in_peace_when_interrupted() {
    let sandbox = imitation(&[]).await;
    // It listens for signals by the time it answers.
    let call = connected(&["call", "persons-list"], &sandbox.url, Sandbox::KEY);
    assert_eq!(run(call, "").await.code, Some(0));
    send(&sandbox.child, "-INT").await;
    assert_eq!(exit(sandbox.child).await, Some(0));

    let mut child = binary(&["--sandbox"]).spawn().unwrap();
    let reader = child.stdout.take().unwrap();
    let writer = child.stdin.take().unwrap();
    let (wire, _) = Wire::begin(WITHOUT_HANDSHAKE, reader, writer).await;
    send(&child, "-INT").await;
    assert_eq!(exit(child).await, Some(0));
    drop(wire);
}

/// Whatever is asked for in logs, they hold what was called and how it went, and nobody's data.
#[tokio::test]
async fn logs_hold_neither_the_key_nor_anybodys_data() {
    let mut sandbox = imitation(&["--log", "trace"]).await;
    let asked = [
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
            let mut input = calls(version, &asked);
            // Messages that cannot be read are refused by other code than those that can.
            input.push_str("ada@example.com\n{\"ada@example.com\": 1}\n");
            let params = json!({"name": "persons-list", "arguments": ["ada@example.com"]});
            input.push_str(&lines(&[request(version, 90, "tools/call", params)]));
            let mut command = connected(&["--log", "trace"], &sandbox.url, key);
            command.env("RUST_LOG", "trace");
            let ended = run(command, &input).await;
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            let fails = ended.answer(1)["result"]["isError"] == true;
            assert_eq!(fails, key != Sandbox::KEY, "{version}");
            assert!(ended.stderr.contains("called"), "{}", ended.stderr);
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
async fn a_first_message_that_begins_nothing_is_not_logged() {
    for first in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "persons-list", "arguments": {"email": "ada@example.com"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/ada@example.com"}),
        json!({"jsonrpc": "2.0", "id": 1, "result": {"ada@example.com": 1}}),
    ] {
        let input = lines(std::slice::from_ref(&first));
        let ended = run(binary(&["--sandbox", "--log", "trace"]), &input).await;
        for line in ended.stdout.lines() {
            message(line);
        }
        assert!(!ended.stderr.contains("ada@"), "{first}: {}", ended.stderr);
    }
}
