//! An endpoint that PostHog does not have, or cannot serve, is reported as such.

use posthog_client::Project;
use posthog_sandbox::{Era, Fault, FaultKind, Sandbox};
use serde_json::json;

use super::support::{GRACE, of, on};
use crate::{ADA, Session, Setup, connect_with};

#[tokio::test]
async fn missing_endpoints_are_not_missing_persons() {
    let session = on(Era::August2025).await;
    for (tool, arguments, endpoint) in [
        ("persons-deletion-status-list", json!({}), "deletion_status"),
        (
            "persons-properties-at-time-retrieve",
            json!({"distinct_id": "ada@example.com", "timestamp": "2026-06-01"}),
            "properties_at_time",
        ),
    ] {
        let error = session.error(tool, arguments).await;
        assert!(error.contains(&format!("`{endpoint}`")), "{error}");
        assert!(error.contains("too old"), "{error}");
        assert!(!error.contains("distinct_id="), "{error}");
    }
    let values = session
        .call("persons-values-retrieve", json!({"key": "plan"}))
        .await;
    assert!(!values["results"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn batches_fall_back_to_single_reads_for_every_kind_of_key() {
    for key in [Sandbox::KEY, Sandbox::LEGACY_KEY] {
        let session = connect_with(Setup {
            key,
            ..of(Era::August2025)
        })
        .await;
        let batch = session
            .call("persons-batch-retrieve", json!({"uuids": [ADA, GRACE]}))
            .await;
        assert_eq!(batch["results"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn unknown_project_is_named_as_such() {
    let session = connect_with(Setup {
        project: Project::Number(999),
        ..of(Era::September2026)
    })
    .await;
    let error = session.error("persons-list", json!({})).await;
    assert!(error.contains("POSTHOG_PROJECT_ID"), "{error}");
    assert!(!error.contains("persons-list by email"), "{error}");
}

#[tokio::test]
async fn page_of_the_activity_past_the_last_is_named_as_such() {
    let session = on(Era::June2026).await;
    let error = session
        .error("persons-activity-retrieve", json!({"page": 99}))
        .await;
    assert!(error.contains("page 99 is past the last page"), "{error}");
    assert!(!error.contains("Try again later"), "{error}");
}

#[tokio::test]
async fn endpoints_that_always_fail_are_named_as_such() {
    let lifecycle = json!({"target_date": "2026-10-28", "lifecycle_type": "new"});
    let at_time = json!({"person_id": ADA, "timestamp": "2026-06-01"});
    for (era, tool, arguments, endpoint) in [
        (
            Era::August2025,
            "persons-cohorts-retrieve",
            json!({"person_id": ADA}),
            "cohorts",
        ),
        (
            Era::August2025,
            "persons-lifecycle",
            lifecycle.clone(),
            "lifecycle",
        ),
        (Era::June2026, "persons-lifecycle", lifecycle, "lifecycle"),
        (
            Era::June2026,
            "persons-properties-at-time-retrieve",
            at_time,
            "properties_at_time",
        ),
    ] {
        let session = connect_with(Setup {
            key: Sandbox::LEGACY_KEY,
            ..of(era)
        })
        .await;
        without_queries(&session);
        let error = session.error(tool, arguments).await;
        let named = format!("fails on every request to its endpoint `{endpoint}`");
        assert!(error.contains(&named), "{error}");
        assert!(!error.contains("Try again later"), "{error}");
    }
}

fn without_queries(session: &Session) {
    let body =
        json!({"type": "x", "code": "not_found", "detail": "Endpoint not found.", "attr": null});
    let fault = FaultKind::json(404, &body);
    session.sandbox.inject(Fault::always("/query/", fault));
}

#[tokio::test]
async fn queries_replace_endpoints_that_always_fail() {
    for era in [Era::August2025, Era::June2026] {
        let session = on(era).await;
        let arguments = json!({"target_date": "2026-10-28", "lifecycle_type": "new", "events": [{"id": "sign up"}]});
        let page = session.call("persons-lifecycle", arguments).await;
        assert_eq!(page["results"].as_array().unwrap().len(), 1, "{era:?}");
        let cohorts = session
            .call("persons-cohorts-retrieve", json!({"person_id": ADA}))
            .await;
        assert_eq!(cohorts["results"].as_array().unwrap().len(), 2, "{era:?}");
    }
}

#[tokio::test]
async fn failure_of_the_moment_is_not_a_failing_endpoint() {
    let session = connect_with(Setup {
        key: Sandbox::LEGACY_KEY,
        ..of(Era::September2026)
    })
    .await;
    for (tool, arguments, endpoint) in [
        (
            "persons-cohorts-retrieve",
            json!({"person_id": ADA}),
            "cohorts",
        ),
        (
            "persons-lifecycle",
            json!({"target_date": "2026-10-28", "lifecycle_type": "new"}),
            "lifecycle",
        ),
        (
            "persons-properties-at-time-retrieve",
            json!({"person_id": ADA, "timestamp": "2026-06-01"}),
            "properties_at_time",
        ),
    ] {
        without_queries(&session);
        let fault = FaultKind::ServerError { status: 500 };
        session.sandbox.inject(Fault::once(endpoint, fault));
        let error = session.error(tool, arguments).await;
        assert!(error.contains("Try again later"), "{error}");
    }
}

#[tokio::test]
async fn funnel_without_a_step_is_refused_before_it_is_sent() {
    let session = connect_with(Setup {
        key: Sandbox::LEGACY_KEY,
        ..of(Era::June2026)
    })
    .await;
    for arguments in [
        json!({}),
        json!({"events": [{"id": "sign up"}]}),
        json!({"events": [{"id": "sign up"}], "funnel_viz_type": "trends"}),
    ] {
        let error = session.error("persons-funnel", arguments).await;
        assert!(
            error.contains("`funnel_step`") || error.contains("`drop_off`"),
            "{error}"
        );
    }
    assert_eq!(session.requests(), Vec::<String>::new());
}
