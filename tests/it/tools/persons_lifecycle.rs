use insta::assert_snapshot;
use posthog_sandbox::Sandbox;
use serde_json::json;

use crate::{column, connect, connect_as};

const TOOL: &str = "persons-lifecycle";

#[tokio::test]
async fn lists_persons_new_in_a_period() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    let arguments = json!({
        "target_date": "2026-10-28", "lifecycle_type": "new", "interval": "day",
        "events": [{"id": "$pageview"}], "date_from": "2026-10-26", "date_to": "2026-11-02",
        "select": ["plan"],
    });
    let text = session.text(TOOL, arguments).await;
    assert_snapshot!(session.requests().join("\n"), @r#"GET B/lifecycle/?date_from=2026-10-26&date_to=2026-11-02&events=[{"id":"$pageview"}]&interval=day&lifecycle_type=new&limit=20&offset=0&target_date=2026-10-28"#);
    assert_snapshot!(text, @r"
    1 person
    uuid	name	plan	distinct_ids	created_at	last_seen_at
    25ff7608-828e-5b6c-a20f-f615d76f4b4a	alan@example.com	free	alan@example.com	2026-10-28T10:00:00Z	2026-10-29T11:00:00Z
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
        let mut names = column(&page, "name");
        names.sort_unstable();
        assert_eq!(names, expected, "{kind}");
    }
    session.requests();
}

#[tokio::test]
async fn unsupported_scoped_key_is_reported_with_the_workaround() {
    let session = connect().await;
    let arguments = json!({"target_date": "2026-10-28", "lifecycle_type": "new"});
    assert_snapshot!(session.error(TOOL, arguments).await, @"PostHog does not serve this endpoint to personal API keys with scopes, whatever the scopes are: This action does not support Personal API Key access. The user can open the insight in PostHog and save its persons as a cohort; persons-list with a cohort filter then lists them.");
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for (arguments, message) in [
        (
            json!({"target_date": "2026-10-28"}),
            "Invalid arguments: missing field `lifecycle_type`.",
        ),
        (
            json!({"lifecycle_type": "new"}),
            "Invalid arguments: missing field `target_date`.",
        ),
        (
            json!({"target_date": "2026-10-28", "lifecycle_type": "lost"}),
            "Invalid argument `lifecycle_type`: unknown variant `lost`, expected one of `new`, `returning`, `resurrecting`, `dormant`.",
        ),
        (
            json!({"target_date": "2026-10-28", "lifecycle_type": "new", "events": [{"id": "x"}], "actions": [{"id": 1}]}),
            "Give `events` or `actions`, not both.",
        ),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(message), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}
