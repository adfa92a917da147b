//! Redis is unreachable, hangs, or loses its data.

use futures::future::join_all;
use posthog_sandbox::Sandbox;
use serde_json::{Value, json};

use super::{
    STALE, Session, TOOL, Team, UNAVAILABLE, assert_queued, assert_rejected, call, deletion,
};
use crate::ADA;
use crate::writing::QA;

impl Team {
    async fn read_stateless(&self, to: &str) {
        let read = self.call_stateless(to, "persons-retrieve", json!({"id": ADA}), json!({}));
        assert_eq!(read.await["isError"], false);
    }

    async fn decline_stateless(&self, to: &str, person: &str, state: &Value) -> Value {
        let no = json!({"confirm": {"action": "decline"}});
        let more = json!({"requestState": state, "inputResponses": no});
        self.call_stateless(to, TOOL, deletion(person), more).await
    }
}

#[tokio::test]
async fn without_redis_reads_continue_and_confirmations_are_refused() {
    let mut team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let state = team.elicit_stateless(&one, QA[0]).await;
    let id = team.session(&one, &one).await.id;
    team.redis.kill().await;

    let session = Session { team: &team, id };
    session.read(&one).await;
    for to in [&one, &other] {
        let fresh = team.session(to, to).await;
        fresh.read(to).await;
        team.read_stateless(to).await;
        let asked = fresh
            .send_request(to, &call(5, TOOL, deletion(QA[1])))
            .await;
        assert_rejected(&asked["result"], UNAVAILABLE);
        let asked = team
            .call_stateless(to, TOOL, deletion(QA[1]), json!({}))
            .await;
        assert_rejected(&asked, UNAVAILABLE);
        assert_rejected(
            &team.confirm_stateless(to, QA[0], &state).await,
            UNAVAILABLE,
        );
    }
    assert_eq!(team.deletions(), Vec::<Value>::new());
    for process in &team.processes {
        let log = process.log.lock().unwrap();
        assert!(!log.contains("panic"), "{log}");
        // Many calls failed, and the log says it once.
        assert_eq!(log.matches("Redis is unreachable").count(), 1, "{log}");
    }
    let metrics = team.http.get(format!("{one}/metrics")).send().await;
    let metrics = metrics.unwrap().text().await.unwrap();
    assert!(metrics.contains("mcp_redis_up 0"), "{metrics}");

    team.redis.restart().await;
    team.wait_for_redis().await;
    // What was lost with the data, or failed before, grants nothing.
    for to in [&one, &other] {
        assert_rejected(&team.confirm_stateless(to, QA[0], &state).await, STALE);
    }
    assert_eq!(team.deletions(), Vec::<Value>::new());
    let state = team.elicit_stateless(&other, QA[1]).await;
    assert_queued(&team.confirm_stateless(&one, QA[1], &state).await);
    assert_rejected(&team.confirm_stateless(&other, QA[1], &state).await, STALE);
    assert_eq!(team.deletions().len(), 1);
}

#[tokio::test]
async fn losing_redis_during_an_elicitation_sends_nothing() {
    let mut team = Team::start().await;
    let one = team.one();
    let id = team.session(&one, &one).await.id;
    let session = Session { team: &team, id };
    let (events, question) = session.elicit(&one, 1, QA[0]).await;
    let id = session.id;
    team.redis.kill().await;
    let session = Session { team: &team, id };
    session.confirm(&one, &question).await;
    assert_rejected(&events.result().await, UNAVAILABLE);
    assert_eq!(team.deletions(), Vec::<Value>::new());
}

/// A kill, an eviction or a restart loses records. A confirmation that has none is refused.
#[tokio::test]
async fn a_confirmation_whose_record_is_lost_is_refused_everywhere() {
    let mut team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let used = team.elicit_stateless(&one, QA[0]).await;
    let unused = team.elicit_stateless(&one, QA[1]).await;
    assert_queued(&team.confirm_stateless(&one, QA[0], &used).await);
    assert_eq!(team.deletions().len(), 1);
    team.redis.kill().await;
    team.redis.restart().await;
    team.wait_for_redis().await;
    for to in [&other, &one] {
        for (person, state) in [(QA[0], &used), (QA[1], &unused)] {
            assert_rejected(&team.confirm_stateless(to, person, state).await, STALE);
        }
    }
    assert_eq!(team.deletions(), Vec::<Value>::new());
}

#[tokio::test]
async fn declining_while_redis_hangs_is_final_in_every_process() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let state = team.elicit_stateless(&one, QA[0]).await;
    team.redis.signal("-STOP").await;
    let declined = team.decline_stateless(&one, QA[0], &state).await;
    assert_rejected(&declined, "Nothing was sent");
    team.redis.signal("-CONT").await;
    // The record is taken as soon as Redis responds.
    let redis = team.redis.connection().await;
    super::poll_until("taken", || {
        let mut redis = redis.clone();
        async move {
            let keys: Vec<String> = redis::cmd("KEYS")
                .arg("*:confirmation:*")
                .query_async(&mut redis)
                .await
                .unwrap();
            keys.is_empty()
        }
    })
    .await;
    team.wait_for_redis().await;
    for to in [&one, &other] {
        assert_rejected(&team.confirm_stateless(to, QA[0], &state).await, STALE);
    }
    assert_eq!(team.deletions(), Vec::<Value>::new());
}

/// A Redis that accepts connections and does not respond counts as unreachable: nothing queues behind it.
#[tokio::test]
async fn hanging_redis_blocks_neither_reads_nor_handshakes() {
    let team = Team::start().await;
    let one = team.one();
    let state = team.elicit_stateless(&one, QA[0]).await;
    team.redis.signal("-STOP").await;
    let handshakes = join_all((0..12).map(|_| team.session(&one, &one)));
    let reads = join_all((0..12).map(|_| team.read_stateless(&one)));
    let (sessions, _) = futures::join!(handshakes, reads);
    for session in sessions {
        session.read(&one).await;
    }
    let metrics = team.http.get(format!("{one}/metrics")).send().await;
    let metrics = metrics.unwrap().text().await.unwrap();
    let failures = metrics
        .lines()
        .find_map(|line| line.strip_prefix("mcp_redis_failures_total "))
        .expect("failures");
    // Each handshake is two requests, each read one: only those waited that found Redis not known to be down.
    assert!(failures.parse::<u32>().unwrap() < 12 * 3, "{failures}");
    assert_rejected(
        &team.confirm_stateless(&one, QA[0], &state).await,
        UNAVAILABLE,
    );
    team.redis.signal("-CONT").await;
    team.wait_for_redis().await;
    let fresh = team.elicit_stateless(&one, QA[1]).await;
    assert_queued(&team.confirm_stateless(&one, QA[1], &fresh).await);
    assert_eq!(team.deletions().len(), 1);
    let listed = team
        .send(&one, Sandbox::KEY, None, &super::session::discover())
        .await;
    assert_eq!(listed.status(), 200);
}
