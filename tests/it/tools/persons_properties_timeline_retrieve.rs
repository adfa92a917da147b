use std::time::Duration;

use insta::assert_snapshot;
use posthog_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::{ADA, NOBODY, connect, connect_without_queries};

const TOOL: &str = "persons-properties-timeline-retrieve";

#[tokio::test]
async fn shows_when_a_property_changed() {
    let session = connect().await;
    let arguments =
        json!({"id": ADA, "keys": ["plan"], "date_from": "2026-03-01", "date_to": "2026-11-02"});
    let text = session.text(TOOL, arguments).await;
    let query = session.queries().remove(0);
    assert_eq!(session.requests(), ["POST Q/"]);
    assert_eq!(
        query["values"],
        json!({"keys": ["plan"], "pid": ADA, "from": "2026-03-01T00:00:00Z", "to": "2026-11-03T00:00:00Z", "n": 1001})
    );
    assert!(
        !query["query"]
            .as_str()
            .unwrap()
            .contains("person.properties")
    );
    assert_snapshot!(text, @r"
    3 changes from 2026-03-01T00:00:00Z until 2026-11-03T00:00:00Z
    timestamp	property	before	after	event	known_from
    2026-03-02T10:05:00Z	plan		free	sign up	set by this event
    2026-05-11T09:30:00Z	plan	free	trial	trial started	set by this event
    2026-06-10T16:45:00Z	plan	trial	pro	purchase	set by this event
    Read from the person's events: a change is seen at the first event that carries it, changes between two events are seen as one, and merged or imported values have no event of their own.
    ");
}

#[tokio::test]
async fn without_keys_shows_every_property_that_changed() {
    let session = connect().await;
    let arguments = json!({"distinct_id": "ada@example.com", "date_from": "2026-03-01", "date_to": "2026-11-02"});
    let text = session.text(TOOL, arguments).await;
    assert_eq!(
        session.requests(),
        ["GET B/?distinct_id=ada@example.com", "POST Q/", "POST Q/"]
    );
    assert_snapshot!(text, @r"
    14 changes from 2026-03-01T00:00:00Z until 2026-11-03T00:00:00Z
    timestamp	property	before	after	event	known_from
    2026-03-02T10:00:00Z	$initial_referring_domain		www.example.org	$pageview	set by this event
    2026-03-02T10:05:00Z	$geoip_city_name		London	sign up	set by this event
    2026-03-02T10:05:00Z	$geoip_country_code		GB	sign up	set by this event
    2026-03-02T10:05:00Z	company		Analytical Engines	sign up	set by this event
    2026-03-02T10:05:00Z	email		ada@example.com	sign up	set by this event
    2026-03-02T10:05:00Z	name		Ada Lovelace	sign up	set by this event
    2026-03-02T10:05:00Z	plan		free	sign up	set by this event
    2026-03-02T10:05:00Z	seats		1	sign up	set by this event
    2026-03-02T10:05:00Z	signed_up_at		2026-03-02T10:05:00Z	sign up	set by this event
    2026-05-11T09:30:00Z	plan	free	trial	trial started	set by this event
    2026-05-11T09:30:00Z	seats	1	5	trial started	set by this event
    2026-06-10T16:45:00Z	lifetime_value		1200.5	purchase	set by this event
    2026-06-10T16:45:00Z	plan	trial	pro	purchase	set by this event
    2026-06-10T16:45:00Z	seats	5	12	purchase	set by this event
    Read from the person's events: a change is seen at the first event that carries it, changes between two events are seen as one, and merged or imported values have no event of their own.
    ");
}

#[tokio::test]
async fn properties_in_arguments_of_earlier_versions_are_followed() {
    let session = connect().await;
    let arguments = json!({
        "id": ADA, "date_from": "2026-03-01", "date_to": "2026-11-02", "interval": "day",
        "properties": [{"key": "plan", "operator": "is_set"}],
        "events": [{"id": "purchase", "order": 0, "properties": [
            {"key": "seats", "operator": "gt", "value": 1, "type": "person"}, {"key": "$browser", "value": "Chrome"},
        ]}],
        "actions": [{"id": 1, "order": 1}], "breakdown": "company", "breakdown_type": "person",
    });
    session.call(TOOL, arguments).await;
    assert_eq!(
        session.queries()[0]["values"]["keys"],
        json!(["plan", "seats", "company"])
    );
}

#[tokio::test]
async fn removed_and_unset_properties_have_no_value() {
    let session = connect().await;
    let set = json!({"id": ADA, "key": "nickname", "value": "Countess"});
    session.call("persons-property-set", set).await;
    session.sandbox.advance(Duration::from_secs(60));
    let unset = json!({"id": ADA, "unset": ["nickname"]});
    session.call("persons-property-delete", unset).await;
    session.sandbox.advance(Duration::from_secs(60));
    let arguments = json!({"id": ADA, "keys": ["nickname"], "date_from": "2026-10-01", "date_to": "2026-11-30"});
    let result = session.call(TOOL, arguments).await;
    let changes: Vec<_> = result["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["before"].clone(), change["after"].clone()))
        .collect();
    let name = json!("Countess");
    assert_eq!(changes, [(Value::Null, name.clone()), (name, Value::Null)]);
}

#[tokio::test]
async fn endpoint_of_the_timeline_is_used_where_there_is_no_query_api() {
    let session = connect_without_queries(Sandbox::LEGACY_KEY).await;
    let arguments =
        json!({"id": ADA, "keys": ["plan"], "date_from": "2026-03-01", "date_to": "2026-11-02"});
    let text = session.text(TOOL, arguments).await;
    assert_snapshot!(session.requests().remove(1), @r#"GET B/ada0ada0-1815-4852-8000-000000000101/properties_timeline/?date_from=2026-03-01&date_to=2026-11-02&properties=[{"key":"plan","operator":"is_set","type":"person","value":"is_set"}]"#);
    assert_snapshot!(text, @r"
    3 changes from 2026-03-01T00:00:00Z until 2026-11-03T00:00:00Z
    timestamp	property	before	after	event	known_from
    2026-03-02T10:05:00Z	plan		free		first event with this value
    2026-05-11T09:30:00Z	plan	free	trial		first event with this value
    2026-06-10T16:45:00Z	plan	trial	pro		first event with this value
    Read from the person's events: a change is seen at the first event that carries it, changes between two events are seen as one, and merged or imported values have no event of their own.
    ");
}

#[tokio::test]
async fn unsupported_scoped_key_is_reported_with_the_workaround() {
    let session = connect_without_queries(Sandbox::KEY).await;
    assert_snapshot!(session.error(TOOL, json!({"id": ADA, "keys": ["plan"]})).await, @"PostHog does not serve this endpoint to personal API keys with scopes, whatever the scopes are: This action does not support Personal API Key access. Use persons-properties-at-time-retrieve for two or more moments and compare, and persons-activity-retrieve for who changed what.");
}

#[tokio::test]
async fn person_without_events_has_no_changes() {
    let session = connect().await;
    assert_snapshot!(session.text(TOOL, json!({"id": NOBODY, "keys": ["plan"], "date_from": "2026-03-01", "date_to": "2026-11-02"})).await, @r"
    0 changes from 2026-03-01T00:00:00Z until 2026-11-03T00:00:00Z
    No event in the range carries any of the properties in `keys`, whose names are case-sensitive: give an earlier date_from, or leave `keys` out. persons-retrieve shows whether the person exists, and the names of its properties.
    ");
    let error = session
        .error(TOOL, json!({"distinct_id": "nobody", "keys": ["plan"]}))
        .await;
    assert!(
        error.starts_with("PostHog found no person `nobody`"),
        "{error}"
    );
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    for (arguments, expected) in [
        (json!({}), "Give exactly one of `id`"),
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
            "Invalid argument `events[0]`: `id` is missing.",
        ),
        (
            json!({"id": ADA, "events": [{"id": "x", "properties": [{"key": "1", "type": "hogql"}]}]}),
            "hogql are code and are refused",
        ),
        (
            json!({"id": ADA, "breakdown_type": "hogql"}),
            "Invalid argument `breakdown_type`: unknown value `hogql`",
        ),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(expected), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}
