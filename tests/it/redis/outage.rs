//! Redis is unreachable, at the start or later.

use std::time::Duration;

use posthog_sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::{
    RedisServer, STALE, Session, TOOL, Team, UNAVAILABLE, assert_queued, assert_rejected, call,
    confirming_reply, deletion, free_port, poll_until, server,
};
use crate::ADA;
use crate::process::run;
use crate::writing::QA;

#[tokio::test]
async fn without_redis_reads_continue_and_deletions_are_rejected() {
    let mut team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let state = team.elicit_stateless(&one, QA[0]).await;
    let session_id = {
        let session = team.session(&one, &one).await;
        session.read(&one).await;
        session.id
    };
    team.redis.kill().await;

    // Reads still work: in a session on its own process, in new sessions, and stateless.
    let session = Session {
        team: &team,
        id: session_id.clone(),
    };
    for _ in 0..3 {
        session.read(&one).await;
    }
    for to in [&one, &other] {
        let fresh = team.session(to, to).await;
        fresh.read(to).await;
        let read = team.call_stateless(to, "persons-retrieve", json!({"id": ADA}), json!({}));
        assert_eq!(read.await["isError"], false);
        // Elicitations cannot be locked, and confirmations cannot be checked for reuse.
        for session in [&fresh, &session] {
            let asking = call(5, TOOL, deletion(QA[1]));
            let at = if session.id == session_id { &one } else { to };
            let response = session.send_request(at, &asking).await;
            assert_rejected(&response["result"], UNAVAILABLE);
        }
        assert_rejected(
            &team.confirm_stateless(to, QA[0], &state).await,
            UNAVAILABLE,
        );
    }
    assert_eq!(team.deletions(), Vec::<Value>::new());
    // The other process cannot look up the owner of the session.
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    assert_eq!(session.send(&other, &list).await.status(), 404);
    for process in &team.processes {
        assert!(!process.log.lock().unwrap().contains("panic"));
    }
    drop(session);

    // Confirmations work again after Redis is back.
    team.redis.restart().await;
    team.wait_for_redis_state("reachable").await;
    assert_queued(&team.confirm_stateless(&other, QA[0], &state).await);
    assert_eq!(team.deletions().len(), 1);
    let state = team.elicit_stateless(&other, QA[1]).await;
    assert_queued(&team.confirm_stateless(&one, QA[1], &state).await);
    assert_rejected(&team.confirm_stateless(&other, QA[1], &state).await, STALE);
    assert_eq!(team.deletions().len(), 1);
    let session = team.session(&one, &other).await;
    let (events, question) = session.elicit(&one, 1, QA[2]).await;
    session.confirm(&other, &question).await;
    assert_queued(&events.result().await);
    assert_eq!(team.deletions().len(), 1);
}

#[tokio::test]
async fn losing_redis_during_an_elicitation_sends_nothing() {
    let mut team = Team::start().await;
    let id = {
        let session = team.session(&team.one(), &team.one()).await;
        session.id
    };
    let (events, question) = {
        let session = Session {
            team: &team,
            id: id.clone(),
        };
        session.elicit(&team.one(), 1, QA[0]).await
    };
    team.redis.kill().await;
    assert_rejected(&events.result().await, UNAVAILABLE);
    let session = Session { team: &team, id };
    let late = session
        .reply(&team.one(), &question, confirming_reply(&question))
        .await;
    assert_eq!(late.status(), 503);
    assert_eq!(team.deletions(), Vec::<Value>::new());
}

/// Each process also remembers the confirmations that it has used.
#[tokio::test]
async fn used_confirmation_stays_used_after_redis_loses_its_data() {
    let mut team = Team::start().await;
    let one = team.one();
    let state = team.elicit_stateless(&one, QA[0]).await;
    assert_queued(&team.confirm_stateless(&one, QA[0], &state).await);
    team.redis.kill().await;
    team.wait_for_redis_state("unreachable").await;
    team.redis.restart().await;
    team.wait_for_redis_state("reachable").await;
    assert_rejected(&team.confirm_stateless(&one, QA[0], &state).await, STALE);
    assert_eq!(team.deletions().len(), 1);
}

/// A Redis that accepts connections and does not respond counts as unreachable.
#[tokio::test]
async fn hanging_redis_does_not_delay_reads() {
    let team = Team::start().await;
    let one = team.one();
    let session = team.session(&one, &one).await;
    let state = team.elicit_stateless(&one, QA[0]).await;
    team.redis.signal("-STOP").await;
    team.wait_for_redis_state("unreachable").await;
    for _ in 0..3 {
        let began = Instant::now();
        session.read(&one).await;
        let read = team.call_stateless(&one, "persons-retrieve", json!({"id": ADA}), json!({}));
        assert_eq!(read.await["isError"], false);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    assert_rejected(
        &team.confirm_stateless(&one, QA[0], &state).await,
        UNAVAILABLE,
    );
    assert_eq!(team.deletions(), Vec::<Value>::new());
    team.redis.signal("-CONT").await;
    let fresh = team.elicit_stateless(&one, QA[1]).await;
    poll_until("confirmed", || async {
        team.confirm_stateless(&one, QA[1], &fresh).await["isError"] == false
    })
    .await;
    assert_eq!(team.deletions().len(), 1);
}

// Startup.

#[tokio::test]
async fn unreachable_redis_fails_the_start_without_showing_its_password() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let sandbox = Sandbox::start(listener, SandboxOptions::default())
        .await
        .unwrap();
    let unused_port = free_port().await;
    for url in [
        format!("redis://user:hunter2@127.0.0.1:{unused_port}"),
        "redis://user:hunter2@127.0.0.1:notaport".to_owned(),
        "http://user:hunter2@127.0.0.1".to_owned(),
        "hunter2".to_owned(),
    ] {
        let ended = run(server(&sandbox, &url), "").await;
        let error = ended.startup_error();
        assert!(error.contains("--redis"), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{url}: {error}");
        assert!(!error.contains("user:"), "{url}: {error}");
    }
}

#[tokio::test]
async fn rejected_redis_password_fails_the_start() {
    let mut redis = RedisServer::start().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let sandbox = Sandbox::start(listener, SandboxOptions::default())
        .await
        .unwrap();
    let url = format!("redis://:hunter2@127.0.0.1:{}", redis.port);
    let ended = run(server(&sandbox, &url), "").await;
    let error = ended.startup_error();
    assert!(error.contains("--redis"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    redis.kill().await;
}
