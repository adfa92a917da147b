//! Shutdown, health checks and metrics.

use std::time::Duration;

use futures::future::join_all;
use posthog_sandbox::Sandbox;
use reqwest::Response;
use serde_json::{Value, json};

use super::{
    EventStream, JOHN, LegacyClient, MARY, McpClient, Method, Process, Setup, binary, binary_at,
    caller, team, team_with,
};
use crate::upstream::{ResponseTiming, Upstream};
use crate::wire::{WITH_HANDSHAKE, request};
use crate::writing::QA;
use crate::{ADA, NOBODY};

/// Long enough that the calls are in flight when the signal arrives.
const CALL_DURATION: Duration = Duration::from_millis(700);

fn list() -> Value {
    json!({"name": "persons-list", "arguments": {}})
}

#[tokio::test]
async fn shutdown_under_load_loses_no_response() {
    for signal in ["-TERM", "-INT"] {
        let upstream = Upstream::start(ResponseTiming::After(CALL_DURATION)).await;
        let process = Process::start(binary_at(&upstream.url(), &[])).await;
        let (mary, john) = (process.caller(MARY), process.caller(JOHN));
        let mut sessions = Vec::new();
        for version in WITH_HANDSHAKE {
            sessions.push(McpClient::begin(&john, version).await);
        }
        let idle = McpClient::begin(&mary, WITH_HANDSHAKE[3]).await;
        let idle = EventStream::of(mary.send(idle.request(Method::GET)).await);
        let legacy = LegacyClient::begin(&mary).await;
        // An idle keep-alive connection.
        assert_eq!(mary.get("/healthz").await.status, 200);

        let alone = (0..20).map(|_| async {
            let call = mary.calling("persons-list", &json!({}));
            let reply = mary.read(call).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            reply.json()["result"].clone()
        });
        let anything = json!({});
        let in_sessions = sessions
            .iter_mut()
            .map(|session| session.call("persons-list", &anything));
        let calls = async { tokio::join!(join_all(alone), join_all(in_sessions)) };
        let stopping = async {
            upstream.wait_until(|counts| counts.waiting == 12).await;
            process.signal(signal).await;
            // Eight of Mary's and four of John's are in flight, the rest are queued. New requests are rejected or not
            // accepted.
            let late = caller(process.address, Some(JOHN));
            let late = late.calling("persons-list", &json!({})).send();
            late.await.map(|response: Response| response.status()).ok()
        };
        let ((alone, in_sessions), late) = tokio::join!(calls, stopping);
        for result in alone.iter().chain(&in_sessions) {
            assert_eq!(result["isError"], false, "{signal}: {result}");
            assert_eq!(
                result["structuredContent"]["results"],
                json!([]),
                "{result}"
            );
        }
        assert!(late.is_none_or(|status| status == 503), "{late:?}");
        idle.end().await;
        legacy.events.end().await;
        // One more for each key, which opens sessions.
        assert_eq!(upstream.counts().requests, 24 + 2, "{signal}");
        let address = process.address;
        let (code, log) = process.end().await;
        assert_eq!(code, Some(0), "{signal}: {log}");
        let gone = caller(address, Some(MARY));
        assert!(gone.request(Method::GET, "/healthz").send().await.is_err());
    }
}

#[tokio::test]
async fn open_connection_gets_no_new_requests_during_shutdown() {
    let upstream = Upstream::start(ResponseTiming::After(CALL_DURATION)).await;
    let team = team_with(Setup {
        upstream: Some(upstream.url()),
        ..Setup::default()
    })
    .await;
    let mary = team.caller(MARY);
    let call = mary.calling("persons-list", &json!({})).send();
    let call = tokio::spawn(call);
    upstream.wait_until(|counts| counts.waiting == 1).await;
    // It stays open while the other is in use.
    assert_eq!(mary.get("/healthz").await.status, 200);
    team.stop.cancel();
    // The server receives the signal with a delay.
    loop {
        let late = mary.read(mary.stateless("tools/list", json!({}))).await;
        if late.status == 503 {
            assert!(late.text.contains("shutting down"), "{}", late.text);
            break;
        }
        assert_eq!(late.status, 200, "{}", late.text);
    }
    let message = super::FullResponse::of(call.await.unwrap().unwrap()).await;
    assert_eq!(message.status, 200, "{}", message.text);
    team.stop().await;
}

