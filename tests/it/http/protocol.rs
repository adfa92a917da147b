//! Every protocol version, on every route that supports it.

use posthog_sandbox::{Fault, FaultKind};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    Caller, EventStream, LegacyClient, MARY, McpClient, Method, PUBLIC_ROUTES, SESSION, Setup,
    all_tools, result_text, team, team_with,
};
use crate::process::tool_names;
use crate::wire::{
    TIMEOUT, WITH_HANDSHAKE, WITHOUT_HANDSHAKE, opening_messages, parse_message, request, versions,
};
use crate::{ADA, NOBODY};

const MIB: usize = 1024 * 1024;

pub(super) fn ada_arguments() -> Value {
    json!({"search": "ada@", "select": ["plan"]})
}

#[track_caller]
fn assert_ada(result: &Value) {
    assert_eq!(result["isError"], false, "{result}");
    let row = &result["structuredContent"]["results"][0];
    assert_eq!(row["uuid"], ADA, "{result}");
    assert!(result_text(result).contains(ADA), "{result}");
}

#[tokio::test]
async fn session_is_opened_used_and_closed() {
    let team = team().await;
    for version in WITH_HANDSHAKE {
        let mut session = McpClient::begin(&team.caller(MARY), version).await;
        let list = session.send_request("tools/list", json!({})).await;
        assert_eq!(tool_names(&list), all_tools(), "{version}");
        assert_ada(&session.call("persons-list", &ada_arguments()).await);
        let params = json!({"name": "persons-unknown", "arguments": {}});
        let unknown = session.send_request("tools/call", params).await;
        assert_eq!(unknown["error"]["code"], -32602, "{version}: {unknown}");

        let stream = session.caller.send(session.request(Method::GET)).await;
        let stream = EventStream::of(stream);
        let closed = session.caller.send(session.request(Method::DELETE)).await;
        assert!(closed.status().is_success(), "{version}: {closed:?}");
        stream.end().await;
        let late = request(version, 9, "tools/list", json!({}));
        assert_eq!(session.post(&late).await.status(), 404, "{version}");
        let late = session.caller.send(session.request(Method::GET)).await;
        assert_eq!(late.status(), 404, "{version}");
    }
    assert_eq!(team.sandbox.violations(), Vec::<String>::new());
}

/// Gemini CLI and the TypeScript SDK before 1.24 fail on an event without data.
#[tokio::test]
async fn no_stream_contains_an_event_without_data() {
    let team = team().await;
    for version in WITH_HANDSHAKE {
        let mary = team.caller(MARY);
        let hello = opening_messages(version).into_iter().next().unwrap();
        let opening = mary.request(Method::POST, "/mcp").json(&hello);
        let opened = mary.read(opening).await;
        assert_every_event_has_data(&opened.text, version);

        let mut session = McpClient::begin(&mary, version).await;
        let message = request(version, 7, "tools/list", json!({}));
        let listed = mary
            .read(session.request(Method::POST).json(&message))
            .await;
        assert_every_event_has_data(&listed.text, version);

        // The session's own stream, until the session ends.
        let stream = mary.send(session.request(Method::GET)).await;
        session.send_request("ping", json!({})).await;
        mary.read(session.request(Method::DELETE)).await;
        let text = timeout(TIMEOUT, stream.text()).await.unwrap().unwrap();
        assert!(!text.contains("data"), "{version}: {text:?}");
    }
}

fn assert_every_event_has_data(stream: &str, version: &str) {
    let events: Vec<&str> = stream.split_terminator("\n\n").collect();
    assert_eq!(events.len(), 1, "{version}: {stream:?}");
    let data = events[0]
        .lines()
        .filter_map(|line| line.strip_prefix("data:"));
    for data in data {
        assert!(
            parse_message(data.trim())["id"].is_number(),
            "{version}: {stream:?}"
        );
    }
}

#[tokio::test]
async fn sessions_do_not_receive_messages_of_each_other() {
    let team = team().await;
    let mut one = McpClient::begin(&team.caller(MARY), WITH_HANDSHAKE[3]).await;
    let mut other = McpClient::begin(&team.caller(MARY), WITH_HANDSHAKE[0]).await;
    assert_ne!(one.session(), other.session());
    let (first, mut ones) = one.open("tools/list", json!({})).await;
    let params = json!({"name": "persons-list", "arguments": ada_arguments()});
    let (second, mut others) = other.open("tools/call", params).await;
    // The same request id in both.
    assert_eq!(first, second);
    assert_ada(&others.next_message().await["result"]);
    assert_eq!(tool_names(&ones.next_message().await), all_tools());
}

