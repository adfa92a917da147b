//! Activity, deletion status, and properties over time.

use posthog_sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};

use super::{api, assert_error, assert_not_found, assert_server_error, results, start};
use crate::ADA;

#[tokio::test]
async fn activity_is_paged_and_has_numeric_person_ids() {
    let api = api().await;
    let first = api.get("activity/").await;
    assert_eq!(first.body["total_count"], 10);
    assert_eq!(first.body["next"], Value::Null);
    let base = format!("{}/api/projects/1/persons/activity/", api.sandbox.url());
    let second = api.get("activity/?limit=4&page=2").await;
    assert_eq!(results(&second).len(), 4);
    assert_eq!(second.body["next"], format!("{base}?page=3&limit=4"));
    assert_eq!(second.body["previous"], format!("{base}?page=1&limit=4"));
    let newest = &results(&first)[0];
    assert_eq!(newest["activity"], "deleted");
    assert_eq!(newest["item_id"], "109");
    assert_eq!(newest["detail"]["changes"], Value::Null);
    assert_eq!(newest["scope"], "Person");

    assert_eq!(newest["user"]["first_name"], "Mary");
    let oldest = results(&first).last().unwrap();
    let system = json!({"first_name": "System", "email": null, "is_system": true});
    assert_eq!(oldest["user"], system);

    let of_ada = api.get("101/activity/").await;
    assert_eq!(of_ada.body["total_count"], 2);
    let change = &results(&of_ada)[1]["detail"]["changes"][0];
    assert_eq!(change["field"], "properties");
    assert_eq!(
        (&change["before"], &change["after"]),
        (&Value::Null, &Value::Null)
    );
    // The activity of a deleted person is only in the project's log.
    assert_not_found(&api.get("110/activity/").await);
    api.assert_no_violations();
    assert_server_error(&api.get("activity/?page=0").await);
}

#[tokio::test]
async fn deletion_status_filters_by_status_and_person() {
    let api = api().await;
    let count = async |query: &str| {
        let reply = api.get(&format!("deletion_status/{query}")).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.body["count"].as_u64().unwrap()
    };
    assert_eq!(count("").await, 2);
    assert_eq!(count("?status=all").await, 2);
    assert_eq!(count("?status=pending").await, 1);
    assert_eq!(count("?status=completed").await, 1);
    assert_eq!(count(&format!("?person_uuid={ADA}")).await, 0);
    let completed = api.get("deletion_status/?status=completed").await;
    let row = &results(&completed)[0];
    assert_eq!(row["delete_verified_at"], "2026-10-25T05:00:00Z");
    assert_eq!(row["created_at"], "2026-10-20T12:00:00Z");
    let second = api.get("deletion_status/?limit=1&offset=1").await;
    assert_eq!(results(&second)[0], *row);
    let base = format!(
        "{}/api/projects/1/persons/deletion_status/",
        api.sandbox.url()
    );
    assert_eq!(second.body["previous"], format!("{base}?limit=1"));

    let status = api.get("deletion_status/?status=invalid").await;
    assert_error(
        &status,
        400,
        "validation_error",
        "invalid_choice",
        json!("status"),
    );
    let uuid = api.get("deletion_status/?person_uuid=not-a-uuid").await;
    assert_error(
        &uuid,
        400,
        "validation_error",
        "invalid_input",
        json!("person_uuid"),
    );
    api.assert_no_violations();
    assert_eq!(count("?limit=ten").await, 2);
    assert_eq!(api.sandbox.violations().len(), 1);
}

#[tokio::test]
async fn properties_at_a_time_are_rebuilt_from_events() {
    let api = api().await;
    let plan_at = async |time: &str| {
        let query = [("person_id", ADA), ("timestamp", time)];
        let reply = api.get_with("properties_at_time/", &query).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.body["properties"]["plan"].clone()
    };
    assert_eq!(plan_at("2026-03-01T00:00:00Z").await, Value::Null);
    assert_eq!(plan_at("2026-03-03T00:00:00Z").await, "free");
    assert_eq!(plan_at("2026-05-11T11:30:00+02:00").await, "trial");
    assert_eq!(plan_at("2026-06-11").await, "pro");
    let once = "properties_at_time/?person_id=ada0ada0-1815-4852-8000-000000000101\
                &timestamp=2026-06-11T00:00:00Z&include_set_once=true";
    let once = api.get(once).await;
    assert_eq!(
        once.body["properties"]["signed_up_at"],
        "2026-03-02T10:05:00Z"
    );
    let metadata = &once.body["point_in_time_metadata"];
    assert_eq!(metadata["query_mode"], "person_id");
    assert_eq!(metadata["distinct_ids_count"], 2);
    assert_eq!(metadata["distinct_id_used"], Value::Null);

    for (query, status) in [
        ("?distinct_id=ada@example.com", 400),
        ("?timestamp=2026-06-11", 400),
        ("?timestamp=2026-06-11&distinct_id=a&person_id=b", 400),
        ("?timestamp=2026-06-11&person_id=b", 400),
        (
            "?timestamp=2026-06-11T00:00:00+00:00&distinct_id=ada@example.com",
            400,
        ),
        ("?timestamp=2026-06-11&distinct_id=nobody", 404),
    ] {
        let failed = api.get(&format!("properties_at_time/{query}")).await;
        assert_eq!(failed.status, status, "{query}");
        let fields = failed.body.as_object().unwrap();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["error"]);
    }
    api.assert_no_violations();
}

#[tokio::test]
async fn the_timeline_has_one_point_per_change() {
    let api = start(SandboxOptions::default())
        .await
        .with(Sandbox::LEGACY_KEY);
    for bar in [456, 123, 456] {
        api.advance(3600);
        api.capture("alan@example.com", "step", json!({"$set": {"bar": bar}}));
    }
    let events = json!([{"id": "step"}]).to_string();
    let filter = json!([{"key": "bar", "value": "1", "type": "person"}]).to_string();
    let timeline = async |from: &str, to: &str| {
        let query = [
            ("events", events.as_str()),
            ("properties", &filter),
            ("date_from", from),
            ("date_to", to),
        ];
        let reply = api.get_with("112/properties_timeline/", &query).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.body
    };
    let three = timeline("2026-11-02", "2026-11-05").await;
    let points = three["points"].as_array().unwrap();
    let bars: Vec<&Value> = points
        .iter()
        .map(|point| &point["properties"]["bar"])
        .collect();
    assert_eq!(bars, [456, 123, 456]);
    assert!(
        points
            .iter()
            .all(|point| point["relevant_event_count"] == 1)
    );
    assert_eq!(three["crucial_property_keys"], json!(["bar"]));
    assert_eq!(three["effective_date_from"], "2026-11-02T00:00:00+00:00");
    assert_eq!(
        three["effective_date_to"],
        "2026-11-05T23:59:59.999999+00:00"
    );
    let before = timeline("2026-11-03", "2026-11-05").await;
    assert_eq!(before["points"], json!([]));
    // Without crucial keys there is at most one point.
    let one = api
        .get("112/properties_timeline/?date_from=2026-10-01")
        .await;
    assert_eq!(one.body["points"].as_array().unwrap().len(), 1);
    assert_eq!(one.body["points"][0]["relevant_event_count"], 7);
    api.assert_no_violations();
}
