//! A PostHog, or a cache in front of it, that ignores the limit of a page: no call loops, and none shows more than it asked
//! for.

use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};

use crate::{NOBODY, Session, Setup, connect_with};

/// Requests that one call may need besides its first page.
const MAX_FURTHER_REQUESTS: usize = 6;

async fn session() -> Session {
    let mut setup = Setup {
        // Insights are closed to keys with scopes.
        key: Sandbox::LEGACY_KEY,
        ..Setup::persons(150)
    };
    setup.limits.bytes = 8_000;
    let session = connect_with(setup).await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.limit_ignored = true);
    // Where the order of rows is undefined, a page is requested again up to its last row shown.
    let same_time = FaultKind::replace_field("created_at", "\"2026-01-01T00:00:00Z\"");
    session
        .sandbox
        .inject(Fault::always("/persons/", same_time));
    session
}

fn rows(result: &Value) -> usize {
    result["results"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn rows_beyond_the_limit_are_dropped_and_the_next_page_is_named() {
    let session = session().await;
    for (tool, arguments) in [
        ("persons-list", json!({"limit": 3})),
        ("persons-activity-retrieve", json!({"limit": 2})),
    ] {
        let result = session.call(tool, arguments.clone()).await;
        assert_eq!(rows(&result), arguments["limit"], "{tool}: {result}");
        let more = result.get("next_offset").or_else(|| result.get("next"));
        assert!(more.is_some(), "{tool}: {result}");
        session.requests();
    }
}

/// The same cache, for the query that finds a person by distinct id.
#[tokio::test]
async fn person_without_the_distinct_id_is_not_written_to() {
    let session = connect_with(Setup::default()).await;
    let other = json!({"uuid": NOBODY, "distinct_ids": ["another"], "properties": {}});
    let page = json!({"results": [other], "next": null});
    let fault = Fault::once("GET /api/projects/1/persons/", FaultKind::json(200, &page));
    session.sandbox.inject(fault);
    let arguments = json!({"distinct_id": "ada@example.com", "key": "plan", "value": "team"});
    let error = session.error("persons-property-set", arguments).await;
    assert!(error.contains("without this distinct id"), "{error}");
    assert_eq!(session.requests(), ["GET B/?distinct_id=ada@example.com"]);
}

#[tokio::test]
async fn page_that_does_not_fit_is_requested_again_only_a_few_times() {
    let session = session().await;
    for limit in [1, 5, 50, 100, 200] {
        let page = session.call("persons-list", json!({"limit": limit})).await;
        assert!(rows(&page) <= limit, "{limit}: {}", rows(&page));
        assert!(rows(&page) > 0, "{limit}: {page}");
        let requests = session.requests();
        assert!(
            requests.len() <= 1 + MAX_FURTHER_REQUESTS,
            "{limit}: {requests:?}"
        );
    }
}
