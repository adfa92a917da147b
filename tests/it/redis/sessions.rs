//! Sessions of the older protocol versions belong to the process that opened them.

use posthog_sandbox::Sandbox;
use serde_json::{Value, json};

use super::{Session, Team, VERSION, assert_queued};
use crate::writing::QA;

fn list() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})
}

#[tokio::test]
async fn session_is_unknown_to_other_processes() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let session = team.session(&one, &one).await;
    assert_eq!(session.send(&other, &list()).await.status(), 404);
    for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
        let request = team.http.request(method, format!("{other}/mcp"));
        let request = request
            .bearer_auth(Sandbox::KEY)
            .header("accept", "text/event-stream")
            .header("mcp-protocol-version", VERSION)
            .header("mcp-session-id", &session.id);
        assert_eq!(request.send().await.unwrap().status(), 404);
    }
    // Its own process still serves it.
    session.read(&one).await;
}

/// A reply carries only a request id, and every process numbers its elicitations from the same start.
#[tokio::test]
async fn reply_at_another_process_confirms_nothing() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let session = team.session(&one, &one).await;
    let others = team.session(&other, &other).await;
    let (events, question) = session.elicit(&one, 1, QA[0]).await;
    let (others_events, others_question) = others.elicit(&other, 1, QA[1]).await;
    assert_eq!(question["id"], others_question["id"]);
    let yes = super::confirming_reply(&question);
    let misdirected = session.reply(&other, &question, yes).await;
    assert_eq!(misdirected.status(), 404);
    assert_eq!(team.deletions(), Vec::<Value>::new());
    others.confirm(&other, &others_question).await;
    assert_queued(&others_events.result().await);
    let deletions = team.deletions();
    assert_eq!(deletions.len(), 1);
    assert_eq!(deletions[0]["ids"], json!([QA[1]]));
    session.confirm(&one, &question).await;
    assert_queued(&events.result().await);
}

#[tokio::test]
async fn session_of_a_killed_process_is_unknown_and_a_new_one_works() {
    let mut team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let id = team.session(&one, &one).await.id;
    team.kill(0).await;
    let session = Session { team: &team, id };
    assert_eq!(session.send(&other, &list()).await.status(), 404);
    team.session(&other, &other).await.read(&other).await;
}
