//! What processes share: confirmations between two calls, and request counts.

use std::time::Duration;

use futures::future::join_all;
use posthog_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::session::discover;
use super::{
    Process, STALE, STATE_KEY, TOOL, Team, assert_queued, assert_rejected, deletion,
    server_with_key,
};
use crate::ADA;
use crate::writing::QA;

#[tokio::test]
async fn confirmation_is_accepted_once_across_processes() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    for (asks, takes, person) in [(&one, &other, QA[0]), (&other, &one, QA[1])] {
        let state = team.elicit_stateless(asks, person).await;
        assert_eq!(team.deletions(), Vec::<Value>::new());
        assert_queued(&team.confirm_stateless(takes, person, &state).await);
        let deletions = team.deletions();
        assert_eq!(deletions.len(), 1);
        assert_eq!(deletions[0]["ids"], json!([person]));
        for to in [asks, takes, asks] {
            assert_rejected(&team.confirm_stateless(to, person, &state).await, STALE);
        }
        assert_eq!(team.deletions(), Vec::<Value>::new());
    }
    for process in &team.processes {
        let log = process.log.lock().unwrap();
        assert!(!log.contains(STATE_KEY), "{log}");
    }
}

#[tokio::test]
async fn concurrent_confirmations_at_both_processes_delete_once() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let state = team.elicit_stateless(&one, QA[0]).await;
    let both = [&one, &other, &one, &other];
    let results = join_all(both.map(|to| team.confirm_stateless(to, QA[0], &state))).await;
    let done = results.iter().filter(|result| result["isError"] == false);
    assert_eq!(done.count(), 1, "{results:?}");
    for result in results.iter().filter(|result| result["isError"] == true) {
        assert_rejected(result, STALE);
    }
    assert_eq!(team.deletions().len(), 1);
}

#[tokio::test]
async fn declined_confirmation_is_rejected_by_the_other_process() {
    let team = Team::start().await;
    let state = team.elicit_stateless(&team.one(), QA[0]).await;
    let no = json!({"confirm": {"action": "decline"}});
    let more = json!({"requestState": state, "inputResponses": no});
    let result = team
        .call_stateless(&team.one(), TOOL, deletion(QA[0]), more)
        .await;
    assert_rejected(&result, "Nothing was sent");
    assert_rejected(
        &team.confirm_stateless(&team.other(), QA[0], &state).await,
        STALE,
    );
    assert_eq!(team.deletions(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_confirmation_for_other_persons_is_not_consumed() {
    let team = Team::start().await;
    let state = team.elicit_stateless(&team.one(), QA[0]).await;
    for to in [team.one(), team.other()] {
        assert_rejected(&team.confirm_stateless(&to, QA[1], &state).await, STALE);
    }
    assert_queued(&team.confirm_stateless(&team.other(), QA[0], &state).await);
    assert_eq!(team.deletions().len(), 1);
}

/// What is in Redis expires, and holds no API key and no personal data.
#[tokio::test]
async fn every_record_expires_and_reveals_nothing() {
    let team = Team::start().await;
    team.elicit_stateless(&team.one(), QA[0]).await;
    let session = team.session(&team.one(), &team.one()).await;
    session.read(&team.one()).await;
    let (_events, _question) = session.elicit(&team.one(), 1, QA[1]).await;
    let mut redis = team.redis.connection().await;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert!(
        keys.iter().any(|key| key.contains(":confirmation:")),
        "{keys:?}"
    );
    assert!(keys.iter().any(|key| key.contains(":count:")), "{keys:?}");
    for key in keys {
        assert!(key.starts_with("posthog-persons-mcp:"), "{key}");
        assert!(!key.contains(Sandbox::KEY), "{key}");
        let mut ttl = redis::cmd("PTTL");
        let left: i64 = ttl.arg(&key).query_async(&mut redis).await.unwrap();
        assert!((1..=86_400_000).contains(&left), "{key}: {left}");
        let value: String = redis::cmd("GET")
            .arg(&key)
            .query_async(&mut redis)
            .await
            .unwrap();
        assert!(
            value.chars().all(|digit| digit.is_ascii_digit()),
            "{key}: {value}"
        );
    }
}

/// The state key distinguishes two deployments.
#[tokio::test]
async fn two_deployments_on_one_redis_share_nothing() {
    let limit = ["--max-requests-per-minute", "4"];
    let team = Team::start_with(&limit).await;
    let key = "another key of at least thirty-two bytes";
    let mut command = server_with_key(&team.sandbox, &team.redis.url(), key);
    command.args(limit);
    let stranger = Process::spawn(command).await;
    begin_of_a_minute().await;
    team.verify_key().await;
    for _ in 0..4 {
        let response = team
            .send(&team.one(), Sandbox::KEY, None, &discover())
            .await;
        assert_eq!(response.status(), 200);
    }
    let response = team
        .send(&team.other(), Sandbox::KEY, None, &discover())
        .await;
    assert_eq!(response.status(), 429);
    let response = team
        .send(&stranger.url(), Sandbox::KEY, None, &discover())
        .await;
    assert_eq!(response.status(), 200);
}

// Rate limits.

impl Team {
    /// A request at each process, after which it knows that PostHog accepts the key. Only later ones are counted together.
    async fn verify_key(&self) {
        for to in [self.one(), self.other()] {
            let read = self.call_stateless(&to, "persons-retrieve", json!({"id": ADA}), json!({}));
            assert_eq!(read.await["isError"], false);
        }
    }
}

/// The count restarts with each minute of the clock, which must not change during a test.
async fn begin_of_a_minute() {
    let second = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        % 60;
    if second > 50 {
        sleep(Duration::from_secs(61 - second)).await;
    }
}

#[tokio::test]
async fn rate_limit_counts_requests_of_all_processes() {
    let team = Team::start_with(&["--max-requests-per-minute", "6"]).await;
    begin_of_a_minute().await;
    team.verify_key().await;
    let discover = discover();
    for count in 1..=8 {
        let response = team
            .send(&team.proxy.url(), Sandbox::KEY, None, &discover)
            .await;
        let expected = if count <= 6 { 200 } else { 429 };
        assert_eq!(response.status(), expected, "{count}");
        if expected == 429 {
            assert!(response.headers().contains_key("retry-after"));
        }
    }
    for to in [team.one(), team.other()] {
        let response = team.send(&to, Sandbox::KEY, None, &discover).await;
        assert_eq!(response.status(), 429);
        let response = team.send(&to, Sandbox::LEGACY_KEY, None, &discover).await;
        assert_eq!(response.status(), 200);
    }
}
