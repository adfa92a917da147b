//! Misbehaving clients: whatever they send or do not read, the server keeps serving and writes only valid messages.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::process::{binary, run};
use crate::wire::{TIMEOUT, WITH_HANDSHAKE, opening_messages, parse_message, request, versions};

/// Enough for thousands of calls in a debug build.
const LONG: Duration = Duration::from_secs(60);

/// The binary with `--sandbox`, after the handshake.
struct Server {
    version: &'static str,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    last_id: u64,
}

impl Server {
    async fn start(version: &'static str) -> Self {
        Self::spawn(version, binary(&["--sandbox", "--log", "error"])).await
    }

    async fn spawn(version: &'static str, mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut server = Self {
            version,
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
            last_id: 1_000_000,
        };
        for message in opening_messages(version) {
            server.write(format!("{message}\n").as_bytes()).await;
        }
        server.response_to(0).await;
        server
    }

    async fn write(&mut self, bytes: &[u8]) {
        let written = timeout(LONG, self.input.write_all(bytes)).await;
        written.expect("it takes what is sent").unwrap();
    }

    async fn receive(&mut self) -> Option<Value> {
        let line = timeout(LONG, self.output.next_line()).await;
        line.expect("a response in time")
            .unwrap()
            .map(|line| parse_message(&line))
    }

    /// The response to a request, and the messages before it.
    async fn response_to(&mut self, id: u64) -> (Value, Vec<Value>) {
        let mut before = Vec::new();
        loop {
            let message = self.receive().await.expect("a response");
            if message["id"] == id && message.get("method").is_none() {
                return (message, before);
            }
            before.push(message);
        }
    }

    /// Asserts that a call succeeds; returns the messages before its response.
    async fn assert_serving(&mut self, after: &str) -> Vec<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let params = json!({"name": "persons-list", "arguments": {"limit": 1}});
        let call = request(self.version, id, "tools/call", params);
        self.write(format!("{call}\n").as_bytes()).await;
        let (response, before) = self.response_to(id).await;
        assert_eq!(response["result"]["isError"], false, "{after}: {response}");
        before
    }

    /// Closes the input and returns the last messages. Asserts a clean exit.
    async fn end(mut self) -> Vec<Value> {
        drop(self.input);
        let mut rest = Vec::new();
        while let Some(line) = timeout(TIMEOUT, self.output.next_line())
            .await
            .expect("an end in time")
            .unwrap()
        {
            rest.push(parse_message(&line));
        }
        let output = timeout(TIMEOUT, self.child.wait_with_output()).await;
        let output = output.expect("an end in time").unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{log}");
        assert_eq!(log, "");
        rest
    }
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

fn call_with(arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"persons-list","arguments":{arguments}}}}}"#
    )
}

#[tokio::test]
async fn invalid_messages_do_not_end_the_session() {
    const MEGABYTES: usize = 16_000_000;
    let long = "x".repeat(MEGABYTES);
    let lines: Vec<Vec<u8>> = vec![
        b"\xff\xfe\x00\x80".to_vec(),
        b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/\xc3\x28\"}".to_vec(),
        b"\0\0\0\0".to_vec(),
        "\u{feff}{}".into(),
        "{".into(),
        "[]".into(),
        "[[]]".into(),
        "null".into(),
        "7".into(),
        "\"tools/list\"".into(),
        "{}".into(),
        "Content-Length: 2\r\n\r\n{}".into(),
        nested(100_000).into(),
        "[".repeat(100_000).into(),
        "{\"a\":".repeat(100_000).into(),
        call_with(&format!("{{\"search\":{}}}", nested(100_000))).into(),
        call_with(&format!("{{\"search\":{}}}", nested(126))).into(),
        call_with(&format!("{{\"search\":\"{long}\"}}")).into(),
        long.into(),
        r#"{"jsonrpc":"2.0","id":7}"#.into(),
        r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#.into(),
        r#"{"id":7,"method":"ping"}"#.into(),
        r#"{"jsonrpc":"2.0","id":7.5,"method":"ping"}"#.into(),
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.into(),
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#.into(),
        r#"{"jsonrpc":"2.0","id":7,"method":7}"#.into(),
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":[]}"#.into(),
        r#"{"jsonrpc":"2.0","method":"notifications/unknown"}"#.into(),
        r#"{"jsonrpc":"2.0","id":18446744073709551616,"method":"ping"}"#.into(),
        r#"{"jsonrpc":"2.0","id":-1,"method":"ping"}"#.into(),
        r#"{"jsonrpc":"2.0","id":"\ud800","method":"ping"}"#.into(),
    ];
    for version in versions() {
        let mut server = Server::start(version).await;
        for line in &lines {
            server.write(line).await;
            server.write(b"\n").await;
            let what = format!("{version}, {:.60}", String::from_utf8_lossy(line));
            for response in server.assert_serving(&what).await {
                assert!(
                    response["id"] != 7 || response.get("result").is_none() || line.len() > 60,
                    "{what}: {response}"
                );
            }
        }
        assert_eq!(server.end().await, Vec::<Value>::new(), "{version}");
    }
}

#[tokio::test]
async fn unsolicited_replies_and_cancellations_are_ignored() {
    for version in versions() {
        let mut server = Server::start(version).await;
        // Without a handshake, these are the first messages of the session.
        for odd in [
            json!({"jsonrpc": "2.0", "id": 999, "result": {"action": "accept", "content": {"confirm": true}}}),
            json!({"jsonrpc": "2.0", "id": 0, "result": {}}),
            json!({"jsonrpc": "2.0", "id": 999, "error": {"code": -1, "message": "no"}}),
            json!({"jsonrpc": "2.0", "id": null, "error": {"code": -1, "message": "no"}}),
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 999}}),
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "x", "reason": 7}}),
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {}}),
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled"}),
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 9, "progress": 1}}),
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
            json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}),
        ] {
            server.write(format!("{odd}\n{odd}\n").as_bytes()).await;
            server.assert_serving(&format!("{version}, {odd}")).await;
        }
        // A second handshake.
        for mut message in opening_messages(version) {
            if message.get("id").is_some() {
                message["id"] = json!(5);
            }
            server.write(format!("{message}\n").as_bytes()).await;
        }
        server
            .assert_serving(&format!("{version}, a second beginning"))
            .await;
        server.end().await;
    }
}