#[tokio::test]
async fn legacy_sse_call_completes_before_shutdown() {
    let upstream = Upstream::start(ResponseTiming::After(CALL_DURATION)).await;
    let process = Process::start(binary_at(&upstream.url(), &[])).await;
    let mut legacy = LegacyClient::begin(&process.caller(MARY)).await;
    let id = legacy.open("tools/call", list()).await;
    upstream.wait_until(|counts| counts.waiting == 1).await;
    process.signal("-TERM").await;
    let message = legacy.events.next_message().await;
    assert_eq!(message["id"], id, "{message}");
    assert_eq!(message["result"]["isError"], false, "{message}");
    legacy.events.end().await;
    assert_eq!(process.end().await.0, Some(0));
}

#[tokio::test]
async fn open_elicitation_does_not_delay_shutdown() {
    let process = Process::start(binary(&["--sandbox"])).await;
    let mary = caller(process.address, None).with_elicitation();
    let mut session = McpClient::begin(&mary, WITH_HANDSHAKE[3]).await;
    let params = json!({"name": "persons-bulk-delete", "arguments": {"ids": [QA[0]]}});
    let (id, mut events) = session.open("tools/call", params).await;
    let question = events.next_message().await;
    assert_eq!(question["method"], "elicitation/create", "{question}");
    process.signal("-TERM").await;
    let message = events.next_message().await;
    assert_eq!(message["id"], id, "{message}");
    super::assert_rejected(&message["result"], "Nothing was sent: ");
    assert_eq!(process.end().await.0, Some(0));
}

