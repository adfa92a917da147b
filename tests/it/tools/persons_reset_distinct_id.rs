use insta::assert_snapshot;
use posthog_sandbox::FaultKind;
use serde_json::{Map, json};

use crate::writing::{DELETION_DELAY, approving, inject_fault};
use crate::{column, connect, text};

const TOOL: &str = "persons-reset-distinct-id";

#[tokio::test]
async fn sends_the_distinct_id_and_reports_the_effect_unverified() {
    let session = connect().await;
    let arguments = json!({"distinct_id": "luigi@example.com"});
    let result = session.result(TOOL, arguments.clone()).await;
    assert_eq!(session.bodies(), [arguments]);
    assert_eq!(session.requests(), ["POST B/reset_person_distinct_id/"]);
    assert_snapshot!(text(&result), @r#"
    Requested: reset of distinct id luigi@example.com.
    PostHog responds the same whether or not it had an effect: it works only if the distinct id has sent an event since the deletion. persons-list with search "luigi@example.com" finds the person once the reset worked; if not, wait for the next event and call this again.
    "#);
    assert_eq!(
        result.structured_content.unwrap(),
        json!({
            "status": "requested",
            "distinct_id": "luigi@example.com",
            "check": "PostHog responds the same whether or not it had an effect: it works only if the distinct id has sent an event since the \
                deletion. persons-list with search \"luigi@example.com\" finds the person once the reset worked; if not, wait for the \
                next event and call this again.",
        })
    );
}

#[tokio::test]
async fn suggested_read_shows_the_person_after_reset() {
    let session = connect().await;
    let search = json!({"search": "luigi@example.com"});
    let listed = session.call("persons-list", search.clone()).await;
    assert_eq!(listed["results"], json!([]));
    session
        .call(TOOL, json!({"distinct_id": "luigi@example.com"}))
        .await;
    let listed = session.call("persons-list", search).await;
    assert_eq!(
        column(&listed, "uuid"),
        ["7c24651f-55de-532e-ae6a-8e5a89184463"]
    );
}

/// Before the first new event, PostHog responds 202 and does nothing; afterwards the reset works.
#[tokio::test]
async fn reset_before_the_first_new_event_has_no_effect() {
    let session = approving().await;
    let distinct_ids = json!({"distinct_ids": ["qa-1"]});
    session.call("persons-bulk-delete", distinct_ids).await;
    session.sandbox.advance(DELETION_DELAY);
    let search = json!({"search": "qa-1"});
    for used_again in [false, true] {
        if used_again {
            session.sandbox.capture("qa-1", "$pageview", Map::new());
        }
        let listed = session.call("persons-list", search.clone()).await;
        assert_eq!(listed["results"], json!([]), "before");
        session.call(TOOL, json!({"distinct_id": "qa-1"})).await;
        let listed = session.call("persons-list", search.clone()).await;
        assert_eq!(column(&listed, "uuid").len(), usize::from(used_again));
    }
}

#[tokio::test]
async fn unknown_distinct_id_is_sent() {
    let session = connect().await;
    for distinct_id in ["nobody", "..", "a/b c?d", "größe-ünïcode-😀"] {
        let result = session
            .call(TOOL, json!({"distinct_id": distinct_id}))
            .await;
        assert_eq!(result["status"], "requested");
        assert_eq!(session.bodies(), [json!({"distinct_id": distinct_id})]);
        assert_eq!(session.requests(), ["POST B/reset_person_distinct_id/"]);
    }
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    for arguments in [
        json!({}),
        json!({"distinct_id": null}),
        json!({"distinct_id": ""}),
        json!({"distinct_id": "x".repeat(401)}),
        json!({"distinct_id": ["luigi@example.com"]}),
        json!({"id": "luigi@example.com"}),
        json!({"distinct_id": "luigi@example.com", "properties": {}}),
    ] {
        session.error(TOOL, arguments.clone()).await;
        assert_eq!(session.requests(), Vec::<String>::new(), "{arguments}");
    }
}

#[tokio::test]
async fn rejection_by_posthog_is_reported() {
    let session = connect().await;
    let envelope = json!({
        "type": "validation_error",
        "code": "invalid_input",
        "detail": "distinct_id must be a non-empty string.",
        "attr": null,
    });
    let request = "POST B/reset_person_distinct_id/";
    inject_fault(&session, request, FaultKind::json(400, &envelope));
    assert_snapshot!(session.error(TOOL, json!({"distinct_id": "luigi@example.com"})).await, @"Nothing was changed. PostHog rejected the request: distinct_id must be a non-empty string. Change it and call again.");
    assert_eq!(session.requests(), [request]);
}
