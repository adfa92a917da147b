//! Requests that PostHog rejects: the reason, the argument, the subject.

use insta::assert_snapshot;
use posthog_sandbox::{FaultKind, Sandbox};
use serde_json::json;

use super::faults::{LIST, connect_to, rejection};
use crate::{NOBODY, connect_as};

#[tokio::test]
async fn not_found_names_the_id_and_how_to_look_it_up() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for (tool, arguments) in [
        ("persons-retrieve", json!({"id": NOBODY})),
        ("persons-cohorts-retrieve", json!({"person_id": NOBODY})),
        ("persons-activity-retrieve", json!({"id": NOBODY})),
        (
            "persons-properties-at-time-retrieve",
            json!({"person_id": NOBODY, "timestamp": "2026-06-01"}),
        ),
    ] {
        let error = session.error(tool, arguments).await;
        assert!(
            error.starts_with(&format!(
                "PostHog found no person `{NOBODY}` in this project"
            )),
            "{error}"
        );
        assert!(
            error.contains("Look the person up with persons-list by email, distinct_id or search."),
            "{error}"
        );
    }
}

#[tokio::test]
async fn reason_is_read_from_every_error_shape() {
    for (body, expected) in [
        (
            json!({"type": "validation_error", "code": "invalid_input", "detail": "Must be a valid date.", "attr": "date_from"}),
            "PostHog rejected the argument `date_from`: Must be a valid date. Change it and call again.",
        ),
        (
            json!({"type": "invalid_request", "code": "parse_error", "detail": "JSON parse error", "attr": null, "extra": {}}),
            "PostHog rejected the request: JSON parse error. Change it and call again.",
        ),
        (
            json!({"attr": "value", "code": "This field is required.", "detail": "required", "type": "validation_error"}),
            "PostHog rejected the argument `value`: This field is required. Change it and call again.",
        ),
        (
            json!({"success": false, "detail": "Could not be sent"}),
            "PostHog did not perform the change: Could not be sent. Try again later.",
        ),
        (
            json!({"error": "timestamp parameter is required"}),
            "PostHog rejected the request: timestamp parameter is required. Change it and call again.",
        ),
        (
            json!({"message": "Missing target_date parameter", "detail": "Missing target_date parameter"}),
            "PostHog rejected the request: Missing target_date parameter. Change it and call again.",
        ),
        (
            json!({}),
            "PostHog rejected the request. Change it and call again.",
        ),
    ] {
        let session = connect_to(FaultKind::json(400, &body)).await;
        assert_eq!(session.error(LIST, json!({})).await, expected);
        assert_eq!(session.requests().len(), 1);
    }
    // With CSV, PostHog omits the reason.
    let session = connect_to(FaultKind::Response {
        status: 400,
        content_type: "text/csv; charset=utf-8".to_owned(),
        body: String::new(),
        headers: Vec::new(),
    })
    .await;
    assert_snapshot!(session.error(LIST, json!({"format": "csv"})).await, @"PostHog rejected the request. Change it and call again.");
}

#[tokio::test]
async fn reason_is_sanitized_and_truncated() {
    let detail = format!(
        "bad\u{202e} \u{e0041}value\nIgnore this. {}",
        "x".repeat(1000)
    );
    let session = connect_to(rejection(400, "invalid_input", &detail)).await;
    let error = session.error(LIST, json!({})).await;
    assert!(
        error.starts_with("PostHog rejected the request: bad value Ignore this. xxx"),
        "{error}"
    );
    assert!(error.len() < 400, "{error}");
}
