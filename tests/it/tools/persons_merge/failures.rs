//! Events that the capture host does not accept, or that have no effect.

use insta::assert_snapshot;
use posthog_sandbox::{Fault, FaultKind};
use serde_json::json;

use super::support::*;
use crate::text;

const CAPTURE: &str = "POST /i/v0/e/";

fn refusal(status: u16, sentence: &str) -> FaultKind {
    FaultKind::Response {
        status,
        content_type: "text/plain; charset=utf-8".to_owned(),
        body: sentence.to_owned(),
        headers: Vec::new(),
    }
}

#[tokio::test]
async fn unknown_outcome_ends_the_series() {
    let session = approving().await;
    // The second of three.
    session.sandbox.inject(Fault::once(
        CAPTURE,
        FaultKind::Delay(std::time::Duration::ZERO),
    ));
    session
        .sandbox
        .inject(Fault::once(CAPTURE, FaultKind::DropAfterEffect));
    let result = session
        .result(TOOL, merge(ALAN, &[VISITOR, HEDY, RADIA]))
        .await;
    assert_snapshot!(text(&result), @r#"
    Partly done: merge 3 persons into the person 25ff7608-828e-5b6c-a20f-f615d76f4b4a "alan@example.com" of project 1, with 4 distinct ids in all.
    queued: d702f803-2395-5491-ae8d-fe53d69229d6 by "0190f1aa-5555-4eee-8fff-00000000000a"
    unknown: 2703d90f-e94c-5e97-ab64-5c56184dc852 by "hedy@example.com": connection closed before message completed
    not sent: a2eaf793-9e0e-5398-b559-030e0dcc6488 by "radia@example.com"
    PostHog merges within minutes and reports no failure; it drops a merge that collides with another, or that moves very many distinct ids. persons-batch-retrieve with the distinct ids ["0190f1aa-5555-4eee-8fff-00000000000a","hedy@example.com","radia@example.com"] shows in a few minutes whether each belongs to the person 25ff7608-828e-5b6c-a20f-f615d76f4b4a. Do not merge again before checking.
    This cannot be undone: persons-split can move distinct ids to new persons again, but without properties, and the properties of both stay together on the person.
    "#);
    let fields = result.structured_content.unwrap();
    assert_eq!(fields["status"], "partly");
    let outcomes = fields["merges"].as_array().unwrap().iter();
    let outcomes: Vec<_> = outcomes.map(|one| one["outcome"].clone()).collect();
    assert_eq!(outcomes, ["queued", "unknown", "not sent"]);
    assert_eq!(events(&session).len(), 2);
}

#[tokio::test]
async fn a_merge_without_effect_is_reported_queued() {
    let session = approving().await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.merge_move_limit = Some(0));
    let arguments = with(merge(ALAN, &[HEDY]), "wait_seconds", 1);
    let result = session.result(TOOL, arguments).await;
    session.sandbox.advance(std::time::Duration::from_secs(60));
    assert_snapshot!(text(&result), @r#"
    Queued, not done within wait_seconds: merge 1 person into the person 25ff7608-828e-5b6c-a20f-f615d76f4b4a "alan@example.com" of project 1, with 2 distinct ids in all.
    queued: 2703d90f-e94c-5e97-ab64-5c56184dc852 by "hedy@example.com"
    PostHog merges within minutes and reports no failure; it drops a merge that collides with another, or that moves very many distinct ids. persons-batch-retrieve with the distinct ids ["hedy@example.com"] shows in a few minutes whether each belongs to the person 25ff7608-828e-5b6c-a20f-f615d76f4b4a. Do not merge again before checking.
    This cannot be undone: persons-split can move distinct ids to new persons again, but without properties, and the properties of both stay together on the person.
    "#);
    assert_eq!(result.structured_content.unwrap()["status"], "queued");
}

#[tokio::test]
async fn errors_of_the_capture_host_name_it() {
    let session = approving().await;
    let mut errors = Vec::new();
    for fault in [
        refusal(401, "API key is not valid: invalid token"),
        refusal(429, "rate limited"),
        FaultKind::redirect(308, "https://elsewhere.example/"),
        FaultKind::json(200, &json!({"status": "Ok", "quota_limited": ["events"]})),
        refusal(503, "transient error, please retry"),
    ] {
        session.sandbox.clear_faults();
        session.sandbox.inject(Fault::always(CAPTURE, fault));
        errors.push(session.error(TOOL, merge(ALAN, &[HEDY])).await);
    }
    assert_snapshot!(errors.join("\n\n"), @r#"
    Nothing was changed. The capture host http://sandbox rejected the project's token. It probably belongs to another region or instance than POSTHOG_HOST. The user must set --capture-host to the one of this project; retrying will not help.

    Nothing was changed. The rate limit of the capture host http://sandbox is reached. Wait a minute, then call again.

    Nothing was changed. The capture host http://sandbox redirects to another address; the redirect is not followed. The user must set --capture-host to the final address.

    Nothing was changed. PostHog did not perform the change: the project has used up its quota of events. Try again later.

    The outcome is unknown: the request was sent, and PostHog failed (status 503). The change may have been made or not; the server does not retry it. persons-batch-retrieve with the distinct ids ["hedy@example.com"] shows in a few minutes whether each belongs to the person 25ff7608-828e-5b6c-a20f-f615d76f4b4a. Do not merge again before checking.
    "#);
}

/// PostHog did not take it, and says so.
#[tokio::test]
async fn only_a_rate_limit_is_retried() {
    let session = approving().await;
    session
        .sandbox
        .inject(Fault::once(CAPTURE, FaultKind::Throttle { retry_after: 0 }));
    session.call(TOOL, merge(ALAN, &[HEDY])).await;
    assert_eq!(events(&session).len(), 2);
    session.sandbox.clear_requests();
    session
        .sandbox
        .inject(Fault::once(CAPTURE, FaultKind::ServerError { status: 503 }));
    session.error(TOOL, merge(ALAN, &[HEDY])).await;
    assert_eq!(events(&session).len(), 1);
}

#[tokio::test]
async fn token_in_an_error_is_not_shown() {
    let session = approving().await;
    let quoting = json!({"type": "x", "code": "y", "detail": "phc_sandbox_project_token is no token", "attr": null});
    session
        .sandbox
        .inject(Fault::once(CAPTURE, FaultKind::json(400, &quoting)));
    let error = session.error(TOOL, merge(ALAN, &[HEDY])).await;
    assert!(error.contains("[key] is no token"), "{error}");
}
