//! Elicitation: the form, the replies, and what happens while the user decides.

use super::raw_client::*;
use super::support::*;
use crate::wire::WITHOUT_HANDSHAKE;
use crate::writing::{DELETION_DELAY, QA, confirmed, inject_fault, writes};
use crate::{ADA, NOBODY, connect};
use posthog_persons_mcp::policy::Confirm;
use posthog_persons_mcp::server::confirmation::Confirmer;
use posthog_sandbox::FaultKind;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn elicitation_is_a_form_with_one_checkbox() {
    let session = connect().await;
    let server = server(&session, confirmer());
    for version in WAITING {
        for capabilities in [
            json!({"elicitation": {}}),
            forms(),
            json!({"elicitation": {"form": {}, "url": {}}}),
        ] {
            let mut client = RawClient::begin(&server, version, capabilities).await;
            let id = client.call(TOOL, &deletion()).await;
            let question = client.elicitation().await;
            assert_eq!(writes(&session), no_requests());
            check_form(&question["params"]);
            client.reply(&question, confirming_reply()).await;
            let result = client.result(id).await;
            assert_eq!(result["isError"], false, "{result}");
            assert_eq!(result["structuredContent"]["status"], "queued");
            assert_eq!(writes(&session), [DELETE]);
        }
    }
    let mut client = RawClient::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let elicitations = client.result(id).await;
    assert_eq!(writes(&session), no_requests());
    let question = &elicitations["inputRequests"]["confirm"];
    assert_eq!(question["method"], "elicitation/create", "{elicitations}");
    check_form(&question["params"]);
    let result = client
        .repeat(TOOL, &deletion(), &state(&elicitations), confirming_reply())
        .await;
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(result["structuredContent"]["status"], "queued");
    assert_eq!(writes(&session), [DELETE]);
}

fn check_form(params: &Value) {
    let message = params["message"].as_str().unwrap();
    assert!(
        message.starts_with("Delete 2 persons for good, with their events?\n"),
        "{params}"
    );
    let schema = &params["requestedSchema"];
    assert_eq!(schema["type"], "object", "{params}");
    assert_eq!(schema["required"], json!(["confirm"]), "{params}");
    let fields = schema["properties"].as_object().unwrap();
    assert_eq!(fields.len(), 1, "{params}");
    assert_eq!(fields["confirm"]["type"], "boolean", "{params}");
    assert_eq!(fields["confirm"]["title"], "Delete 2 persons", "{params}");
    // The box starts unticked, and clients that select an answer select this one.
    assert_eq!(fields["confirm"]["default"], false, "{params}");
}

#[tokio::test]
async fn malformed_replies_are_rejected_during_the_call() {
    let session = connect().await;
    let server = server(&session, confirmer());
    for version in WAITING {
        let mut client = RawClient::begin(&server, version, forms()).await;
        for response in non_confirming_replies() {
            let id = client.call(TOOL, &deletion()).await;
            let question = client.elicitation().await;
            client.reply(&question, response.clone()).await;
            assert_rejected(&client.result(id).await, "Nothing was sent: ");
            assert_eq!(writes(&session), no_requests(), "{response}");
        }
        // A client error is no confirmation.
        let id = client.call(TOOL, &deletion()).await;
        let question = client.elicitation().await;
        let error = json!({"code": -32603, "message": "no window"});
        client
            .send(&json!({"jsonrpc": "2.0", "id": question["id"], "error": error}))
            .await;
        assert_rejected(&client.result(id).await, "Nothing was sent: ");
        assert_eq!(writes(&session), no_requests());
    }
}

#[tokio::test]
async fn changed_preview_is_rejected_after_elicitation() {
    let session = connect().await;
    let server = server(&session, confirmer());
    for (version, name) in WAITING.into_iter().zip(["boss", "chief"]) {
        let mut client = RawClient::begin(&server, version, forms()).await;
        let id = client.call(TOOL, &deletion()).await;
        let question = client.elicitation().await;
        rename(&session, "qa-1", &format!("{name}@example.org"));
        client.reply(&question, confirming_reply()).await;
        assert_rejected(&client.result(id).await, CHANGED);
        assert_eq!(writes(&session), no_requests());
    }
    let mut client = RawClient::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let elicitations = state(&client.result(id).await);
    rename(&session, "qa-1", "principal@example.org");
    assert_rejected(
        &client
            .repeat(TOOL, &deletion(), &elicitations, confirming_reply())
            .await,
        CHANGED,
    );
    assert_eq!(writes(&session), no_requests());
}

