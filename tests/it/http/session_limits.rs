//! The limits on sessions and streams.

use futures::future::join_all;
use posthog_persons_mcp::http::HttpLimits;
use serde_json::json;

use super::limits::{team_limited_to, until};
use super::{
    Caller, Conversation, Events, JOHN, MARY, Method, Older, Process, all_tools, binary_at, team,
};
use crate::ADA;
use crate::wire::{WITH_HANDSHAKE, request};

async fn alive(session: &Conversation) -> bool {
    let ping = request(session.version, 77, "tools/list", json!({}));
    let status = session.post(&ping).await.status().as_u16();
    assert!(matches!(status, 200 | 404), "{status}");
    status == 200
}

async fn sessions(caller: &Caller, count: usize) -> Vec<Conversation> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        sessions.push(Conversation::begin(caller, WITH_HANDSHAKE[2]).await);
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
    let johns = sessions(&team.caller(JOHN), 1).await;
    let marys = sessions(&team.caller(MARY), 10).await;
    assert!(alive(&johns[0]).await);
    let mut living = Vec::new();
    for session in &marys {
        living.push(alive(session).await);
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
    let first = sessions(&mary, 1).await;
    for _ in 0..6 {
        assert!(alive(&first[0]).await);
        sessions(&mary, 1).await;
    }
    assert!(alive(&first[0]).await);
}

#[tokio::test]
async fn request_without_a_session_evicts_none() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 2,
        ..HttpLimits::default()
    })
    .await;
    let marys = sessions(&team.caller(MARY), 2).await;
    let john = team.caller(JOHN);
    assert_eq!(john.offered().await, all_tools());
    john.get("/mcp").await;
    john.read(john.request(Method::POST, "/mcp").body("{"))
        .await;
    for session in &marys {
        assert!(alive(session).await);
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
        let hello = crate::wire::beginning(WITH_HANDSHAKE[2]).remove(0);
        let hello = mary.request(Method::POST, "/mcp").json(&hello);
        let response = mary.send(hello).await;
        let session = response.headers()[super::SESSION].to_str().unwrap();
        let session = session.to_owned();
        Events::of(response).end().await;
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
    Older::begin(&john).await;
}

#[tokio::test]
async fn streams_over_the_limit_are_rejected() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 2,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let one = Older::begin(&mary).await;
    let _other = Older::begin(&mary).await;
    let third = mary.read(mary.request(Method::GET, "/sse")).await;
    assert!(matches!(third.status, 429 | 503), "{}", third.text);
    drop(one);
    until("there is room again", async || {
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
    let mut old = Conversation::begin(&john, WITH_HANDSHAKE[3]).await;
    for _ in 0..1_500 {
        Conversation::begin(&mary, WITH_HANDSHAKE[3]).await;
    }
    let person = json!({"id": ADA});
    let answer = old.call("persons-retrieve", &person).await;
    assert_eq!(answer["isError"], false, "{answer}");
    for caller in [&mary, &john] {
        let mut new = Conversation::begin(caller, WITH_HANDSHAKE[0]).await;
        let answer = new.call("persons-retrieve", &person).await;
        assert_eq!(answer["isError"], false, "{answer}");
        let answer = caller.call("persons-retrieve", &person).await;
        assert_eq!(answer["isError"], false, "{answer}");
    }
    let open = number(&mary.get("/metrics").await.text, "mcp_sessions ");
    assert!((2.0..=1_000.0).contains(&open), "{open}");
    process.stop().await;
}