#[tokio::test]
async fn duplicate_request_ids_affect_only_their_requests() {
    for version in versions() {
        let mut server = Server::start(version).await;
        let params = json!({"name": "persons-list", "arguments": {"limit": 1}});
        let call = request(version, 5, "tools/call", params);
        server.write(format!("{call}\n{call}\n").as_bytes()).await;
        // Either of them may get the response; afterwards the id can be used again.
        server.response_to(5).await;
        server.write(format!("{call}\n").as_bytes()).await;
        server.response_to(5).await;
        server.assert_serving(version).await;
        server.end().await;
    }
}

#[tokio::test]
async fn truncated_last_message_ends_the_session_cleanly() {
    let version = WITH_HANDSHAKE[3];
    let call = request(
        version,
        1,
        "tools/call",
        json!({"name": "persons-list", "arguments": {}}),
    );
    let whole: String = opening_messages(version)
        .iter()
        .map(|message| format!("{message}\n"))
        .collect();
    let half = call.to_string();
    let half = &half[..half.len() / 2];
    for (input, responses) in [
        (format!("{whole}{half}"), 1),
        (format!("{whole}{call}\n{half}"), 2),
        (half.to_owned(), 0),
        (whole[..20].to_owned(), 0),
        ("[".repeat(100_000), 0),
    ] {
        let ended = run(binary(&["--sandbox", "--log", "error"]), &input).await;
        let messages: Vec<Value> = ended.stdout.lines().map(parse_message).collect();
        let results = messages
            .iter()
            .filter(|message| message.get("result").is_some());
        assert_eq!(results.count(), responses, "{}", ended.stdout);
        assert!(!ended.stderr.contains("panic"), "{}", ended.stderr);
        if responses > 0 {
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        }
    }
}

/// Some are sent to PostHog, most are rejected before; each gets exactly one response.
#[tokio::test]
async fn ten_thousand_concurrent_calls_all_get_responses() {
    const CALLS: u64 = 10_000;
    let version = WITH_HANDSHAKE[3];
    let mut server = Server::start(version).await;
    let mut input = String::new();
    for id in 1..=CALLS {
        let params = match id % 20 {
            0 => json!({"name": "persons-list", "arguments": {"limit": 1}}),
            1 => json!({"name": "persons-unknown", "arguments": {}}),
            2 => json!({"name": 7}),
            _ => json!({"name": "persons-list", "arguments": {"limit": "none"}}),
        };
        input.push_str(&format!("{}\n", request(version, id, "tools/call", params)));
    }
    let mut writer = server.input;
    let writing = tokio::spawn(async move {
        writer.write_all(input.as_bytes()).await.unwrap();
        writer
    });
    let mut seen: HashMap<u64, Value> = HashMap::new();
    while seen.len() < CALLS as usize {
        let line = timeout(LONG, server.output.next_line()).await;
        let response = parse_message(&line.expect("a response in time").unwrap().unwrap());
        let id = response["id"].as_u64().unwrap();
        assert!(
            seen.insert(id, response).is_none(),
            "{id} is answered twice"
        );
    }
    for (id, response) in &seen {
        match id % 20 {
            0 => assert_eq!(response["result"]["isError"], false, "{response}"),
            1 | 2 => assert_eq!(response["error"]["code"], -32602, "{response}"),
            _ => assert_eq!(response["result"]["isError"], true, "{response}"),
        }
    }
    server.input = writing.await.unwrap();
    server.assert_serving("ten thousand calls").await;
    assert_eq!(server.end().await, Vec::<Value>::new());
}

/// The memory limit for a client that sends requests and reads no responses.
#[cfg(target_os = "linux")]
const MAX_MEGABYTES: u64 = 200;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn unread_output_applies_backpressure_without_losing_responses() {
    let version = WITH_HANDSHAKE[3];
    let mut server = Server::start(version).await;
    let process = server.child.id().unwrap();
    // Each response has about 24 KB.
    let mut requests: u64 = 0;
    loop {
        let list = request(version, requests + 1, "tools/list", json!({}));
        let line = format!("{list}\n");
        // A full pipe accepts nothing or a part of the line.
        let writing = server.input.write_all(line.as_bytes());
        if timeout(Duration::from_secs(2), writing).await.is_err() {
            break;
        }
        requests += 1;
        assert!(requests < 100_000, "it reads without end");
    }
    let peak = crate::soak::megabytes(process, "VmHWM");
    assert!(peak < MAX_MEGABYTES, "{peak} MB for {requests} requests");
    // No response is lost.
    for _ in 0..requests {
        let response = server.receive().await.expect("a response");
        assert!(response["result"]["tools"].is_array(), "{response}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn process_exits_if_the_client_disconnects_without_reading() {
    let version = WITH_HANDSHAKE[3];
    let mut server = Server::start(version).await;
    for id in 1..=50 {
        let list = request(version, id, "tools/list", json!({}));
        server.write(format!("{list}\n").as_bytes()).await;
    }
    // As when the client process is killed.
    drop(server.output);
    drop(server.input);
    let status = timeout(TIMEOUT, server.child.wait()).await;
    status.expect("an end in time").unwrap();
}