/// A person is deleted by another client before the user confirms.
#[tokio::test]
async fn person_deleted_during_elicitation_sends_nothing() {
    let session = connect().await;
    let server = server(&session, confirmer());
    let mut client = RawClient::begin(&server, WAITING[0], forms()).await;
    let qa = json!({"ids": [QA[0]]});
    let id = client.call(TOOL, &qa).await;
    let question = client.elicitation().await;
    confirmed(&session, TOOL, qa).await;
    session.sandbox.advance(DELETION_DELAY);
    session.requests();
    client.reply(&question, confirming_reply()).await;
    let result = client.result(id).await;
    assert_eq!(result["isError"], true, "{result}");
    assert_eq!(writes(&session), no_requests());
}

/// The confirmation does not count if the preview cannot be read again.
#[tokio::test]
async fn failed_second_read_sends_nothing() {
    let session = connect().await;
    let server = server(&session, confirmer());
    let mut client = RawClient::begin(&server, WAITING[1], forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let question = client.elicitation().await;
    let request = "POST B/batch_by_distinct_ids/";
    inject_fault(&session, request, FaultKind::ServerError { status: 500 });
    client.reply(&question, confirming_reply()).await;
    let result = client.result(id).await;
    assert_rejected(&result, "PostHog failed (status 500)");
    assert_eq!(writes(&session), no_requests());
}

/// Each of them keeps a call waiting, so there is a limit. Other calls go on.
#[tokio::test]
async fn open_questions_are_limited() {
    let session = connect().await;
    let server = server(&session, confirmer());
    for version in WAITING {
        let mut client = RawClient::begin(&server, version, forms()).await;
        let mut open = Vec::new();
        for _ in 0..8 {
            let id = client.call(TOOL, &deletion()).await;
            open.push((id, client.elicitation().await));
        }
        let id = client.call(TOOL, &deletion()).await;
        assert_rejected(
            &client.result(id).await,
            "Nothing was sent: 8 questions are open already;",
        );
        let id = client.call("persons-retrieve", &json!({"id": ADA})).await;
        let person = client.result(id).await;
        assert_eq!(person["structuredContent"]["uuid"], ADA);
        assert_eq!(writes(&session), no_requests());
        let (id, question) = open.swap_remove(0);
        client.reply(&question, confirming_reply()).await;
        assert_eq!(client.result(id).await["isError"], false);
        assert_eq!(writes(&session), [DELETE]);
        // There is room for another, and the end of the session makes room for all.
        client.call(TOOL, &deletion()).await;
        client.elicitation().await;
        client.end().await;
    }
}

#[tokio::test]
async fn elicitation_times_out() {
    let session = connect().await;
    let confirmer = Confirmer::with_ttl(Confirm::Auto, None, Duration::from_millis(50));
    let mut client = RawClient::begin(&server(&session, confirmer), WAITING[1], forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let question = client.elicitation().await;
    assert_rejected(
        &client.result(id).await,
        "Nothing was sent: the user did not respond in time.",
    );
    // The reply is too late, and the session continues.
    client.reply(&question, confirming_reply()).await;
    let id = client.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(client.result(id).await["isError"], false);
    assert_eq!(writes(&session), no_requests());
}

#[tokio::test]
async fn end_of_input_ends_a_pending_elicitation() {
    let session = connect().await;
    let server = server(&session, confirmer());
    for version in WAITING {
        let mut client = RawClient::begin(&server, version, forms()).await;
        let id = client.call(TOOL, &deletion()).await;
        client.elicitation().await;
        let rest = client.end().await;
        let response = rest.iter().find(|message| message["id"] == id);
        let response = response.unwrap_or_else(|| panic!("{version}: {rest:?}"));
        assert_rejected(&response["result"], "Nothing was sent: ");
        assert_eq!(writes(&session), no_requests(), "{version}");
    }
    // An input-required result leaves no call waiting.
    let mut client = RawClient::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    state(&client.result(id).await);
    client.end().await;
    assert_eq!(writes(&session), no_requests());
}

#[tokio::test]
async fn cancelled_call_ends_a_pending_elicitation() {
    let session = connect().await;
    let server = server(&session, confirmer());
    for version in WAITING {
        let mut client = RawClient::begin(&server, version, forms()).await;
        let id = client.call(TOOL, &deletion()).await;
        let question = client.elicitation().await;
        let params = json!({"requestId": id, "reason": "enough"});
        client
            .send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
            .await;
        client.reply(&question, confirming_reply()).await;
        let id = client
            .call("persons-retrieve", &json!({"id": NOBODY}))
            .await;
        assert_eq!(client.result(id).await["isError"], true);
        assert_eq!(client.end().await, Vec::<Value>::new(), "{version}");
        assert_eq!(writes(&session), no_requests(), "{version}");
    }
}
