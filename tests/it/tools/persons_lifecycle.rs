use insta::assert_snapshot;
use posthog_sandbox::Sandbox;
use serde_json::json;

use crate::{column, connect, connect_as, connect_without_queries};

const TOOL: &str = "persons-lifecycle";

#[tokio::test]
async fn lists_persons_new_in_a_period() {
    let session = connect().await;
    let arguments = json!({
        "target_date": "2026-10-28", "lifecycle_type": "new", "interval": "day",
        "events": [{"id": "$pageview"}], "date_from": "2026-10-26", "date_to": "2026-11-02",
        "select": ["plan"],
    });
    let text = session.text(TOOL, arguments).await;
    let query = session.queries().remove(0);
    assert_eq!(session.requests(), ["POST Q/"]);
    assert_eq!(
        query["source"],
        json!({"kind": "InsightActorsQuery", "day": "2026-10-28", "status": "new", "source": {
            "kind": "LifecycleQuery", "series": [{"kind": "EventsNode", "event": "$pageview"}], "interval": "day",
            "dateRange": {"date_from": "2026-10-26", "date_to": "2026-10-29"},
        }})
    );
    assert_snapshot!(text, @r"
    1 person
    uuid	name	plan	distinct_ids	created	last_seen
    25ff7608-828e-5b6c-a20f-f615d76f4b4a	Alan Turing	free	alan@example.com	2026-10-28	2026-10-29
    ");
}

#[tokio::test]
async fn statuses_select_different_persons() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for (kind, expected) in [
        ("returning", vec!["alan@example.com"]),
        ("resurrecting", vec![]),
        ("dormant", vec!["ada@example.com", "hedy@example.com"]),
    ] {
        let arguments = json!({
            "target_date": "2026-10-29T12:00:00Z", "lifecycle_type": kind, "actions": [],
            "events": [{"id": "$pageview"}],
        });
        let page = session.call(TOOL, arguments).await;
        let mut names = column(&page, "email");
        names.sort_unstable();
        assert_eq!(names, expected, "{kind}");
    }
    session.requests();
}

#[tokio::test]
async fn endpoint_of_the_lifecycle_is_used_where_there_is_no_query_api() {
    let session = connect_without_queries(Sandbox::LEGACY_KEY).await;
    let arguments = json!({
        "target_date": "2026-10-28", "lifecycle_type": "new", "events": [{"id": "$pageview"}], "date_from": "2026-10-26",
    });
    let page = session.call(TOOL, arguments).await;
    assert_eq!(column(&page, "email"), ["alan@example.com"]);
    assert_snapshot!(session.requests().remove(1), @r#"GET B/lifecycle/?date_from=2026-10-26&events=[{"id":"$pageview"}]&lifecycle_type=new&limit=20&offset=0&target_date=2026-10-28"#);
}

#[tokio::test]
async fn unsupported_scoped_key_is_reported_with_the_workaround() {
    let session = connect_without_queries(Sandbox::KEY).await;
    let arguments = json!({"target_date": "2026-10-28", "lifecycle_type": "new"});
    assert_snapshot!(session.error(TOOL, arguments).await, @"PostHog does not serve this endpoint to personal API keys with scopes, whatever the scopes are: This action does not support Personal API Key access. The user can open the insight in PostHog and save its persons as a cohort; persons-list with a cohort filter then lists them.");
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for (arguments, message) in [
        (
            json!({"target_date": "2026-10-28"}),
            "Argument `lifecycle_type` is missing.",
        ),
        (
            json!({"lifecycle_type": "new"}),
            "Argument `target_date` is missing.",
        ),
        (
            json!({"target_date": "2026-10-28", "lifecycle_type": "lost"}),
            "Invalid argument `lifecycle_type`: unknown value `lost`, expected one of `new`, `returning`, `resurrecting`, `dormant`.",
        ),
        (
            json!({"target_date": "2026-10-28", "lifecycle_type": "new", "events": [{"id": "x"}], "actions": [{"id": 1}]}),
            "Give `events` or `actions`, not both.",
        ),
        (
            json!({"target_date": "2026-10-28", "lifecycle_type": "new", "events": [{"id": "x"}, {"id": "y"}]}),
            "PostHog looks at one event or action; give only one.",
        ),
        (
            json!({"target_date": "all", "lifecycle_type": "new"}),
            "`target_date` is a date in the period.",
        ),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(message), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}
