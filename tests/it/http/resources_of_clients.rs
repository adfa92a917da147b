//! What clients can make the server hold: connections, bodies, streams, subscriptions, unread responses. All of it is
//! bounded, and a full server still answers.

use posthog_persons_mcp::http::HttpLimits;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::limits::{abort_all, status, team_limited_to, wait_until};
use super::{JOHN, LegacyClient, MARY, McpClient, Method, Setup, team, team_with};
use crate::wire::{TIMEOUT, WITH_HANDSHAKE, opening_messages, request};
use crate::{ADA, NOBODY};

// Connections.

#[tokio::test]
async fn idle_connections_give_way() {
    let team = team_limited_to(HttpLimits {
        max_connections: Some(8),
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(team.address).await.unwrap());
        if idle.len() % 20 == 0 {
            assert_eq!(status(&mary).await, 200);
            assert_eq!(team.caller(JOHN).get("/healthz").await.status, 200);
        }
    }
    // Those that were idle the longest are closed.
    let mut byte = [0];
    let read = timeout(TIMEOUT, idle[0].read(&mut byte)).await;
    assert!(matches!(read.expect("it is closed"), Ok(0) | Err(_)));
}

#[tokio::test]
async fn full_server_still_reports_its_health() {
    let team = team_limited_to(HttpLimits {
        max_connections: Some(4),
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    assert_eq!(status(&mary).await, 200);
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let call = mary
                .calling("persons-retrieve", &json!({"id": 9_999}))
                .send();
            tokio::spawn(async move { drop(call.await) })
        })
        .collect();
    wait_until("every connection is busy", async || {
        let requests = team.sandbox.requests();
        let stalled = requests
            .iter()
            .filter(|request| request.path.contains("/9999/"));
        stalled.count() == 4
    })
    .await;
    for _ in 0..20 {
        // Each has a connection of its own.
        let john = team.caller(JOHN);
        assert_eq!(john.get("/healthz").await.status, 200);
        let list = john.read(john.stateless("tools/list", json!({}))).await;
        assert_eq!(list.status, 503, "{}", list.text);
        assert_eq!(list.header("retry-after"), "1");
    }
    abort_all(calls);
    wait_until("there is room again", async || {
        status(&team.caller(MARY)).await == 200
    })
    .await;
}

// Bodies.

#[tokio::test]
async fn request_without_a_credential_is_rejected_before_its_body() {
    let team = team().await;
    for shared in [false, true] {
        let team = team_with(Setup {
            shared: shared.then_some(Some(super::credentials::TOKEN)),
            ..Setup::default()
        })
        .await;
        for path in ["/mcp", "/messages?sessionId=1"] {
            let mut stream = TcpStream::connect(team.address).await.unwrap();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut response = [0; 12];
            let read = timeout(TIMEOUT, stream.read_exact(&mut response)).await;
            read.expect("a response in time").unwrap();
            assert_eq!(response, *b"HTTP/1.1 401");
        }
    }
    drop(team);
}

