use insta::assert_snapshot;
use posthog_sandbox::Sandbox;
use serde_json::json;

use crate::{column, connect, connect_as, connect_without_queries};

const TOOL: &str = "persons-trends";

#[tokio::test]
async fn lists_persons_by_descending_event_count() {
    let session = connect().await;
    let arguments = json!({
        "entity_id": "$pageview", "entity_math": "total", "date_from": "2026-10-26", "date_to": "2026-11-02",
        "properties": [{"key": "email", "operator": "icontains", "value": "@example.com"}], "limit": 3,
    });
    let text = session.text(TOOL, arguments).await;
    let query = session.queries().remove(0);
    assert_eq!(session.requests(), ["POST Q/"]);
    assert_eq!(
        query["orderBy"],
        json!(["event_count DESC", "actor_id DESC"])
    );
    assert_eq!(
        query["source"],
        json!({"kind": "InsightActorsQuery", "source": {
            "kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "$pageview"}],
            "trendsFilter": {"display": "BoldNumber"},
            "dateRange": {"date_from": "2026-10-26", "date_to": "2026-11-02"},
            "properties": [{"key": "email", "operator": "icontains", "type": "person", "value": "@example.com"}],
        }})
    );
    assert_snapshot!(text, @r"
    3 persons
    uuid	name	email	country	distinct_ids	created	last_seen	value_at_data_point
    ada0ada0-1815-4852-8000-000000000101	Ada Lovelace	ada@example.com	GB	ada@example.com, 0190f1aa-1111-4aaa-8bbb-00000000ada1	2026-03-02	2026-11-02	4
    25ff7608-828e-5b6c-a20f-f615d76f4b4a	Alan Turing	alan@example.com	GB	alan@example.com	2026-10-28	2026-10-29	3
    707be5a0-b120-5ae0-b57a-f77976f29c41	Grace Hopper	grace@example.com	US	grace@example.com, katherine@example.com, katherine-laptop, 0190f1aa-2222-4aaa-8bbb-0000000009ac	2026-04-10	2026-10-31	2
    There may be more: call persons-trends with the same arguments and offset 3.
    ");
}

#[tokio::test]
async fn action_is_selected_by_id() {
    let session = connect_without_queries(Sandbox::LEGACY_KEY).await;
    let arguments = json!({"entity_id": 2, "entity_type": "actions", "search": "hedy"});
    let page = session.call(TOOL, arguments).await;
    assert_snapshot!(session.requests().remove(1), @"GET B/trends/?entity_id=2&entity_type=actions&limit=20&offset=0&search=hedy");
    assert_eq!(column(&page, "email"), ["hedy@example.com"]);
    assert_eq!(page["results"][0]["value_at_data_point"], 1);
}

#[tokio::test]
async fn unknown_action_returns_the_reason_from_posthog() {
    let session = connect_without_queries(Sandbox::LEGACY_KEY).await;
    let arguments = json!({"entity_id": "99", "entity_type": "actions"});
    assert_snapshot!(session.error(TOOL, arguments).await, @r#"PostHog rejected the request: Action ID "99" does not exist. Change it and call again."#);
}

#[tokio::test]
async fn unsupported_scoped_key_is_reported_with_the_workaround() {
    let session = connect_without_queries(Sandbox::KEY).await;
    assert_snapshot!(session.error(TOOL, json!({"entity_id": "$pageview"})).await, @"PostHog does not serve this endpoint to personal API keys with scopes, whatever the scopes are: This action does not support Personal API Key access. The user can open the insight in PostHog and save its persons as a cohort; persons-list with a cohort filter then lists them.");
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for (arguments, expected) in [
        (json!({}), "Argument `entity_id` is missing."),
        (
            json!({"entity_id": ""}),
            "Invalid argument `entity_id`: must not be empty; leave an optional argument out instead.",
        ),
        (
            json!({"entity_id": "x", "entity_type": "cohorts"}),
            "Invalid argument `entity_type`: unknown value `cohorts`, expected `events` or `actions`.",
        ),
        (
            json!({"entity_id": "sign up", "entity_type": "actions"}),
            "`entity_id` is the number of the action.",
        ),
        (
            json!({"entity_id": "x", "breakdown_value": "pro"}),
            "`breakdown_value` is a value of the property in `breakdown`; give both.",
        ),
        (
            json!({"entity_id": "x", "date_to": "31.01.2026"}),
            "Invalid argument `date_to`: not a date; use a format such as 2026-01-31, 2026-01-31T12:00:00Z or, relative to now, -7d.",
        ),
        (
            json!({"entity_id": "x", "events": []}),
            "Unknown argument `events`.",
        ),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(expected), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}