#[tokio::test]
async fn stateless_requests_are_independent() {
    let team = team().await;
    let mary = team.caller(MARY);
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("prompts/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        (
            "tools/call",
            json!({"name": "persons-list", "arguments": ada_arguments()}),
        ),
    ] {
        let reply = mary.read(mary.stateless(method, params)).await;
        assert_eq!(reply.status, 200, "{method}: {}", reply.text);
        assert_eq!(reply.header("content-type"), "application/json", "{method}");
        assert_eq!(reply.header(SESSION), "", "{method}");
        let result = &reply.json()["result"];
        assert!(result.is_object(), "{method}: {}", reply.text);
        // The list depends on the credential and on the headers of the request.
        assert_ne!(result["cacheScope"], "public", "{method}: {result}");
        match method {
            "server/discover" => {
                let supported = result["supportedVersions"].as_array().unwrap();
                assert!(versions().all(|version| supported.contains(&json!(version))));
            }
            "tools/call" => assert_ada(result),
            _ => assert_eq!(result["cacheScope"], "private", "{method}: {result}"),
        }
    }
    // Without a session there is no stream to open and no session to close.
    for method in [Method::GET, Method::DELETE] {
        let request = mary.request(method.clone(), "/mcp");
        let request = request.header("mcp-protocol-version", WITHOUT_HANDSHAKE);
        assert_eq!(mary.read(request).await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn progress_token_receives_wait_reasons_before_the_response() {
    for version in versions() {
        let team = team().await;
        let mary = team.caller(MARY);
        let conversation = McpClient::begin(&mary, version).await;
        let limited = FaultKind::Throttle { retry_after: 1 };
        team.sandbox.inject(Fault::once("persons", limited));
        let params = json!({"name": "persons-list", "arguments": ada_arguments(), "_meta": {"progressToken": "x"}});
        let response = if version == WITHOUT_HANDSHAKE {
            mary.send(mary.stateless("tools/call", params)).await
        } else {
            let message = request(version, 7, "tools/call", params);
            conversation.post(&message).await
        };
        let mut events = EventStream::of(response);
        let notification = parse_message(&events.next().await.unwrap().1);
        assert_eq!(
            notification["method"], "notifications/progress",
            "{version}"
        );
        assert_eq!(notification["params"]["progressToken"], "x", "{version}");
        assert_ada(&events.next_message().await["result"]);
    }
}

#[tokio::test]
async fn headers_that_contradict_the_message_are_rejected() {
    let team = team().await;
    let mary = team.caller(MARY);
    let body = request(
        WITHOUT_HANDSHAKE,
        1,
        "tools/call",
        json!({"name": "persons-list", "arguments": {}}),
    );
    let usual = [
        ("mcp-protocol-version", WITHOUT_HANDSHAKE),
        ("mcp-method", "tools/call"),
        ("mcp-name", "persons-list"),
    ];
    for (changed, value) in [
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-protocol-version", "2199-01-01"),
        ("mcp-method", "tools/list"),
        ("mcp-name", "persons-bulk-delete"),
        ("mcp-method", ""),
        ("mcp-name", ""),
    ] {
        let mut request = mary.request(Method::POST, "/mcp");
        for (name, usual) in usual {
            let value = if name == changed { value } else { usual };
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let reply = mary.read(request.json(&body)).await;
        assert_eq!(reply.status, 400, "{changed}: {value}: {}", reply.text);
        assert!(reply.json()["error"]["code"].is_i64(), "{}", reply.text);
    }
    assert!(team.sandbox.requests().is_empty());
}

#[tokio::test]
async fn legacy_sse_lists_calls_and_rejects() {
    let team = team().await;
    let mary = team.caller(MARY);
    for version in ["2024-11-05", "2025-06-18"] {
        let mut legacy = LegacyClient::begin_with(&mary, version).await;
        let list = legacy.send_request("tools/list", json!({})).await;
        assert_eq!(tool_names(&list), all_tools());
        assert_ada(&legacy.call("persons-list", &ada_arguments()).await);
        let params = json!({"name": "persons-unknown", "arguments": {}});
        let unknown = legacy.send_request("tools/call", params).await;
        assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
        let wrong = legacy.posting(&json!({"no": "message"}));
        assert_eq!(mary.read(wrong).await.status, 400);
        // The session continues.
        assert_ada(&legacy.call("persons-list", &ada_arguments()).await);
    }
}

#[tokio::test]
async fn closed_stream_accepts_no_messages() {
    let team = team().await;
    let mary = team.caller(MARY);
    let LegacyClient {
        events, messages, ..
    } = LegacyClient::begin(&mary).await;
    drop(events);
    let message = request("2024-11-05", 9, "tools/list", json!({}));
    // The server notices the disconnect with a delay.
    let refused = async {
        loop {
            let late = mary.request(Method::POST, &messages).json(&message);
            let status = mary.read(late).await.status;
            if matches!(status, 404 | 410) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let refused = tokio::time::timeout(crate::wire::TIMEOUT, refused).await;
    refused.expect("the stream is forgotten");
}

#[tokio::test]
async fn no_sse_removes_both_routes() {
    let team = team_with(Setup {
        legacy_sse: false,
        ..Setup::default()
    })
    .await;
    let mary = team.caller(MARY);
    assert_eq!(mary.get("/sse").await.status, 404);
    let message = request("2024-11-05", 1, "ping", json!({}));
    let post = mary.request(Method::POST, "/messages?sessionId=1");
    assert_eq!(mary.read(post.json(&message)).await.status, 404);
    assert_eq!(mary.tool_names().await, all_tools());
}

#[tokio::test]
async fn unknown_session_is_not_found() {
    let team = team().await;
    let mary = team.caller(MARY);
    let list = request(WITH_HANDSHAKE[2], 1, "tools/list", json!({}));
    let made_up = |method| mary.request(method, "/mcp").header(SESSION, NOBODY);
    let post = mary.read(made_up(Method::POST).json(&list)).await;
    assert_eq!(post.status, 404, "{}", post.text);
    assert_eq!(mary.read(made_up(Method::GET)).await.status, 404);
    let path = format!("/messages?sessionId={NOBODY}");
    let post = mary.request(Method::POST, &path).json(&list);
    assert_eq!(mary.read(post).await.status, 404);
    // Without a session id only `initialize` is accepted.
    let post = mary.request(Method::POST, "/mcp").json(&list);
    let post = mary.read(post).await;
    assert!((400..500).contains(&post.status), "{}", post.text);
}

/// The routes that take messages.
async fn message_routes(mary: &Caller) -> (LegacyClient, [String; 2]) {
    let legacy = LegacyClient::begin(mary).await;
    let routes = ["/mcp".to_owned(), legacy.messages.clone()];
    (legacy, routes)
}

#[tokio::test]
async fn invalid_message_is_rejected_and_the_server_keeps_serving() {
    let team = team().await;
    let mary = team.caller(MARY);
    let (_open, routes) = message_routes(&mary).await;
    for route in &routes {
        let deep = "[".repeat(100_000);
        let bodies = [
            "",
            "{",
            "[]",
            "null",
            "no JSON at all",
            "\u{0}",
            "{}",
            &deep,
        ];
        let broken: &[u8] = b"\xff\xfe{}";
        for body in bodies.map(str::as_bytes).iter().chain([&broken]) {
            let request = mary
                .request(Method::POST, route)
                .header("content-type", "application/json")
                .body(body.to_vec());
            let reply = mary.read(request).await;
            assert!(
                (400..500).contains(&reply.status),
                "{route} {:.60}: {} {}",
                String::from_utf8_lossy(body),
                reply.status,
                reply.text
            );
        }
    }
    assert_eq!(mary.tool_names().await, all_tools());
}

#[tokio::test]
async fn body_over_one_mebibyte_is_rejected() {
    let team = team().await;
    let mary = team.caller(MARY);
    let (_open, routes) = message_routes(&mary).await;
    for route in &routes {
        for (length, too_large) in [(MIB, false), (MIB + 1, true)] {
            let request = mary
                .request(Method::POST, route)
                .header("content-type", "application/json")
                .body(" ".repeat(length));
            let status = mary.read(request).await.status;
            assert_eq!(status == 413, too_large, "{route} {length}: {status}");
        }
    }
    // Also without a content length.
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {MARY}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", MIB + 1, " ".repeat(MIB + 1));
    let received = super::send_raw(team.address, &(head + &chunk)).await;
    assert!(received.starts_with("HTTP/1.1 413 "), "{received}");
    // A public route needs no body, and does not wait for one.
    for route in PUBLIC_ROUTES {
        let head = format!(
            "POST {route} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {MIB}\r\n\r\n"
        );
        let received = super::send_raw(team.address, &head).await;
        assert!(received.starts_with("HTTP/1.1 405 "), "{route}: {received}");
    }
    assert_eq!(mary.tool_names().await, all_tools());
}
