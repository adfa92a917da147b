//! Writes with an unknown outcome: sent once, reported as unknown, with the read that determines the outcome.

use insta::assert_snapshot;
use posthog_persons_mcp::policy::Confirm;
use posthog_sandbox::{FaultKind, Sandbox};
use serde_json::{Value, json};

use crate::writing::{
    CHANGE_DELAY, DELETION_DELAY, QA, approving, inject_fault, owner, properties, writes,
    writing_calls,
};
use crate::{ADA, Setup, connect_with};

pub(crate) const UNKNOWN: &str = "The outcome is unknown: the request was sent, and ";

/// The read that the error suggests.
pub(crate) fn suggested_read(tool: &str) -> &'static str {
    match tool {
        "persons-reset-distinct-id" => "persons-list with search \"luigi@example.com\"",
        "persons-split" | "persons-merge" => "persons-batch-retrieve with the distinct ids",
        "persons-bulk-delete" => "persons-batch-retrieve with the uuids",
        "persons-update" | "persons-property-set" | "persons-property-delete" => {
            "persons-retrieve, id ada0ada0-1815-4852-8000-000000000101 and select"
        }
        _ => "persons-",
    }
}

/// Injects the fault into the write of each tool; the next call works.
async fn check_tools(fault: FaultKind, tools: impl Fn(&str) -> bool) {
    for (tool, arguments, request) in writing_calls().await {
        if !tools(tool) {
            continue;
        }
        let session = approving().await;
        inject_fault(&session, &request, fault.clone());
        let error = session.error(tool, arguments.clone()).await;
        assert_eq!(
            writes(&session),
            std::slice::from_ref(&request),
            "{tool}: {fault:?}"
        );
        assert!(error.starts_with(UNKNOWN), "{tool}: {fault:?}: {error}");
        assert!(
            error.contains(suggested_read(tool)),
            "{tool}: {fault:?}: {error}"
        );
        session.call(tool, arguments).await;
        assert_eq!(writes(&session), [request], "{tool}: {fault:?}");
    }
}

fn all(_: &str) -> bool {
    true
}

#[tokio::test]
async fn outcome_is_unknown_after_a_server_error() {
    for status in [500, 502, 503, 504, 512] {
        check_tools(FaultKind::ServerError { status }, all).await;
    }
}

#[tokio::test]
async fn outcome_is_unknown_after_a_broken_connection() {
    check_tools(FaultKind::DropBeforeEffect, all).await;
    check_tools(FaultKind::DropAfterEffect, all).await;
}

#[tokio::test]
async fn outcome_is_unknown_after_a_truncated_response() {
    // Within the response headers.
    check_tools(FaultKind::CutResponse { after_bytes: 12 }, all).await;
    // Within the body, if there is one.
    let in_body = FaultKind::CutResponse { after_bytes: 200 };
    check_tools(in_body, |tool| tool == "persons-bulk-delete").await;
}

#[tokio::test]
async fn outcome_is_unknown_after_a_web_page() {
    for status in [400, 403, 404, 502] {
        check_tools(FaultKind::page(status), all).await;
    }
    check_tools(FaultKind::page(200), |tool| tool == "persons-bulk-delete").await;
}

/// Proxies that send these responses did not wait for PostHog.
#[tokio::test]
async fn outcome_is_unknown_unless_posthog_reports_it() {
    let reason = json!({"type": "invalid_request", "code": "error", "detail": "No.", "attr": null});
    for status in [408, 423, 425, 499] {
        check_tools(FaultKind::json(status, &reason), all).await;
    }
    check_tools(FaultKind::redirect(303, "https://posthog.example/"), all).await;
    for status in [401, 408, 429] {
        check_tools(FaultKind::page(status), all).await;
    }
    check_tools(FaultKind::json(400, &json!(["no"])), all).await;
}

#[tokio::test]
async fn outcome_is_unknown_after_a_web_page_with_status_200() {
    check_tools(FaultKind::page(200), |tool| tool != "persons-bulk-delete").await;
}

#[tokio::test]
async fn outcome_is_unknown_after_an_unexpected_shape() {
    for body in [
        json!({}),
        json!([]),
        json!({"persons_found": "two"}),
        Value::Null,
    ] {
        let fault = FaultKind::json(202, &body);
        check_tools(fault, |tool| tool == "persons-bulk-delete").await;
    }
}

