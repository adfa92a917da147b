use insta::assert_snapshot;
use posthog_sandbox::Sandbox;
use serde_json::json;

use crate::{ADA, NOBODY, connect, connect_as};

const TOOL: &str = "persons-properties-timeline-retrieve";

#[tokio::test]
async fn shows_changes_of_filtered_properties() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    let arguments = json!({
        "id": ADA, "date_from": "2026-03-01", "date_to": "2026-11-02", "interval": "day",
        "properties": [{"key": "plan", "operator": "is_set"}],
    });
    let text = session.text(TOOL, arguments).await;
    assert_snapshot!(session.requests().join("\n"), @r#"GET B/ada0ada0-1815-4852-8000-000000000101/properties_timeline/?date_from=2026-03-01&date_to=2026-11-02&interval=day&properties=[{"key":"plan","operator":"is_set","type":"person","value":"is_set"}]"#);
    assert_snapshot!(text, @r"
    4 points from 2026-03-01T00:00:00+00:00 to 2026-11-02T23:59:59.999999+00:00
    properties followed: plan
    timestamp	relevant_event_count	$geoip_city_name	$geoip_country_code	$initial_referring_domain	company	email	lifetime_value	name	plan	seats	signed_up_at
    2026-03-02T10:00:00Z	1			www.example.org							
    2026-03-02T10:05:00Z	1	London	GB	www.example.org	Analytical Engines	ada@example.com		Ada Lovelace	free	1	2026-03-02T10:05:00Z
    2026-05-11T09:30:00Z	1	London	GB	www.example.org	Analytical Engines	ada@example.com		Ada Lovelace	trial	5	2026-03-02T10:05:00Z
    2026-06-10T16:45:00Z	5	London	GB	www.example.org	Analytical Engines	ada@example.com	1200.5	Ada Lovelace	pro	12	2026-03-02T10:05:00Z
    ");
}

#[tokio::test]
async fn events_select_points_and_breakdown_selects_the_property() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    let arguments = json!({
        "id": 101, "date_from": "2026-03-01", "events": [{"id": "purchase", "order": 0}],
        "actions": [{"id": 1, "order": 1}], "breakdown": "seats", "breakdown_type": "person",
    });
    let result = session.call(TOOL, arguments).await;
    assert_snapshot!(session.requests().join("\n"), @r#"GET B/101/properties_timeline/?actions=[{"id":1,"order":1}]&breakdown=seats&breakdown_type=person&date_from=2026-03-01&events=[{"id":"purchase","order":0}]"#);
    assert_eq!(result["crucial_property_keys"], json!(["seats"]));
    let seats: Vec<_> = result["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| &point["properties"]["seats"])
        .collect();
    assert_eq!(seats, [1, 12]);
}

#[tokio::test]
async fn missing_property_is_explained() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    let result = session.call(TOOL, json!({"id": ADA})).await;
    assert_snapshot!(result["notes"].to_string(), @r#"["No property was followed; name one in properties or breakdown."]"#);
}

#[tokio::test]
async fn unsupported_scoped_key_is_reported_with_the_workaround() {
    let session = connect().await;
    assert_snapshot!(session.error(TOOL, json!({"id": ADA})).await, @"PostHog does not serve this endpoint to personal API keys with scopes, whatever the scopes are: This action does not support Personal API Key access. Use persons-properties-at-time-retrieve for two or more moments and compare, and persons-activity-retrieve for who changed what.");
    assert_eq!(
        session.requests(),
        [format!("GET B/{ADA}/properties_timeline/")]
    );
}

#[tokio::test]
async fn unknown_person_is_not_found() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    assert_snapshot!(session.error(TOOL, json!({"id": NOBODY})).await, @"PostHog found no person `6ba7b810-9dad-41d1-80b4-00c04fd430c8` in this project: Not found. Look the person up with persons-list by email, distinct_id or search. A deleted person appears only in persons-activity-retrieve without an id and in persons-deletion-status-list.");
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for (arguments, expected) in [
        (json!({}), "Invalid arguments: missing field `id`."),
        (
            json!({"id": "user-3"}),
            "not a person UUID or numeric person id",
        ),
        (
            json!({"id": ADA, "date_from": "soon"}),
            "Invalid argument `date_from`: not a date",
        ),
        (
            json!({"id": ADA, "events": [{"order": 1}]}),
            "Invalid argument `events[0]`: missing field `id`.",
        ),
        (
            json!({"id": ADA, "events": [{"id": "x", "properties": [{"key": "1", "type": "hogql"}]}]}),
            "hogql are code and are refused",
        ),
        (
            json!({"id": ADA, "breakdown_type": "hogql"}),
            "Invalid argument `breakdown_type`: unknown variant `hogql`",
        ),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(expected), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}
