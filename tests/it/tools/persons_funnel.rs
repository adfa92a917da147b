use insta::assert_snapshot;
use posthog_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::{column, connect, connect_as, connect_without_queries};

const TOOL: &str = "persons-funnel";

fn steps() -> Value {
    json!([{"id": "sign up", "order": 0}, {"id": "purchase", "order": 1}])
}

#[tokio::test]
async fn lists_persons_who_reached_a_step() {
    let session = connect().await;
    let arguments = json!({
        "events": steps(), "funnel_step": 2, "date_from": "2026-10-26", "date_to": "2026-11-01",
        "select": ["plan"],
    });
    let text = session.text(TOOL, arguments).await;
    let funnel = json!({
        "kind": "FunnelsQuery", "dateRange": {"date_from": "2026-10-26", "date_to": "2026-11-01"},
        "series": [{"kind": "EventsNode", "event": "sign up"}, {"kind": "EventsNode", "event": "purchase"}],
    });
    let query = json!({
        "kind": "ActorsQuery", "select": ["person", "last_seen_at"], "limit": 20, "offset": 0,
        "source": {"kind": "FunnelsActorsQuery", "funnelStep": 2, "source": funnel},
    });
    assert_eq!(
        session.bodies(),
        [json!({"query": query, "refresh": "force_blocking"})]
    );
    assert_eq!(session.requests(), ["POST Q/"]);
    assert_snapshot!(text, @r"
    2 persons
    uuid	name	plan	distinct_ids	created	last_seen
    2fed0c67-44a2-548d-90b5-f9d99dc2392c	Margaret Hamilton	pro	margaret@example.com	2026-10-27	2026-10-31
    2703d90f-e94c-5e97-ab64-5c56184dc852	Hedy Lamarr	pro	hedy@example.com	2026-10-27	2026-10-29
    ");
}

#[tokio::test]
async fn endpoint_of_the_funnel_is_used_where_there_is_no_query_api() {
    let session = connect_without_queries(Sandbox::LEGACY_KEY).await;
    let arguments = json!({
        "events": steps(), "funnel_step": 2, "date_from": "2026-10-26", "date_to": "2026-11-01",
    });
    let page = session.call(TOOL, arguments).await;
    let body = json!({
        "events": steps(), "funnel_step": 2, "date_from": "2026-10-26", "date_to": "2026-11-01",
        "limit": 20, "offset": 0,
    });
    assert_eq!(session.bodies()[1], body);
    assert_eq!(session.requests(), ["POST Q/", "POST B/funnel/"]);
    assert_eq!(
        column(&page, "email"),
        ["hedy@example.com", "margaret@example.com"]
    );
}

#[tokio::test]
async fn pages_through_persons_who_dropped_off_before_a_step() {
    let session = connect_without_queries(Sandbox::LEGACY_KEY).await;
    let mut arguments =
        json!({"events": steps(), "funnel_step": -2, "limit": 1, "filter_test_accounts": true});
    let first = session.call(TOOL, arguments.clone()).await;
    assert_eq!(first["next_offset"], 1);
    arguments["offset"] = json!(1);
    // From the second page on PostHog's own link is relative and without its leading slash.
    let second = session.call(TOOL, arguments.clone()).await;
    let mut names = [column(&first, "email"), column(&second, "email")].concat();
    names.sort_unstable();
    assert_eq!(names, ["alan@example.com", "radia@example.com"]);
}

#[tokio::test]
async fn entrance_period_and_drop_off_are_always_in_the_query_string() {
    let session = connect_without_queries(Sandbox::LEGACY_KEY).await;
    for (drop_off, expected) in [
        (false, vec!["hedy@example.com", "margaret@example.com"]),
        (true, vec![]),
    ] {
        let arguments = json!({
            "events": steps(), "funnel_viz_type": "trends", "interval": "day",
            "entrance_period_start": "2026-10-27", "drop_off": drop_off,
        });
        let page = session.call(TOOL, arguments).await;
        let body = json!({
            "events": steps(), "funnel_viz_type": "trends", "interval": "day", "limit": 20, "offset": 0,
        });
        assert_eq!(session.bodies()[1], body);
        let request =
            format!("POST B/funnel/?drop_off={drop_off}&entrance_period_start=2026-10-27");
        assert_eq!(session.requests()[1], request);
        let mut names = column(&page, "email");
        names.sort_unstable();
        assert_eq!(names, expected);
    }
}

#[tokio::test]
async fn lists_are_sent_in_the_body() {
    let session = connect_without_queries(Sandbox::LEGACY_KEY).await;
    let arguments = json!({
        "events": [{"id": "sign up", "order": 0, "properties": [{"key": "$browser", "value": "Firefox", "type": "event"}]}],
        "actions": [{"id": 2, "order": 1}], "funnel_custom_steps": [1, 2],
        "breakdown": "$browser", "breakdown_type": "event", "funnel_step_breakdown": "Firefox",
        "properties": [{"key": "email", "operator": "icontains", "value": "example"}],
    });
    let page = session.call(TOOL, arguments.clone()).await;
    let mut body = arguments;
    body["limit"] = json!(20);
    body["offset"] = json!(0);
    // Filters are sent with all fields, including defaults.
    body["properties"][0]["type"] = json!("person");
    body["events"][0]["properties"][0]["operator"] = json!("exact");
    assert_eq!(session.bodies()[1], body);
    assert_eq!(session.requests()[1], "POST B/funnel/");
    let mut names = column(&page, "email");
    names.sort_unstable();
    assert_eq!(names, ["alan@example.com", "hedy@example.com"]);
}

#[tokio::test]
async fn deleted_persons_are_counted() {
    let session = connect_without_queries(Sandbox::LEGACY_KEY).await;
    let arguments = json!({
        "events": steps(), "funnel_step": 1, "date_from": "2026-05-01", "select": [],
    });
    let page = session.call(TOOL, arguments).await;
    assert_snapshot!(page["notes"].to_string(), @r#"["Persons counted in the insight that no longer exist: 1."]"#);
}

#[tokio::test]
async fn unsupported_scoped_key_is_reported_with_the_workaround() {
    let session = connect_without_queries(Sandbox::KEY).await;
    let arguments = json!({"events": steps(), "funnel_step": 1});
    assert_snapshot!(session.error(TOOL, arguments).await, @"PostHog does not serve this endpoint to personal API keys with scopes, whatever the scopes are: This action does not support Personal API Key access. The user can open the insight in PostHog and save its persons as a cohort; persons-list with a cohort filter then lists them.");
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for (arguments, message) in [
        (
            json!({"events": steps(), "funnel_step": 0}),
            "`funnel_step` counts from 1; a negative number means those who left before that step.",
        ),
        (
            json!({"events": [{"id": ""}]}),
            "Invalid argument `events[0].id`: must not be empty; leave an optional argument out instead.",
        ),
        (
            json!({"events": [{"id": "x", "name": "y"}]}),
            "Unknown argument `events[0].name`.",
        ),
        (
            json!({"funnel_viz_type": "flow"}),
            "Invalid argument `funnel_viz_type`: unknown value `flow`, expected `steps` or `trends`.",
        ),
        (
            json!({"breakdown": {"a": 1}}),
            "Invalid argument `breakdown`: expected a property name or a list of property names.",
        ),
        (
            json!({"properties": [{"key": "x", "type": "hogql"}]}),
            "hogql are code and are refused",
        ),
        (
            json!({"events": steps(), "funnel_step": -1}),
            "`funnel_step` -1 has no persons",
        ),
        (
            json!({"events": steps(), "funnel_step": 3}),
            "`funnel_step` 3 does not exist: the last step is 2.",
        ),
        (
            json!({"events": steps(), "funnel_step": -3}),
            "`funnel_step` -3 does not exist: the last step is 2.",
        ),
        (
            json!({"events": steps(), "funnel_custom_steps": [1, 0]}),
            "`funnel_custom_steps` has 0, and the funnel has steps 1 to 2.",
        ),
        (
            json!({"events": [{"id": "x"}], "funnel_step": 1}),
            "A funnel has at least two steps",
        ),
        (
            json!({"events": steps(), "funnel_step": 1, "funnel_step_breakdown": "Firefox"}),
            "`funnel_step_breakdown` is a value of the property in `breakdown`; give both.",
        ),
        (
            json!({"events": [{"id": "x", "properties": [{"value": 1}]}]}),
            "Invalid argument `events[0].properties[0]`: a filter needs a `key`, the property's name; an incomplete filter would match everyone.",
        ),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(message), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}

#[tokio::test]
async fn missing_step_is_rejected_before_the_request() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for (arguments, named) in [
        (json!({}), "`funnel_step`"),
        (json!({"events": steps()}), "`funnel_step`"),
        (
            json!({"events": steps(), "funnel_viz_type": "trends", "drop_off": true}),
            "`entrance_period_start`",
        ),
        (
            json!({"events": steps(), "funnel_viz_type": "trends", "entrance_period_start": "2026-10-27"}),
            "`drop_off`",
        ),
    ] {
        let error = session.error(TOOL, arguments).await;
        assert!(error.contains(named), "{error}");
        assert_eq!(session.requests(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn cohort_filter_limits_persons() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    let cohort = json!({"type": "cohort", "key": "id", "value": 11});
    let mut names = Vec::new();
    for operator in ["in", "not_in"] {
        let mut cohort = cohort.clone();
        cohort["operator"] = json!(operator);
        let arguments = json!({"events": steps(), "funnel_step": 1, "filter_test_accounts": true, "properties": [cohort]});
        let page = session.call(TOOL, arguments).await;
        let mut found: Vec<String> = column(&page, "email")
            .into_iter()
            .map(str::to_owned)
            .collect();
        found.sort_unstable();
        names.push(found);
    }
    assert_eq!(
        names,
        [
            ["hedy@example.com", "margaret@example.com"].as_slice(),
            &["alan@example.com", "radia@example.com"]
        ]
    );
}

#[tokio::test]
async fn event_id_must_be_text_or_a_whole_number() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for id in [json!(true), json!(7.5), json!(["sign up"])] {
        let arguments = json!({"events": [{"id": id}], "funnel_step": 1});
        session.error(TOOL, arguments).await;
    }
    assert!(session.requests().is_empty());
}

#[tokio::test]
async fn event_filters_are_validated() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for filter in [
        json!({"key": "amount"}),
        json!({"key": "amount", "value": null}),
        json!({"key": "amount", "value": []}),
        json!({"key": "", "value": 1}),
        json!({"key": "amount", "operator": "equals", "value": 1}),
        json!({"key": "amount", "value": 1, "type": "SQL"}),
        json!({"key": "amount", "value": 1, "negate": true}),
    ] {
        let events = json!([{"id": "purchase", "properties": [filter]}]);
        let error = session
            .error(TOOL, json!({"events": events, "funnel_step": 1}))
            .await;
        assert!(
            error.starts_with("Invalid argument `events[0].properties"),
            "{filter}: {error}"
        );
    }
    assert!(session.requests().is_empty());
}

#[tokio::test]
async fn every_argument_has_its_place_in_the_query() {
    let session = connect().await;
    let arguments = json!({
        "events": [{"id": "purchase", "order": 1, "math": "total"}, {"id": "sign up", "order": 0, "math": "first_time_for_user"}],
        "funnel_custom_steps": [1, 2], "funnel_window_interval": 7, "funnel_window_interval_unit": "hour",
        "funnel_order_type": "strict", "interval": "day", "breakdown": "$browser", "funnel_step_breakdown": "Firefox",
        "properties": [{"key": "plan", "operator": "in", "value": ["pro"]}], "filter_test_accounts": true,
        "search": " hedy ", "limit": 5, "offset": 10,
    });
    session.call(TOOL, arguments).await;
    let query = session.queries().remove(0);
    assert_eq!(
        query,
        json!({
            "kind": "ActorsQuery", "select": ["person", "last_seen_at"], "search": "hedy", "limit": 5, "offset": 10,
            "source": {
                "kind": "FunnelsActorsQuery", "funnelCustomSteps": [1, 2], "funnelStepBreakdown": ["Firefox"],
                "source": {
                    "kind": "FunnelsQuery", "interval": "day", "dateRange": {"date_from": "-7d"}, "filterTestAccounts": true,
                    "series": [
                        {"kind": "EventsNode", "event": "sign up", "math": "first_time_for_user"},
                        {"kind": "EventsNode", "event": "purchase"},
                    ],
                    "properties": [{"key": "plan", "operator": "exact", "type": "person", "value": "pro"}],
                    "breakdownFilter": {"breakdown": "$browser", "breakdown_type": "event"},
                    "funnelsFilter": {
                        "funnelOrderType": "strict", "funnelWindowInterval": 7, "funnelWindowIntervalUnit": "hour",
                    },
                },
            },
        })
    );
}