#[tokio::test]
async fn bodies_together_are_limited() {
    let team = team_limited_to(HttpLimits {
        max_body_bytes: 8 * 100_000,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    assert_eq!(status(&mary).await, 200);
    let call = |bytes: usize| {
        let filler = " ".repeat(bytes);
        let call = mary.calling("persons-retrieve", &json!({"id": ADA}));
        let body = String::from_utf8(
            call.try_clone()
                .unwrap()
                .build()
                .unwrap()
                .body()
                .unwrap()
                .as_bytes()
                .unwrap()
                .to_vec(),
        );
        call.body(body.unwrap() + &filler)
    };
    assert_eq!(mary.read(call(90_000)).await.status, 200);
    let refused = mary.read(call(110_000)).await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert_eq!(refused.header("retry-after"), "1");
    // A slow one keeps what it has sent, and others use the rest.
    let mut slow = TcpStream::connect(team.address).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {MARY}\r\ncontent-length: 100000\r\n\r\n{}",
        " ".repeat(60_000)
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    wait_until("the slow body takes its share", async || {
        mary.read(call(60_000)).await.status == 503
    })
    .await;
    assert_eq!(mary.read(call(20_000)).await.status, 200);
    drop(slow);
    wait_until("its share is free again", async || {
        mary.read(call(60_000)).await.status == 200
    })
    .await;
}

/// A megabyte of empty lists would become a hundred.
#[tokio::test]
async fn values_of_bodies_are_limited() {
    let team = team_limited_to(HttpLimits {
        max_body_bytes: 8 * 1_000_000,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let lists = |count: usize| json!(vec![json!([]); count]);
    let call = |made_up: Value| mary.calling("persons-list", &json!({"made_up": made_up}));
    for (count, status) in [(500, 200), (2_500, 503), (15_000, 413), (300_000, 413)] {
        for made_up in [lists(count), lists(count).to_string().into()] {
            let reply = mary.read(call(made_up)).await;
            assert_eq!(reply.status, status, "{count} {}", reply.text);
        }
    }
    let bodies = lists(15_000);
    let reply = mary.read(call(bodies)).await;
    assert!(
        reply.text.starts_with("The request has too many values"),
        "{}",
        reply.text
    );
    // A key that PostHog has not accepted has no more.
    let made_up = team.caller("phx_made_up_0000");
    let hello = made_up.request(Method::POST, "/mcp").json(&lists(15_000));
    assert_eq!(made_up.read(hello).await.status, 413);
    assert_eq!(status(&mary).await, 200);
}

// Sessions and streams.

#[tokio::test]
async fn handshake_is_small() {
    let team = team().await;
    let mary = team.caller(MARY);
    let hello = |bytes: usize| {
        let mut hello = opening_messages(WITH_HANDSHAKE[2]).remove(0);
        hello["params"]["clientInfo"]["name"] = "x".repeat(bytes).into();
        hello
    };
    let open = |hello: Value| mary.request(Method::POST, "/mcp").json(&hello);
    assert_eq!(mary.send(open(hello(10_000))).await.status(), 200);
    assert_eq!(mary.read(open(hello(20_000))).await.status, 413);
    let legacy = LegacyClient::begin(&mary).await;
    let mut again = hello(20_000);
    again["id"] = json!(9);
    assert_eq!(mary.read(legacy.posting(&again)).await.status, 413);
}

#[tokio::test]
async fn session_watches_persons_and_nothing_else() {
    let team = team().await;
    let mary = team.caller(MARY);
    let mut session = McpClient::begin(&mary, WITH_HANDSHAKE[2]).await;
    for uri in [
        format!("posthog://persons/{}", "x".repeat(100_000)),
        format!("https://example.com/{}", "x".repeat(100_000)),
        "posthog://persons/101".to_owned(),
        "made:up".to_owned(),
    ] {
        let params = json!({"uri": uri});
        let reply = session.send_request("resources/subscribe", params).await;
        assert_eq!(reply["error"]["code"], -32602, "{reply}");
        let params = json!({"uri": uri});
        let reply = session.send_request("resources/unsubscribe", params).await;
        assert_eq!(reply["result"], json!({}), "{reply}");
    }
    for number in 0..1_000 {
        let uri = format!("posthog://persons/ada0ada0-1815-4852-8000-{number:012}");
        let reply = session
            .send_request("resources/subscribe", json!({"uri": uri}))
            .await;
        assert_eq!(reply["result"], json!({}), "{reply}");
    }
    let one_more = json!({"uri": format!("posthog://persons/{NOBODY}")});
    let reply = session
        .send_request("resources/subscribe", one_more.clone())
        .await;
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(message.contains("at most 1000"), "{reply}");
    let uri = "posthog://persons/ada0ada0-1815-4852-8000-000000000007";
    session
        .send_request("resources/unsubscribe", json!({"uri": uri}))
        .await;
    let reply = session.send_request("resources/subscribe", one_more).await;
    assert_eq!(reply["result"], json!({}), "{reply}");
}

#[tokio::test]
async fn two_credentials_cannot_take_all_streams() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 8,
        ..HttpLimits::default()
    })
    .await;
    let mut held = Vec::new();
    for key in [MARY, JOHN] {
        let caller = team.caller(key);
        for _ in 0..8 {
            let response = caller.send(caller.request(Method::GET, "/sse")).await;
            if response.status() == 200 {
                held.push(response);
            }
        }
    }
    assert!(held.len() >= 8);
    let other = team.caller(posthog_sandbox::Sandbox::KEY);
    let mut legacy = LegacyClient::begin(&other).await;
    let result = legacy.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(result["isError"], false, "{result}");
}

#[tokio::test]
async fn gets_and_notifications_are_counted() {
    let team = team_limited_to(HttpLimits {
        max_requests_per_minute: 10,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let session = McpClient::begin(&mary, WITH_HANDSHAKE[2]).await;
    let note = json!({"jsonrpc": "2.0", "method": "notifications/made/up"});
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(session.post(&note).await.status().as_u16());
        let get = mary.send(session.request(Method::GET)).await;
        statuses.push(get.status().as_u16());
    }
    assert_eq!(statuses[..4], [202, 200, 202, 200]);
    assert!(
        statuses[10..].iter().all(|status| *status == 429),
        "{statuses:?}"
    );
    assert_eq!(status(&team.caller(JOHN)).await, 200);
}

/// A client that sends requests on a stream that it never reads runs out of places.
#[tokio::test]
async fn unread_stream_holds_the_places_of_its_responses() {
    /// More than every buffer between the server and the client holds.
    const MAX_UNREAD: usize = 12_000_000;
    let team = team_limited_to(HttpLimits {
        max_in_flight_per_credential: 4,
        max_requests_per_minute: u64::MAX,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let list = mary.read(mary.stateless("tools/list", json!({}))).await;
    let enough = MAX_UNREAD / list.text.len();
    assert_eq!(status(&mary).await, 200);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    let mut stream = socket.connect(team.address).await.unwrap();
    let head = format!(
        "GET /sse HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {MARY}\r\naccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut opened = String::new();
    while !opened.contains("sessionId=") || !opened.ends_with("\n\n\r\n") {
        let byte = timeout(TIMEOUT, stream.read_u8())
            .await
            .expect("the endpoint");
        opened.push(char::from(byte.unwrap()));
    }
    let (_, path) = opened.split_once("data: ").unwrap();
    let path = path.lines().next().unwrap();
    let post = |message: &Value| mary.request(Method::POST, path).json(message);
    for message in opening_messages("2024-11-05") {
        assert_eq!(mary.read(post(&message)).await.status, 202);
    }
    let mut refused = 0;
    for id in 1..=enough as u64 {
        let list = request("2024-11-05", id, "tools/list", json!({}));
        if mary.read(post(&list)).await.status == 429 {
            refused += 1;
            if refused > 10 {
                break;
            }
        }
    }
    assert!(refused > 10, "{enough} responses were accepted unread");
    // They are released with the stream.
    drop(stream);
    wait_until("the places are free again", async || {
        status(&mary).await == 200
    })
    .await;
    assert_eq!(status(&team.caller(JOHN)).await, 200);
}

/// So does one that requests a page and reads none of it, until it is given up.
#[tokio::test]
async fn connection_whose_client_reads_nothing_is_closed() {
    let team = team_limited_to(HttpLimits {
        max_in_flight_per_credential: 2,
        max_requests_per_minute: u64::MAX,
        write_timeout: std::time::Duration::from_millis(200),
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let list = request(crate::wire::WITHOUT_HANDSHAKE, 1, "tools/list", json!({})).to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {MARY}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: {}\r\nmcp-method: tools/list\r\n\
         content-length: {}\r\n\r\n{list}",
        crate::wire::WITHOUT_HANDSHAKE,
        list.len()
    );
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    let mut stream = socket.connect(team.address).await.unwrap();
    // Responses are sent until nothing more fits between the server and the client, then the connection is reset.
    let sending = async {
        while stream.write_all(head.as_bytes()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(3 * TIMEOUT, sending)
        .await
        .expect("the connection is closed");
    wait_until("its place is free again", async || {
        status(&mary).await == 200
    })
    .await;
}

// Health.

#[tokio::test]
async fn readiness_asks_posthog_at_most_once_a_second() {
    let team = team().await;
    let caller = team.caller(MARY);
    let hits = (0..40).map(|_| caller.get("/readyz"));
    for reply in futures::future::join_all(hits).await {
        assert_eq!(reply.status, 200);
    }
    assert!(team.sandbox.requests().len() < 10);
}
