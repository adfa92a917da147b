//! The limits on sessions and streams.

use futures::future::join_all;
use posthog_persons_mcp::http::HttpLimits;
use serde_json::json;

use super::limits::{team_limited_to, wait_until};
use super::{
    Caller, EventStream, JOHN, LegacyClient, MARY, McpClient, Method, Process, all_tools,
    binary_at, team,
};
use crate::ADA;
use crate::wire::{WITH_HANDSHAKE, request};

async fn is_open(session: &McpClient) -> bool {
    let ping = request(session.version, 77, "tools/list", json!({}));
    let status = session.post(&ping).await.status().as_u16();
    assert!(matches!(status, 200 | 404), "{status}");
    status == 200
}

async fn open_sessions(caller: &Caller, count: usize) -> Vec<McpClient> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        sessions.push(McpClient::begin(caller, WITH_HANDSHAKE[2]).await);
    }
    sessions
}

#[tokio::test]
async fn credential_over_the_session_limit_evicts_its_own_sessions() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 4,
        ..HttpLimits::default()
    })
    .await;
    let johns = open_sessions(&team.caller(JOHN), 1).await;
    let marys = open_sessions(&team.caller(MARY), 10).await;
    assert!(is_open(&johns[0]).await);
    let mut living = Vec::new();
    for session in &marys {
        living.push(is_open(session).await);
    }
    // The newest remain.
    assert_eq!(living, [vec![false; 7], vec![true; 3]].concat());
}

#[tokio::test]
async fn least_recently_used_session_is_evicted() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 3,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let first = open_sessions(&mary, 1).await;
    for _ in 0..6 {
        assert!(is_open(&first[0]).await);
        open_sessions(&mary, 1).await;
    }
    assert!(is_open(&first[0]).await);
}

#[tokio::test]
async fn request_without_a_session_evicts_none() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 2,
        ..HttpLimits::default()
    })
    .await;
    let marys = open_sessions(&team.caller(MARY), 2).await;
    let john = team.caller(JOHN);
    assert_eq!(john.tool_names().await, all_tools());
    john.get("/mcp").await;
    john.read(john.request(Method::POST, "/mcp").body("{"))
        .await;
    for session in &marys {
        assert!(is_open(session).await);
    }
}

#[tokio::test]
async fn concurrent_initializes_respect_the_session_limit() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 4,
        max_in_flight_per_credential: 64,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let begun = (0..40).map(|_| async {
        let hello = crate::wire::opening_messages(WITH_HANDSHAKE[2]).remove(0);
        let hello = mary.request(Method::POST, "/mcp").json(&hello);
        let response = mary.send(hello).await;
        let session = response.headers()[super::SESSION].to_str().unwrap();
        let session = session.to_owned();
        EventStream::of(response).end().await;
        session
    });
    let mut living = 0;
    for session in join_all(begun).await {
        let list = request(WITH_HANDSHAKE[2], 77, "tools/list", json!({}));
        let list = mary
            .request(Method::POST, "/mcp")
            .header(super::SESSION, session)
            .json(&list);
        if mary.send(list).await.status() == 200 {
            living += 1;
        }
    }
    assert!(living <= 4, "{living}");
}

#[tokio::test]
async fn streams_of_one_credential_leave_room_for_another() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 4,
        ..HttpLimits::default()
    })
    .await;
    let (mary, john) = (team.caller(MARY), team.caller(JOHN));
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..6 {
        let response = mary.send(mary.request(Method::GET, "/sse")).await;
        match response.status().as_u16() {
            200 => open.push(response),
            429 | 503 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!(refused >= 2, "{refused}");
    LegacyClient::begin(&john).await;
}

#[tokio::test]
async fn streams_over_the_limit_are_rejected() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 2,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let one = LegacyClient::begin(&mary).await;
    let _other = LegacyClient::begin(&mary).await;
    let third = mary.read(mary.request(Method::GET, "/sse")).await;
    assert!(matches!(third.status, 429 | 503), "{}", third.text);
    drop(one);
    wait_until("there is room again", async || {
        let open = mary.send(mary.request(Method::GET, "/sse")).await;
        open.status() == 200
    })
    .await;
}

fn number(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("no {name}: {metrics}"));
    value.trim().parse().unwrap()
}

#[tokio::test]
async fn server_responds_after_1500_initializes() {
    let team = team().await;
    let process = Process::start(binary_at(&team.sandbox.url(), &[])).await;
    let (mary, john) = (process.caller(MARY), process.caller(JOHN));
    let mut old = McpClient::begin(&john, WITH_HANDSHAKE[3]).await;
    for _ in 0..1_500 {
        McpClient::begin(&mary, WITH_HANDSHAKE[3]).await;
    }
    let person = json!({"id": ADA});
    let message = old.call("persons-retrieve", &person).await;
    assert_eq!(message["isError"], false, "{message}");
    for caller in [&mary, &john] {
        let mut new = McpClient::begin(caller, WITH_HANDSHAKE[0]).await;
        let message = new.call("persons-retrieve", &person).await;
        assert_eq!(message["isError"], false, "{message}");
        let message = caller.call("persons-retrieve", &person).await;
        assert_eq!(message["isError"], false, "{message}");
    }
    let open = number(&mary.get("/metrics").await.text, "mcp_sessions ");
    assert!((2.0..=1_000.0).contains(&open), "{open}");
    process.stop().await;
}
