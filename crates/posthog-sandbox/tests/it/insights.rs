//! The persons of an insight.

use posthog_sandbox::Sandbox;
use serde_json::{Value, json};

use super::{api, assert_rejected_by_sandbox, assert_server_error, people, results};
use crate::ADA;

const SIGN_UP_TO_PURCHASE: &str = r#"[{"id":"sign up","order":0},{"id":"purchase","order":1}]"#;

#[tokio::test]
async fn funnels_return_converted_and_dropped_off_persons() {
    let api = api().await.with(Sandbox::LEGACY_KEY);
    let funnel = async |extra: &[(&str, &str)]| {
        let mut query = vec![("events", SIGN_UP_TO_PURCHASE)];
        query.extend_from_slice(extra);
        api.get_with("funnel/", &query).await
    };
    let through = funnel(&[("funnel_step", "2")]).await;
    assert_eq!(
        people(&through),
        ["hedy@example.com", "margaret@example.com"]
    );
    assert_eq!(through.body["next"], Value::Null);
    assert_eq!(through.body["missing_persons"], 0);
    let dropped = funnel(&[("funnel_step", "-2"), ("filter_test_accounts", "true")]).await;
    assert_eq!(people(&dropped), ["alan@example.com", "radia@example.com"]);
    let in_time = [("funnel_step", "2"), ("funnel_window_interval", "3")];
    assert_eq!(people(&funnel(&in_time).await), ["hedy@example.com"]);
    let strict = [("funnel_step", "2"), ("funnel_order_type", "strict")];
    assert_eq!(people(&funnel(&strict).await), ["margaret@example.com"]);
    let by_browser = [
        ("funnel_step", "1"),
        ("breakdown", "$browser"),
        ("funnel_step_breakdown", "Firefox"),
    ];
    let by_browser = people(&funnel(&by_browser).await);
    assert_eq!(by_browser, ["alan@example.com", "hedy@example.com"]);

    let events: Value = serde_json::from_str(SIGN_UP_TO_PURCHASE).unwrap();
    let posted = json!({"events": events, "funnel_step": 2, "date_from": "-14d"});
    assert_eq!(people(&api.post("funnel/", posted).await).len(), 2);
    // Luigi's old purchase still belongs to a deleted person.
    let first = r#"[{"id":"purchase"}]"#;
    let gone = api
        .get_with("funnel/", &[("events", first), ("funnel_step", "1")])
        .await;
    assert_eq!(gone.body["missing_persons"], 1);
    api.assert_no_violations();
}

#[tokio::test]
async fn next_of_a_funnel_is_relative_if_the_request_has_an_offset() {
    let api = api().await.with(Sandbox::LEGACY_KEY);
    let first = api
        .get("funnel/?events=[{\"id\":\"sign+up\"}]&funnel_step=1&limit=2")
        .await;
    let next = first.body["next"].as_str().unwrap();
    assert!(
        next.starts_with("http://") && next.ends_with("&limit=2&offset=2"),
        "{next}"
    );
    let second = api
        .get("funnel/?events=[{\"id\":\"sign+up\"}]&funnel_step=1&limit=2&offset=2")
        .await;
    let next = second.body["next"].as_str().unwrap();
    assert!(
        next.starts_with("api/projects/1/persons/funnel/?"),
        "{next}"
    );
    assert!(next.ends_with("&limit=2&offset=4"), "{next}");
}

#[tokio::test]
async fn trends_funnels_select_one_entrance_period() {
    let api = api().await.with(Sandbox::LEGACY_KEY);
    let period = async |start: &str, drop_off: &str| {
        let query = [
            ("events", SIGN_UP_TO_PURCHASE),
            ("funnel_viz_type", "trends"),
            ("entrance_period_start", start),
            ("drop_off", drop_off),
        ];
        people(&api.get_with("funnel/", &query).await)
    };
    assert_eq!(period("2026-10-28", "true").await, ["alan@example.com"]);
    assert_eq!(period("2026-10-28", "false").await, Vec::<String>::new());
    let through = period("2026-10-27", "false").await;
    assert_eq!(through, ["hedy@example.com", "margaret@example.com"]);
    api.assert_no_violations();
    // PostHog reads these two from the query only.
    let body = json!({"events": [], "entrance_period_start": "2026-10-28", "drop_off": true});
    let rejected = api.post("funnel/", body).await;
    assert_rejected_by_sandbox(&rejected);
}

#[tokio::test]
async fn trends_are_sorted_by_value_at_data_point() {
    let api = api().await.with(Sandbox::LEGACY_KEY);
    let trends = api
        .get("trends/?entity_id=$pageview&entity_type=events&limit=3")
        .await;
    let people = results(&trends)[0]["people"].as_array().unwrap();
    let values: Vec<&Value> = people.iter().map(|p| &p["value_at_data_point"]).collect();
    assert_eq!(people[0]["name"], "ada@example.com");
    assert_eq!(values, [4, 3, 2]);
    let once = api
        .get("trends/?entity_id=$pageview&entity_math=dau&limit=3")
        .await;
    assert_eq!(
        results(&once),
        results(&trends),
        "the chart counts a person once"
    );
    api.assert_no_violations();
}

#[tokio::test]
async fn weeks_and_months_of_activity_begin_before_the_range() {
    let api = api().await.with(Sandbox::LEGACY_KEY);
    let mut found = Vec::new();
    for math in ["dau", "weekly_active", "monthly_active"] {
        let query = [
            ("entity_id", "sign up"),
            ("entity_math", math),
            ("date_from", "2026-11-02"),
            ("date_to", "2026-11-02"),
        ];
        let trends = api.get_with("trends/", &query).await;
        found.push(people(&trends).len());
    }
    assert!(found[0] < found[1] && found[1] <= found[2], "{found:?}");
    api.assert_no_violations();
}