#[tokio::test]
async fn idle_server_shuts_down_immediately() {
    for signal in ["-TERM", "-INT"] {
        let process = Process::start(binary(&["--sandbox"])).await;
        // An open connection without a request in flight.
        let anonymous = caller(process.address, None);
        assert_eq!(anonymous.get("/healthz").await.status, 200);
        let _silent = tokio::net::TcpStream::connect(process.address).await;
        process.signal(signal).await;
        let begun = std::time::Instant::now();
        let (code, log) = process.end().await;
        assert_eq!(code, Some(0), "{log}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

// Health.

#[tokio::test]
async fn server_is_healthy_and_ready_if_posthog_responds() {
    let team = team().await;
    let anonymous = caller(team.address, None);
    for path in ["/healthz", "/readyz"] {
        let reply = anonymous.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    }
    // Without an API key.
    for request in team.sandbox.requests() {
        assert_eq!(request.header("authorization"), None);
    }
}

#[tokio::test]
async fn server_is_healthy_but_not_ready_if_posthog_is_unreachable() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
    let away = listener.unwrap().local_addr().unwrap();
    let team = team_with(Setup {
        upstream: Some(format!("http://{away}")),
        shared: Some(None),
        ..Setup::default()
    })
    .await;
    let anonymous = caller(team.address, None);
    assert_eq!(anonymous.get("/healthz").await.status, 200);
    let reply = anonymous.get("/readyz").await;
    assert_eq!(reply.status, 503, "{}", reply.text);
    assert!(reply.text.contains("PostHog"), "{}", reply.text);
    assert!(!reply.text.contains(Sandbox::KEY), "{}", reply.text);
}

// Metrics.

/// The value of the metric with this name and these labels.
fn value(metrics: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let line = metrics.lines().find(|line| {
        let series = line.split([' ', '{']).next();
        series == Some(name) && labels.iter().all(|label| line.contains(label))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn metrics_count_calls_and_contain_no_personal_data() {
    let team = team().await;
    let process = Process::start(binary_at(&team.sandbox.url(), &[])).await;
    let mary = process.caller(MARY);
    let mut session = McpClient::begin(&mary, WITH_HANDSHAKE[3]).await;
    for _ in 0..3 {
        let found = session
            .call("persons-list", &json!({"email": "ada@example.com"}))
            .await;
        assert_eq!(found["isError"], false, "{found}");
    }
    mary.call("persons-retrieve", &json!({"id": ADA})).await;
    mary.call("persons-retrieve", &json!({"id": NOBODY})).await;
    mary.call("persons-retrieve", &json!({"id": "ada@example.com"}))
        .await;
    let asking = mary.with_elicitation();
    asking
        .call("persons-bulk-delete", &json!({"distinct_ids": ["qa-1"]}))
        .await;
    process
        .caller("phx_wrong_key_4711")
        .call("persons-retrieve", &json!({"id": ADA}))
        .await;
    // Unknown tool names become no label.
    let made_up = mary.calling("persons-of-ada@example.com", &json!({}));
    mary.read(made_up).await;
    let _older = LegacyClient::begin(&mary).await;

    let reply = caller(process.address, None).get("/metrics").await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").starts_with("text/plain"));
    let metrics = reply.text;
    let number = |name: &str, labels: &[&str]| {
        let found = value(&metrics, name, labels);
        found.unwrap_or_else(|| panic!("no {name} {labels:?}: {metrics}"))
    };
    let calls = "mcp_tool_calls_total";
    let of = |tool: &str, outcome: &str| {
        number(
            calls,
            &[
                &format!("tool=\"{tool}\""),
                &format!("outcome=\"{outcome}\""),
            ],
        )
    };
    assert_eq!(of("persons-list", "ok"), 3.0);
    assert_eq!(of("persons-retrieve", "ok"), 1.0);
    assert_eq!(of("persons-retrieve", "error"), 3.0);
    assert_eq!(of("persons-bulk-delete", "input required"), 1.0);
    let seconds = "mcp_tool_call_seconds";
    let tool = "tool=\"persons-list\"";
    assert_eq!(number(&format!("{seconds}_count"), &[tool]), 3.0);
    assert_eq!(
        number(&format!("{seconds}_bucket"), &[tool, "le=\"+Inf\""]),
        3.0
    );
    let upstream = "posthog_requests_total";
    assert!(number(upstream, &["status=\"200\""]) >= 5.0);
    assert!(number(upstream, &["status=\"404\""]) >= 1.0);
    assert_eq!(number(upstream, &["status=\"401\""]), 1.0);
    assert_eq!(number("mcp_requests_in_flight", &[]), 0.0);
    assert_eq!(number("mcp_sessions", &[]), 1.0);

    for secret in [
        "ada",
        "qa-1",
        "@",
        ADA,
        NOBODY,
        "phx_",
        "7f3a91c2",
        session.session(),
    ] {
        assert!(!metrics.contains(secret), "{secret}: {metrics}");
    }
    // Only these labels, so that the number of series is bounded.
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let Some((_, labels)) = line.split_once('{') else {
            continue;
        };
        let labels = labels.split_once('}').unwrap().0;
        for label in labels.split("\",") {
            let name = label.split('=').next().unwrap();
            assert!(
                ["tool", "outcome", "status", "le", "quantile"].contains(&name),
                "{line}"
            );
        }
    }
    drop(session);
    process.stop().await;
}

#[tokio::test]
async fn metrics_show_requests_in_flight() {
    let upstream = Upstream::start(ResponseTiming::Never).await;
    let process = Process::start(binary_at(&upstream.url(), &[])).await;
    let mary = process.caller(MARY);
    let calls = (0..3).map(|_| tokio::spawn(mary.calling("persons-list", &json!({})).send()));
    let calls: Vec<_> = calls.collect();
    upstream.wait_until(|counts| counts.waiting == 3).await;
    let metrics = mary.get("/metrics").await.text;
    let under_way = value(&metrics, "mcp_requests_in_flight", &[]);
    assert_eq!(under_way, Some(3.0), "{metrics}");
    for call in &calls {
        call.abort();
    }
    // A client that disconnects also closes its request to PostHog.
    upstream.wait_until(|counts| counts.disconnected == 3).await;
    let metrics = mary.get("/metrics").await.text;
    let under_way = value(&metrics, "mcp_requests_in_flight", &[]);
    assert_eq!(under_way, Some(0.0), "{metrics}");
    process.stop().await;
}

#[tokio::test]
async fn metrics_drop_ended_sessions() {
    let process = Process::start(binary(&["--sandbox"])).await;
    let anonymous = caller(process.address, None);
    let session = McpClient::begin(&anonymous, WITH_HANDSHAKE[2]).await;
    let sessions = async || {
        let metrics = anonymous.get("/metrics").await.text;
        value(&metrics, "mcp_sessions", &[])
    };
    assert_eq!(sessions().await, Some(1.0));
    let closed = anonymous.send(session.request(Method::DELETE)).await;
    assert!(closed.status().is_success());
    assert_eq!(sessions().await, Some(0.0));
    let late = request(WITH_HANDSHAKE[2], 1, "tools/list", json!({}));
    assert_eq!(session.post(&late).await.status(), 404);
    process.stop().await;
}
