//! Which failures are retried, and what is reported when retries end.

use std::collections::HashSet;

use insta::assert_snapshot;
use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::json;

use super::faults::{LIST, connect_to, html, rejection};
use crate::result_invariants::{read_calls, requests_of};
use crate::{connect, connect_as};

fn makes_queries(tool: &str) -> bool {
    let tools = catalog();
    let tool = tools.iter().find(|entry| entry.name == tool).unwrap();
    // The list of an export is read by queries where the key can make any.
    tool.access.0.contains(&"query:read") || tool.name == "persons-export"
}

#[tokio::test]
async fn long_rate_limit_reports_the_wait() {
    let session = connect_to(FaultKind::Throttle { retry_after: 57 }).await;
    for (tool, arguments) in read_calls() {
        let error = session.error(tool, arguments).await;
        let reached = if makes_queries(tool) {
            "PostHog's rate limit for queries is reached. Wait 57 seconds, then call again. Tools that make no query still work: \
             persons-list without ranges and `match`, persons-retrieve, persons-properties-at-time-retrieve."
        } else {
            "PostHog's rate limit for this API key is reached. Wait 57 seconds, then call again."
        };
        assert_eq!(error, reached);
        assert_eq!(session.requests().len(), 1, "{tool}");
    }
}

#[tokio::test]
async fn endless_rate_limit_is_reported() {
    for seconds in [
        "18446744073709551615",
        "18446744073709551616",
        &"9".repeat(40),
    ] {
        let mut throttled = rejection(429, "throttled", "Request was throttled.");
        if let FaultKind::Response { headers, .. } = &mut throttled {
            headers.push(("retry-after".to_owned(), seconds.to_owned()));
        }
        let session = connect_to(throttled).await;
        let error = session.error(LIST, json!({})).await;
        assert_eq!(
            error,
            "PostHog's rate limit for this API key is reached. Wait 24 hours, then call again."
        );
        assert_eq!(session.requests().len(), 1);
    }
}

#[tokio::test]
async fn short_rate_limit_is_waited_for() {
    let session = connect().await;
    session.sandbox.inject(Fault::once(
        "persons",
        FaultKind::Throttle { retry_after: 0 },
    ));
    session.call(LIST, json!({})).await;
    assert_eq!(session.requests().len(), 2);
}

#[tokio::test]
async fn rate_limit_without_seconds_is_retried_then_reported() {
    for header in ["Wed, 21 Oct 2026 07:28:00 GMT", "-3"] {
        let mut throttled = rejection(429, "throttled", "Request was throttled.");
        if let FaultKind::Response { headers, .. } = &mut throttled {
            headers.push(("retry-after".to_owned(), header.to_owned()));
        }
        let session = connect_to(throttled).await;
        let error = session.error(LIST, json!({})).await;
        assert_eq!(
            error,
            "PostHog's rate limit for this API key is reached. Wait a minute, then call again."
        );
        assert_eq!(session.requests().len(), 4);
    }
}

#[tokio::test]
async fn reads_are_retried_after_transient_failures() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for what in [
        FaultKind::ServerError { status: 503 },
        FaultKind::ServerError { status: 504 },
        html(502),
        FaultKind::DropBeforeEffect,
    ] {
        for (tool, arguments) in read_calls() {
            if matches!(what, FaultKind::ServerError { status: 504 }) && makes_queries(tool) {
                // The time limit of a query, which would be reached again.
                continue;
            }
            session
                .sandbox
                .inject(Fault::once("/projects/", what.clone()));
            session.call(tool, arguments).await;
            let requests = session.requests();
            assert_eq!(requests.len(), 1 + requests_of(tool), "{tool} {what:?}");
            assert_eq!(requests[0], requests[1]);
        }
    }
}

#[tokio::test]
async fn reads_are_not_retried_after_permanent_failures() {
    for status in [500, 512] {
        let session = connect_to(FaultKind::ServerError { status }).await;
        for (tool, arguments) in read_calls() {
            let error = session.error(tool, arguments).await;
            assert!(
                error.starts_with(&format!("PostHog failed (status {status}): ")),
                "{error}"
            );
            let requests = session.sandbox.requests().into_iter();
            let requests: Vec<String> = requests
                .map(|request| format!("{} {} {}", request.path, request.query, request.body))
                .collect();
            session.requests();
            // An export asks for fewer rows.
            let distinct: HashSet<&String> = requests.iter().collect();
            assert_eq!(distinct.len(), requests.len(), "{tool} {status}");
        }
    }
}

#[tokio::test]
async fn lasting_failure_is_reported_after_four_attempts() {
    let session = connect_to(FaultKind::ServerError { status: 503 }).await;
    assert_snapshot!(session.error(LIST, json!({})).await, @"PostHog failed (status 503): ClickHouse is at capacity. Please try again later. Try again later, or narrow the query: an exact email or distinct_id, a smaller limit.");
    assert_eq!(session.requests().len(), 4);
    let session = connect_to(html(502)).await;
    assert_snapshot!(session.error(LIST, json!({})).await, @"PostHog failed (status 502). Try again later, or narrow the query: an exact email or distinct_id, a smaller limit.");
    assert_eq!(session.requests().len(), 4);
    let session = connect_to(FaultKind::DropBeforeEffect).await;
    let error = session.error(LIST, json!({})).await;
    assert!(
        error.starts_with("The connection to http://sandbox was lost: "),
        "{error}"
    );
    assert!(error.ends_with(". Try again later."), "{error}");
    assert_eq!(session.requests().len(), 4);
}

#[tokio::test]
async fn response_cut_short_is_retried() {
    let session = connect().await;
    session.sandbox.inject(Fault::once(
        "persons",
        FaultKind::CutResponse { after_bytes: 600 },
    ));
    session.call(LIST, json!({})).await;
    assert_eq!(session.requests().len(), 2);
}
