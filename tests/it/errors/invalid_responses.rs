//! Responses that are not what the endpoint returns. Errors quote nothing of them.

use insta::assert_snapshot;
use posthog_sandbox::FaultKind;
use serde_json::json;

use super::faults::{LIST, connect_to, html, page};
use crate::result_invariants::read_calls;
use crate::{ADA, Setup, connect_with};

#[tokio::test]
async fn web_page_is_invalid_with_any_status() {
    let session = connect_to(html(200)).await;
    let expected = session.error(LIST, json!({})).await;
    assert_snapshot!(expected, @"PostHog's response is invalid: it is a web page, not JSON. Try again later; if it happens again, POSTHOG_HOST (http://sandbox) may not be the address of PostHog's API.");
    for (tool, arguments) in read_calls() {
        assert_eq!(session.error(tool, arguments).await, expected, "{tool}");
    }
    for status in [400, 403, 404] {
        let session = connect_to(html(status)).await;
        let error = session.error("persons-retrieve", json!({"id": ADA})).await;
        let start = format!("PostHog's response is invalid: status {status} with a web page. ");
        assert!(error.starts_with(&start), "{error}");
    }
}

#[tokio::test]
async fn truncated_json_is_reported() {
    let session = connect_to(page(200, "application/json", "{\"uuid\": \"u")).await;
    for (tool, arguments) in read_calls() {
        let error = session.error(tool, arguments).await;
        assert!(
            error.starts_with("PostHog's response is invalid: it ends too early. "),
            "{tool}: {error}"
        );
        assert_eq!(session.requests().len(), 1, "{tool}");
    }
    let session = connect_to(page(200, "application/json", "")).await;
    assert_snapshot!(session.error(LIST, json!({})).await, @"PostHog's response is invalid: it ends too early. Try again later; if it happens again, POSTHOG_HOST (http://sandbox) may not be the address of PostHog's API.");
    let session = connect_to(page(200, "application/json", "results: none")).await;
    let error = session.error(LIST, json!({})).await;
    assert!(
        error.starts_with("PostHog's response is invalid: it is not JSON. "),
        "{error}"
    );
}

#[tokio::test]
async fn unexpected_shape_names_the_field_and_quotes_nothing() {
    let secret = "rosebud";
    for (tool, arguments, body, field) in [
        (LIST, json!({}), json!({"results": secret}), "results"),
        (
            LIST,
            json!({}),
            json!({"results": [{"uuid": 7, "name": secret}]}),
            "results",
        ),
        (
            LIST,
            json!({}),
            json!({"results": [{"uuid": "u", "distinct_ids": [secret, {secret: secret}]}]}),
            "results",
        ),
        (
            "persons-retrieve",
            json!({"id": ADA}),
            json!({"uuid": "u", "properties": [secret]}),
            "properties",
        ),
        (
            "persons-batch-retrieve",
            json!({"distinct_ids": ["a"]}),
            json!({"results": {"a": {"uuid": "u", "properties": secret}}}),
            "results",
        ),
        (
            "persons-funnel",
            json!({"events": [{"id": "a"}, {"id": "b"}], "funnel_step": 1}),
            json!({"results": [secret]}),
            "results",
        ),
        (
            "persons-activity-retrieve",
            json!({}),
            json!({"results": [{"activity": {secret: 1}}]}),
            "results",
        ),
    ] {
        let session = connect_to(FaultKind::json(200, &body)).await;
        let error = session.error(tool, arguments).await;
        let start =
            format!("PostHog's response is invalid: its field `{field}` has an unexpected shape. ");
        assert!(error.starts_with(&start), "{error}");
        assert!(!error.contains(secret), "{error}");
    }
}

#[tokio::test]
async fn unexpected_shape_quotes_no_nested_key() {
    let body = json!({"results": {"rosebud": {"uuid": 7}}});
    let session = connect_to(FaultKind::json(200, &body)).await;
    let error = session
        .error("persons-batch-retrieve", json!({"distinct_ids": ["a"]}))
        .await;
    assert!(!error.contains("rosebud"), "{error}");
}

#[tokio::test]
async fn response_over_the_size_limit_is_rejected() {
    let setup = Setup::default();
    let session = connect_with(Setup {
        max_response_bytes: 50_000,
        ..setup
    })
    .await;
    session.call("persons-retrieve", json!({"id": 101})).await;
    assert_snapshot!(session.error("persons-retrieve", json!({"id": 103})).await, @"PostHog's response exceeds the limit of 50000 bytes (--max-response-bytes). Request less: a smaller limit, a narrower filter.");
    let csv = json!({"format": "csv", "email": "ada@example.com"});
    session.call(LIST, csv).await;
}