/// Waits for the real timeout of a minute.
#[tokio::test]
#[ignore = "takes a minute"]
async fn outcome_is_unknown_after_a_timeout() {
    let calls = writing_calls()
        .await
        .into_iter()
        .map(|(tool, arguments, request)| async move {
            let session = approving().await;
            inject_fault(&session, &request, FaultKind::Stall);
            let error = session.error(tool, arguments).await;
            assert_eq!(writes(&session), [request], "{tool}");
            assert!(error.starts_with(UNKNOWN), "{tool}: {error}");
            assert!(error.contains("did not respond in time"), "{tool}: {error}");
            assert!(error.contains(suggested_read(tool)), "{tool}: {error}");
        });
    futures::future::join_all(calls).await;
}

/// Both outcomes are possible, and the suggested read tells them apart.
#[tokio::test]
async fn suggested_read_determines_the_outcome() {
    for (fault, happened) in [
        (FaultKind::DropBeforeEffect, false),
        (FaultKind::DropAfterEffect, true),
    ] {
        let session = approving().await;
        for (tool, arguments, request) in writing_calls().await {
            if tool != "persons-property-delete" {
                inject_fault(&session, &request, fault.clone());
                session.error(tool, arguments).await;
            }
        }
        session.sandbox.advance(CHANGE_DELAY);
        session.sandbox.advance(DELETION_DELAY);
        let plan = if happened { "team" } else { "pro" };
        assert_eq!(properties(&session, ADA).await["plan"], plan);
        let katherine = owner(&session, "katherine@example.com").await.unwrap();
        let grace = owner(&session, "grace@example.com").await.unwrap();
        assert_eq!(katherine != grace, happened);
        let gone = session
            .call("persons-batch-retrieve", json!({"uuids": [QA[0]]}))
            .await;
        assert_eq!(gone["results"] == json!([]), happened);
        let alan = owner(&session, "alan@example.com").await;
        let visitor = owner(&session, "0190f1aa-5555-4eee-8fff-00000000000a").await;
        assert_eq!(visitor == alan, happened);
        let luigi = json!({"search": "luigi@example.com"});
        let luigi = session.call("persons-list", luigi).await;
        assert_eq!(luigi["results"] != json!([]), happened);

        inject_fault(&session, &format!("POST B/{ADA}/delete_property/"), fault);
        session
            .error(
                "persons-property-delete",
                json!({"id": ADA, "unset": "plan"}),
            )
            .await;
        session.sandbox.advance(CHANGE_DELAY);
        assert_eq!(
            properties(&session, ADA).await.get("plan").is_none(),
            happened
        );
    }
}

