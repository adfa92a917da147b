//! Confirmations between two calls, and limits.

use std::time::Duration;

use futures::future::join_all;
use posthog_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{STALE, TOOL, Team, assert_queued, assert_rejected, deletion};
use crate::wire::WITHOUT_HANDSHAKE;
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
    assert_rejected(&result, "the user declined");
    assert_rejected(
        &team.confirm_stateless(&team.other(), QA[0], &state).await,
        STALE,
    );
    assert_eq!(team.deletions(), Vec::<Value>::new());
}

// Rate limits.

#[tokio::test]
async fn rate_limit_counts_requests_of_all_processes() {
    let team = Team::start_with(&["--max-requests-per-minute", "6"]).await;
    // The count restarts with each minute of the clock, which must not change during the test.
    let second = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        % 60;
    if second > 50 {
        sleep(Duration::from_secs(61 - second)).await;
    }
    let discover = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": WITHOUT_HANDSHAKE,
        "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }}});
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
