use insta::assert_snapshot;
use serde_json::json;

use crate::{ADA, NOBODY, connect};

const TOOL: &str = "persons-properties-at-time-retrieve";

#[tokio::test]
async fn shows_properties_at_the_time() {
    let session = connect().await;
    let arguments = json!({"distinct_id": "ada@example.com", "timestamp": "2026-05-20T00:00:00Z", "select": ["*"]});
    let text = session.text(TOOL, arguments).await;
    assert_eq!(
        session.requests(),
        ["GET B/properties_at_time/?distinct_id=ada@example.com&timestamp=2026-05-20T00:00:00Z"]
    );
    assert_snapshot!(text.replace(&session.sandbox.url(), "http://sandbox"), @r"
    uuid: ada0ada0-1815-4852-8000-000000000101
    name: Ada Lovelace
    url: http://sandbox/project/1/persons/ada0ada0-1815-4852-8000-000000000101
    created_at: 2026-03-02T10:00:00Z
    last_seen_at: 2026-11-02T08:00:00Z
    distinct_ids (2): ada@example.com, 0190f1aa-1111-4aaa-8bbb-00000000ada1
    properties:
      $geoip_city_name: London
      $geoip_country_code: GB
      company: Analytical Engines
      email: ada@example.com
      name: Ada Lovelace
      plan: trial
      seats: 5
    Properties as of 2026-05-20T00:00:00Z, rebuilt from events; distinct ids and dates are today's.
    ");
}

#[tokio::test]
async fn properties_differ_between_two_times() {
    let session = connect().await;
    for (timestamp, plan) in [
        ("2026-03-15", "free"),
        ("2026-05-20T00:00:00+02:00", "trial"),
        ("2026-11-02T09:00:00", "pro"),
    ] {
        let arguments = json!({"person_id": ADA, "timestamp": timestamp, "select": ["plan"]});
        let person = session.call(TOOL, arguments).await;
        assert_eq!(person["properties"], json!({"plan": plan}), "{timestamp}");
        let request = format!("GET B/properties_at_time/?person_id={ADA}&timestamp={timestamp}");
        assert_eq!(session.requests(), [request]);
    }
}

#[tokio::test]
async fn include_set_once_applies_set_once_properties() {
    let session = connect().await;
    for (included, request) in [(false, ""), (true, "&include_set_once=true")] {
        let arguments = json!({
            "person_id": ADA, "timestamp": "2026-11-02", "include_set_once": included, "select": ["signed_up_at"]
        });
        let person = session.call(TOOL, arguments).await;
        assert_eq!(person["properties"].get("signed_up_at").is_some(), included);
        assert!(session.requests()[0].ends_with(&format!("timestamp=2026-11-02{request}")));
    }
}

#[tokio::test]
async fn unknown_person_is_not_found() {
    let session = connect().await;
    let arguments = json!({"person_id": NOBODY, "timestamp": "2026-11-02"});
    assert_snapshot!(session.error(TOOL, arguments).await, @"PostHog found no person `6ba7b810-9dad-41d1-80b4-00c04fd430c8` in this project: Person not found. Look the person up with persons-list by email, distinct_id or search. A deleted person appears only in persons-activity-retrieve without an id and in persons-deletion-status-list.");
    let arguments = json!({"distinct_id": "nobody", "timestamp": "2026-11-02"});
    assert!(session.error(TOOL, arguments).await.contains("`nobody`"));
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    let neither = session
        .error(TOOL, json!({"timestamp": "2026-11-02"}))
        .await;
    assert_snapshot!(neither, @"Give exactly one of `distinct_id` and `person_id` (the person's UUID).");
    let both =
        json!({"timestamp": "2026-11-02", "person_id": ADA, "distinct_id": "ada@example.com"});
    assert_eq!(session.error(TOOL, both).await, neither);
    for (arguments, expected) in [
        (
            json!({"person_id": ADA}),
            "Argument `timestamp` is missing.",
        ),
        (
            json!({"person_id": ADA, "timestamp": "-7d"}),
            "not an ISO 8601 timestamp such as 2026-01-31T12:00:00Z.",
        ),
        (
            json!({"person_id": "101", "timestamp": "2026-11-02"}),
            "Invalid argument `person_id`: not a person UUID.",
        ),
        (
            json!({"id": ADA, "timestamp": "2026-11-02"}),
            "Unknown argument `id`.",
        ),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(expected), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}

#[tokio::test]
async fn comparison_shows_only_what_differs() {
    let session = connect().await;
    let arguments = json!({"person_id": ADA, "timestamp": "2026-05-20", "compare_to": "now"});
    let result = session.call(TOOL, arguments.clone()).await;
    let comparison = &result["comparison"];
    assert_eq!(comparison["person_uuid"], ADA);
    let changed = comparison["changed"].as_array().unwrap();
    let plan = changed
        .iter()
        .find(|row| row["property"] == "plan")
        .unwrap();
    assert_eq!(
        (&plan["before"], &plan["after"]),
        (&json!("trial"), &json!("pro"))
    );
    assert!(
        changed.iter().all(|row| row["property"] != "company"),
        "{comparison}"
    );
    assert_eq!(comparison["changed_count"], changed.len());
    assert!(comparison["same_count"].as_u64().unwrap() > 0);
    let text = session.text(TOOL, arguments).await;
    assert!(text.contains("property\tbefore\tafter\n"), "{text}");
    assert!(text.contains("\nplan\ttrial\tpro\n"), "{text}");
    let selected = json!({"person_id": ADA, "timestamp": "2026-05-20", "compare_to": "2026-06-20", "select": ["company", "seats"]});
    let result = session.call(TOOL, selected).await;
    let names: Vec<&str> = result["comparison"]["changed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["property"].as_str().unwrap())
        .collect();
    assert!(names.iter().all(|name| *name == "seats"), "{names:?}");
    let error = session
        .error(
            TOOL,
            json!({"person_id": ADA, "timestamp": "2026-05-20", "compare_to": "then"}),
        )
        .await;
    assert!(error.contains("Invalid argument `compare_to`"), "{error}");
}