#[tokio::test]
async fn unknown_outcome_messages() {
    let session = approving().await;
    let mut errors = Vec::new();
    const TOOLS: [&str; 6] = [
        "persons-update",
        "persons-property-set",
        "persons-property-delete",
        "persons-reset-distinct-id",
        "persons-split",
        "persons-bulk-delete",
    ];
    for (tool, arguments, request) in writing_calls().await {
        if !TOOLS.contains(&tool) {
            continue;
        }
        inject_fault(&session, &request, FaultKind::ServerError { status: 502 });
        errors.push(session.error(tool, arguments).await);
    }
    assert_snapshot!(errors.join("\n\n"), @r#"
    The outcome is unknown: the request was sent, and PostHog failed (status 502) (A server error occurred). The change may have been made or not; the server does not retry it. Wait half a minute, then verify with persons-retrieve, id ada0ada0-1815-4852-8000-000000000101 and select ["*"].

    The outcome is unknown: the request was sent, and PostHog failed (status 502) (A server error occurred). The change may have been made or not; the server does not retry it. Wait half a minute, then verify with persons-retrieve, id ada0ada0-1815-4852-8000-000000000101 and select ["*"].

    The outcome is unknown: the request was sent, and PostHog failed (status 502) (A server error occurred). The change may have been made or not; the server does not retry it. Wait half a minute, then verify with persons-retrieve, id ada0ada0-1815-4852-8000-000000000101 and select ["*"].

    The outcome is unknown: the request was sent, and PostHog failed (status 502) (A server error occurred). The change may have been made or not; the server does not retry it. persons-list with search "luigi@example.com" finds the person once the reset worked.

    The outcome is unknown: the request was sent, and PostHog failed (status 502) (A server error occurred). The change may have been made or not; the server does not retry it. persons-batch-retrieve with the distinct ids shows, in half a minute, which person each belongs to. Do not split again before checking.

    The outcome is unknown: the request was sent, and PostHog failed (status 502) (A server error occurred). The change may have been made or not; the server does not retry it. persons-batch-retrieve with the uuids shows in a few minutes which persons are deleted; persons-deletion-status-list shows queued event deletions. Do not delete again before checking.
    "#);
}

/// A request that PostHog rejects is not performed, and the reason says what to change.
#[tokio::test]
async fn rejection_is_no_unknown_outcome() {
    let envelope = |code: &str, detail: &str| json!({"type": "some_error", "code": code, "detail": detail, "attr": null});
    for (fault, says) in [
        (
            FaultKind::json(400, &envelope("invalid_input", "This is not possible.")),
            "This is not possible",
        ),
        (
            FaultKind::json(403, &envelope("permission_denied", "You may not.")),
            "You may not",
        ),
        (
            FaultKind::json(
                403,
                &envelope(
                    "permission_denied",
                    "API key missing required scope 'person:write'",
                ),
            ),
            "person:write",
        ),
        (
            FaultKind::json(401, &envelope("authentication_failed", "Invalid key.")),
            "rejected the API key",
        ),
        (FaultKind::Throttle { retry_after: 57 }, "Wait 57 seconds"),
    ] {
        for (tool, arguments, request) in writing_calls().await {
            let session = approving().await;
            inject_fault(&session, &request, fault.clone());
            let error = session.error(tool, arguments).await;
            assert_eq!(writes(&session), [request], "{tool}: {fault:?}");
            // The capture host knows no API key.
            let says = match tool {
                "persons-merge" => says.replace("the API key", "the project's token"),
                _ => says.to_owned(),
            };
            assert!(error.contains(&says), "{tool}: {error}");
            assert!(!error.contains("unknown"), "{tool}: {error}");
        }
    }
}

#[tokio::test]
async fn rejected_write_is_reported_as_not_done() {
    let rejection = json!({"type": "validation_error", "code": "invalid_input", "detail": "This is not possible.", "attr": null});
    for fault in [
        FaultKind::json(400, &rejection),
        FaultKind::Throttle { retry_after: 57 },
    ] {
        for (tool, arguments, request) in writing_calls().await {
            let session = approving().await;
            inject_fault(&session, &request, fault.clone());
            let error = session.error(tool, arguments).await.to_lowercase();
            assert!(
                error.contains("nothing was") || error.contains("nothing changed"),
                "{tool}: {error}"
            );
        }
    }
}

/// Without a listener, no request can have arrived.
#[tokio::test]
async fn failed_connection_is_reported_as_not_sent() {
    let session = approving().await;
    session.sandbox.stop();
    let arguments = json!({"id": ADA, "properties": {"plan": "team"}});
    let mut error = session.error("persons-update", arguments.clone()).await;
    if error.starts_with(UNKNOWN) {
        // The listener may have accepted one more connection before it closed.
        error = session.error("persons-update", arguments).await;
    }
    assert!(error.contains("Nothing was sent"), "{error}");
}

/// A read before a write can be retried, and its failure leaves no unknown outcome.
#[tokio::test]
async fn failed_read_before_a_write_is_no_unknown_outcome() {
    let session = approving().await;
    inject_fault(
        &session,
        "GET B/101/",
        FaultKind::ServerError { status: 500 },
    );
    let arguments = json!({"id": 101, "properties": {"plan": "team"}});
    let error = session.error("persons-update", arguments.clone()).await;
    assert!(error.starts_with("PostHog failed (status 500)"), "{error}");
    assert_eq!(writes(&session), Vec::<String>::new());
    inject_fault(
        &session,
        "GET B/101/",
        FaultKind::ServerError { status: 502 },
    );
    session.call("persons-update", arguments).await;
    let requests = [
        "GET B/101/".to_owned(),
        "GET B/101/".to_owned(),
        format!("PATCH B/{ADA}/"),
    ];
    assert_eq!(session.requests(), requests);
}

#[tokio::test]
async fn read_only_key_changes_nothing() {
    let session = connect_with(Setup {
        key: Sandbox::READ_KEY,
        confirm: Some(Confirm::Off),
        ..Setup::default()
    })
    .await;
    for (tool, arguments, request) in writing_calls().await {
        let error = session.error(tool, arguments).await;
        if tool == "persons-merge" {
            // It needs no write access, and reads the project first.
            assert!(
                error.starts_with("The API key lacks the scope project:read. "),
                "{error}"
            );
            assert!(writes(&session).is_empty());
            continue;
        }
        assert!(
            error.starts_with("Nothing was changed. The API key lacks the scope person:write. "),
            "{tool}: {error}"
        );
        assert_eq!(writes(&session), [request], "{tool}");
    }
}
