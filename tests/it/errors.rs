//! What a model reads when a call fails. That the key is never told is checked on every call.

use insta::assert_snapshot;
use posthog_client::Project;
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::json;

use crate::promises::calls;
use crate::stdio::sandbox;
use crate::{ADA, NOBODY, Session, Setup, connect, connect_as, connect_with};

const LIST: &str = "persons-list";

/// A session in which each request meets this fault.
async fn connect_to(what: FaultKind) -> Session {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    session.sandbox.inject(Fault {
        path_contains: String::new(),
        times: usize::MAX,
        kind: what,
    });
    session
}

fn page(status: u16, content_type: &str, body: &str) -> FaultKind {
    FaultKind::Response {
        status,
        content_type: content_type.to_owned(),
        body: body.to_owned(),
        headers: Vec::new(),
    }
}

fn html(status: u16) -> FaultKind {
    page(
        status,
        "text/html; charset=utf-8",
        "<!doctype html><h1>Sorry</h1>",
    )
}

fn refusal(status: u16, code: &str, detail: &str) -> FaultKind {
    let envelope = json!({"type": "some_error", "code": code, "detail": detail, "attr": null});
    FaultKind::json(status, &envelope)
}

#[tokio::test]
async fn every_tool_works_in_one_request_where_the_key_may_use_it() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for (tool, arguments) in calls() {
        session.call(tool, arguments).await;
        assert_eq!(session.requests().len(), 1, "{tool}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_the_users_to_mend() {
    let session = connect_as("phx_wrong").await;
    let expected = session.error(LIST, json!({})).await;
    assert_snapshot!(expected, @"PostHog at http://sandbox refuses the key: Personal API key is invalid. The key is wrong, revoked, or belongs to the other region (https://us.posthog.com or https://eu.posthog.com: set POSTHOG_HOST). Only a personal API key (phx_...) works, not a project token. The user has to mend this; calling again will not.");
    for (tool, arguments) in calls() {
        session.requests();
        assert_eq!(session.error(tool, arguments).await, expected, "{tool}");
        assert_eq!(session.requests().len(), 1, "{tool}");
    }
    let session = connect_as(Sandbox::PROJECT_TOKEN).await;
    assert_eq!(session.error(LIST, json!({})).await, expected);
}

#[tokio::test]
async fn a_wrong_key_is_known_by_its_code_as_well_as_by_its_status() {
    for code in ["authentication_failed", "not_authenticated"] {
        let session = connect_to(refusal(403, code, "Invalid key.")).await;
        let error = session.error(LIST, json!({})).await;
        assert!(
            error.starts_with(
                "PostHog at http://sandbox refuses the key: Invalid key. The key is wrong, "
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_key_that_posthog_quotes_is_not_passed_on() {
    for status in [400, 401, 403, 500] {
        let detail = format!("The key {} is not welcome.", Sandbox::LEGACY_KEY);
        let session = connect_to(refusal(status, "permission_denied", &detail)).await;
        session.error(LIST, json!({})).await;
    }
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let session = connect_as(Sandbox::READ_KEY).await;
    let error = session
        .error("persons-cohorts-retrieve", json!({"person_id": ADA}))
        .await;
    assert_snapshot!(error, @"The key lacks the scope cohort:read. The user can add it at http://sandbox/settings/user-api-keys, or use a key that has it.");
    for arguments in [json!({}), json!({"id": ADA})] {
        let error = session.error("persons-activity-retrieve", arguments).await;
        assert!(
            error.starts_with("The key lacks the scope activity_log:read. "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_endpoint_closed_to_keys_is_told_from_a_missing_scope_in_any_wording() {
    for detail in [
        "This action does not support Personal API Key access",
        "This action does not support OAuth access.",
    ] {
        let session = connect_to(refusal(403, "permission_denied", detail)).await;
        for tool in [
            "persons-funnel",
            "persons-trends",
            "persons-lifecycle",
            "persons-properties-timeline-retrieve",
        ] {
            let (_, arguments) = calls().into_iter().find(|call| call.0 == tool).unwrap();
            let error = session.error(tool, arguments).await;
            let start = "PostHog does not serve this to personal API keys with scopes, whatever the scopes are: ";
            assert!(error.starts_with(start), "{error}");
            assert!(
                error.contains("persons-list")
                    || error.contains("persons-properties-at-time-retrieve"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn another_project_is_forbidden() {
    let setup = Setup::default();
    let session = connect_with(Setup {
        project: Project::Number(99),
        ..setup
    })
    .await;
    assert_snapshot!(session.error(LIST, json!({})).await, @"PostHog forbids this to the key: You don't have access to the project. The key may be limited to other projects or organizations, or the organization forbids it; the user has to mend this.");
}

#[tokio::test]
async fn not_found_names_the_id_and_how_to_look_it_up() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for (tool, arguments) in [
        ("persons-retrieve", json!({"id": NOBODY})),
        ("persons-cohorts-retrieve", json!({"person_id": NOBODY})),
        ("persons-activity-retrieve", json!({"id": NOBODY})),
        (
            "persons-properties-timeline-retrieve",
            json!({"id": NOBODY}),
        ),
        (
            "persons-properties-at-time-retrieve",
            json!({"person_id": NOBODY, "timestamp": "2026-06-01"}),
        ),
    ] {
        let error = session.error(tool, arguments).await;
        assert!(
            error.starts_with(&format!(
                "PostHog knows no person `{NOBODY}` in this project"
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
async fn every_shape_of_a_bad_request_gives_its_reason() {
    for (body, expected) in [
        (
            json!({"type": "validation_error", "code": "invalid_input", "detail": "Must be a valid date.", "attr": "date_from"}),
            "PostHog refuses the argument `date_from`: Must be a valid date. Change it and call again.",
        ),
        (
            json!({"type": "invalid_request", "code": "parse_error", "detail": "JSON parse error", "attr": null, "extra": {}}),
            "PostHog refuses the request: JSON parse error. Change it and call again.",
        ),
        (
            json!({"attr": "value", "code": "This field is required.", "detail": "required", "type": "validation_error"}),
            "PostHog refuses the argument `value`: This field is required. Change it and call again.",
        ),
        (
            json!({"success": false, "detail": "Could not be sent"}),
            "PostHog did not do it: Could not be sent. Try again later.",
        ),
        (
            json!({"error": "timestamp parameter is required"}),
            "PostHog refuses the request: timestamp parameter is required. Change it and call again.",
        ),
        (
            json!({"message": "Missing target_date parameter", "detail": "Missing target_date parameter"}),
            "PostHog refuses the request: Missing target_date parameter. Change it and call again.",
        ),
        (
            json!({}),
            "PostHog refuses the request. Change it and call again.",
        ),
    ] {
        let session = connect_to(FaultKind::json(400, &body)).await;
        assert_eq!(session.error(LIST, json!({})).await, expected);
        assert_eq!(session.requests().len(), 1);
    }
    // With CSV the reason is lost on the way.
    let session = connect().await;
    let unknown =
        json!({"format": "csv", "properties": [{"key": "id", "type": "cohort", "value": 99}]});
    assert_snapshot!(session.error(LIST, unknown).await, @"PostHog refuses the request. Change it and call again.");
}

#[tokio::test]
async fn words_in_an_error_are_clean_and_short() {
    let detail = format!(
        "bad\u{202e} \u{e0041}value\nIgnore this. {}",
        "x".repeat(1000)
    );
    let session = connect_to(refusal(400, "invalid_input", &detail)).await;
    let error = session.error(LIST, json!({})).await;
    assert!(
        error.starts_with("PostHog refuses the request: bad value Ignore this. xxx"),
        "{error}"
    );
    assert!(error.len() < 400, "{error}");
}

#[tokio::test]
async fn a_rate_limit_beyond_patience_tells_how_long_to_wait() {
    let session = connect_to(FaultKind::Throttle { retry_after: 57 }).await;
    for (tool, arguments) in calls() {
        let error = session.error(tool, arguments).await;
        assert_eq!(
            error,
            "PostHog's rate limit for this key is reached. Wait 57 seconds, then call again."
        );
        assert_eq!(session.requests().len(), 1, "{tool}");
    }
}

#[tokio::test]
async fn a_rate_limit_within_patience_is_waited_for() {
    let session = connect().await;
    session.sandbox.inject(Fault::once(
        "persons",
        FaultKind::Throttle { retry_after: 0 },
    ));
    session.call(LIST, json!({})).await;
    assert_eq!(session.requests().len(), 2);
}

#[tokio::test]
async fn a_rate_limit_without_a_time_is_tried_again_and_then_told() {
    for header in ["Wed, 21 Oct 2026 07:28:00 GMT", "-3"] {
        let mut throttled = refusal(429, "throttled", "Request was throttled.");
        if let FaultKind::Response { headers, .. } = &mut throttled {
            headers.push(("retry-after".to_owned(), header.to_owned()));
        }
        let session = connect_to(throttled).await;
        let error = session.error(LIST, json!({})).await;
        assert_eq!(
            error,
            "PostHog's rate limit for this key is reached. Wait a minute, then call again."
        );
        assert_eq!(session.requests().len(), 4);
    }
}

#[tokio::test]
async fn a_read_is_sent_again_where_that_can_help() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for what in [
        FaultKind::ServerError { status: 503 },
        FaultKind::ServerError { status: 504 },
        html(502),
        FaultKind::DropBeforeEffect,
    ] {
        for (tool, arguments) in calls() {
            session.sandbox.inject(Fault::once("persons", what.clone()));
            session.call(tool, arguments).await;
            let requests = session.requests();
            assert_eq!(requests.len(), 2, "{tool} {what:?}");
            assert_eq!(requests[0], requests[1]);
        }
    }
}

#[tokio::test]
async fn a_read_is_not_sent_again_where_that_cannot_help() {
    for status in [500, 512] {
        let session = connect_to(FaultKind::ServerError { status }).await;
        for (tool, arguments) in calls() {
            let error = session.error(tool, arguments).await;
            assert!(
                error.starts_with(&format!("PostHog failed (status {status}): ")),
                "{error}"
            );
            assert_eq!(session.requests().len(), 1, "{tool} {status}");
        }
    }
}

#[tokio::test]
async fn a_lasting_failure_is_told_after_four_attempts() {
    let session = connect_to(FaultKind::ServerError { status: 503 }).await;
    assert_snapshot!(session.error(LIST, json!({})).await, @"PostHog failed (status 503): ClickHouse is at capacity. Please try again later. Try again later; a narrower question (an exact email or distinct_id, a smaller limit) asks less of it.");
    assert_eq!(session.requests().len(), 4);
    let session = connect_to(html(502)).await;
    assert_snapshot!(session.error(LIST, json!({})).await, @"PostHog failed (status 502). Try again later; a narrower question (an exact email or distinct_id, a smaller limit) asks less of it.");
    assert_eq!(session.requests().len(), 4);
    let session = connect_to(FaultKind::DropBeforeEffect).await;
    let error = session.error(LIST, json!({})).await;
    assert!(
        error.starts_with("The connection to http://sandbox broke: "),
        "{error}"
    );
    assert!(error.ends_with(". Try again later."), "{error}");
    assert_eq!(session.requests().len(), 4);
}

#[tokio::test]
async fn a_web_page_is_no_answer_whatever_its_status() {
    let session = connect_to(html(200)).await;
    let expected = session.error(LIST, json!({})).await;
    assert_snapshot!(expected, @"PostHog's answer could not be read: it is a web page, not JSON. Try again later; if it stays so, POSTHOG_HOST (http://sandbox) may not be the address of PostHog's API.");
    for (tool, arguments) in calls() {
        assert_eq!(session.error(tool, arguments).await, expected, "{tool}");
    }
    for status in [400, 403, 404] {
        let session = connect_to(html(status)).await;
        let error = session.error("persons-retrieve", json!({"id": ADA})).await;
        let start =
            format!("PostHog's answer could not be read: status {status} with a web page. ");
        assert!(error.starts_with(&start), "{error}");
    }
}

#[tokio::test]
async fn json_that_ends_too_early_is_told_as_such() {
    let session = connect_to(page(200, "application/json", "{\"uuid\": \"u")).await;
    for (tool, arguments) in calls() {
        let error = session.error(tool, arguments).await;
        assert!(
            error.starts_with("PostHog's answer could not be read: it ends too early. "),
            "{tool}: {error}"
        );
        assert_eq!(session.requests().len(), 1, "{tool}");
    }
    let session = connect_to(page(200, "application/json", "")).await;
    assert_snapshot!(session.error(LIST, json!({})).await, @"PostHog's answer could not be read: it ends too early. Try again later; if it stays so, POSTHOG_HOST (http://sandbox) may not be the address of PostHog's API.");
    let session = connect_to(page(200, "application/json", "results: none")).await;
    let error = session.error(LIST, json!({})).await;
    assert!(
        error.starts_with("PostHog's answer could not be read: it is not JSON. "),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let session = connect().await;
    session.sandbox.inject(Fault::once(
        "persons",
        FaultKind::CutResponse { after_bytes: 600 },
    ));
    session.call(LIST, json!({})).await;
    assert_eq!(session.requests().len(), 2);
}

#[tokio::test]
async fn an_answer_of_another_shape_is_told_without_quoting_it() {
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
            json!({"funnel_step": 1}),
            json!({"results": [{"people": secret}]}),
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
        let start = format!(
            "PostHog's answer could not be read: its field `{field}` has an unexpected shape. "
        );
        assert!(error.starts_with(&start), "{error}");
        assert!(!error.contains(secret), "{error}");
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_is_told_without_quoting_names_in_it() {
    let body = json!({"results": {"rosebud": {"uuid": 7}}});
    let session = connect_to(FaultKind::json(200, &body)).await;
    let error = session
        .error("persons-batch-retrieve", json!({"distinct_ids": ["a"]}))
        .await;
    assert!(!error.contains("rosebud"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_so_that_the_key_stays_here() {
    let elsewhere = sandbox().await;
    for status in [301, 302, 307, 308] {
        let to = format!("{}/api/projects/1/persons/", elsewhere.url());
        let redirect = FaultKind::Response {
            status,
            content_type: "text/html".to_owned(),
            body: String::new(),
            headers: vec![("location".to_owned(), to)],
        };
        let session = connect_to(redirect).await;
        for (tool, arguments) in calls() {
            let error = session.error(tool, arguments).await;
            assert_eq!(
                error,
                "PostHog at http://sandbox points to another address, which is not followed so that the key goes \
                 nowhere else. POSTHOG_HOST must be the address that answers itself."
            );
            assert_eq!(session.requests().len(), 1, "{tool}");
        }
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused() {
    let setup = Setup::default();
    let session = connect_with(Setup {
        max_response_bytes: 50_000,
        ..setup
    })
    .await;
    session.call("persons-retrieve", json!({"id": 101})).await;
    assert_snapshot!(session.error("persons-retrieve", json!({"id": 103})).await, @"PostHog's answer is longer than the 50000 bytes that are read of one (--max-response-bytes). Ask for less: a smaller limit, a narrower filter.");
    let csv = json!({"format": "csv", "email": "ada@example.com"});
    session.call(LIST, csv).await;
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_told_with_what_to_check() {
    let session = connect().await;
    session.sandbox.stop();
    let error = session.error(LIST, json!({})).await;
    assert!(
        error.starts_with("No connection to http://sandbox: "),
        "{error}"
    );
    assert!(error.ends_with("Check POSTHOG_HOST, the network, the proxy settings and, for a private certificate, --ca-cert."), "{error}");
}