#[tokio::test]
async fn lifecycle_has_four_types() {
    let api = api().await.with(Sandbox::LEGACY_KEY);
    let lifecycle = async |day: &str, kind: &str| {
        let query = [("target_date", day), ("lifecycle_type", kind)];
        people(&api.get_with("lifecycle/", &query).await)
    };
    assert_eq!(lifecycle("2026-10-30", "new").await, ["radia@example.com"]);
    assert_eq!(
        lifecycle("2026-11-02", "returning").await,
        ["ada@example.com"]
    );
    let back = lifecycle("2026-11-01", "resurrecting").await;
    assert_eq!(back, ["ada@example.com", "radia@example.com"]);
    assert_eq!(
        lifecycle("2026-11-01", "dormant").await,
        ["grace@example.com"]
    );
    for query in ["", "?target_date=2026-11-02", "?lifecycle_type=new"] {
        let missing = api.get(&format!("lifecycle/{query}")).await;
        assert_eq!(missing.status, 400);
        assert!(missing.body["message"].is_string() && missing.body["detail"].is_string());
    }
    api.assert_no_violations();
}

#[tokio::test]
async fn cohort_filters_apply_to_insights() {
    let api = api().await.with(Sandbox::LEGACY_KEY);
    for (operator, expected) in [
        ("in", ["hedy@example.com", "margaret@example.com"]),
        ("not_in", ["alan@example.com", "radia@example.com"]),
    ] {
        let filter = json!([{"type": "cohort", "key": "id", "value": 11, "operator": operator}]);
        let filter = filter.to_string();
        let own = ("filter_test_accounts", "true");
        let query = [("entity_id", "sign up"), ("properties", &filter), own];
        assert_eq!(people(&api.get_with("trends/", &query).await), expected);
        let query = [
            ("events", SIGN_UP_TO_PURCHASE),
            ("funnel_step", "1"),
            ("properties", &filter),
            own,
        ];
        assert_eq!(people(&api.get_with("funnel/", &query).await), expected);
    }
    api.assert_no_violations();
    let unknown = json!([{"type": "cohort", "key": "id", "value": 99}]).to_string();
    let query = [("entity_id", "sign up"), ("properties", unknown.as_str())];
    assert_server_error(&api.get_with("trends/", &query).await);
}

#[tokio::test]
async fn insights_support_minute_intervals() {
    let api = api().await.with(Sandbox::LEGACY_KEY);
    let lifecycle = async |minute: &str, kind: &str| {
        let query = [
            ("target_date", minute),
            ("lifecycle_type", kind),
            ("interval", "minute"),
            ("events", r#"[{"id":"tick"}]"#),
        ];
        people(&api.get_with("lifecycle/", &query).await)
    };
    api.capture("ada@example.com", "tick", json!({}));
    api.advance(60);
    api.capture("ada@example.com", "tick", json!({}));
    let ada = ["ada@example.com"];
    assert_eq!(lifecycle("2026-11-02T09:00:30Z", "resurrecting").await, ada);
    assert_eq!(lifecycle("2026-11-02T09:01:59Z", "returning").await, ada);
    assert_eq!(lifecycle("2026-11-02T09:02:00Z", "dormant").await, ada);
    assert!(
        lifecycle("2026-11-02T09:03:00Z", "dormant")
            .await
            .is_empty()
    );
    api.assert_no_violations();
}

#[tokio::test]
async fn out_of_range_times_are_rejected() {
    let api = api().await.with(Sandbox::LEGACY_KEY);
    let sign_up = ("entity_id", "sign up");
    let beyond = "+262142-12-31";
    let step = [("events", SIGN_UP_TO_PURCHASE), ("funnel_step", "1")];
    let window = ("funnel_window_interval", "4000000000");
    let most = ("funnel_window_interval", "9223372036854775807");
    for (path, query) in [
        ("trends/", vec![sign_up, ("date_to", beyond)]),
        ("trends/", vec![sign_up, ("date_from", beyond)]),
        (
            "lifecycle/",
            vec![("target_date", beyond), ("lifecycle_type", "new")],
        ),
        (
            "funnel/",
            vec![
                step[0],
                step[1],
                window,
                ("funnel_window_interval_unit", "month"),
            ],
        ),
        ("funnel/", vec![step[0], step[1], window]),
        (
            "funnel/",
            vec![
                step[0],
                step[1],
                most,
                ("funnel_window_interval_unit", "second"),
            ],
        ),
    ] {
        assert_rejected_by_sandbox(&api.get_with(path, &query).await);
        assert_eq!(api.sandbox.violations().len(), 1, "{query:?}");
        api.sandbox.clear_violations();
    }
    let window = ("funnel_window_interval_unit", "second");
    let query = [
        step[0],
        step[1],
        ("funnel_window_interval", "4000000000"),
        window,
    ];
    assert_eq!(api.get_with("funnel/", &query).await.status, 200);
    // A relative date too far back is not a date, and stands for today.
    let ages = [sign_up, ("date_from", "-4294967295d")];
    assert!(people(&api.get_with("trends/", &ages).await).is_empty());
    let at = [("person_id", ADA), ("timestamp", "-262143-01-01")];
    assert_eq!(api.get_with("properties_at_time/", &at).await.status, 400);
    api.assert_no_violations();
}
