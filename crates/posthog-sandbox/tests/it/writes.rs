//! Property writes and splits.

use posthog_sandbox::{Era, Sandbox, SandboxOptions};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    api, assert_error, assert_invalid, assert_not_found, assert_server_error, names, people, read,
    results, start,
};
use crate::ADA;

#[tokio::test]
async fn patch_merges_properties_asynchronously() {
    let api = api().await;
    let no_properties = api.patch("101/", json!({"foo": "bar"})).await;
    assert_eq!(no_properties.status, 400);
    assert_eq!(no_properties.body["attr"], "properties");
    // `code` and `detail` are swapped.
    assert_eq!(no_properties.body["detail"], "required");
    assert!(no_properties.body["code"].as_str().unwrap().contains(' '));
    let null = api
        .send(Method::PUT, "101/", json!({"properties": null}))
        .await;
    assert_eq!(
        (null.status, &null.body["attr"]),
        (400, &json!("properties"))
    );

    // A whole person with one more property.
    let mut person = api.get(&format!("{ADA}/")).await.body;
    person["properties"]["nickname"] = json!("Enchantress");
    let patched = api.patch(&format!("{ADA}/"), person).await;
    assert_eq!((patched.status, patched.text.as_str()), (202, ""));
    let nickname = async || api.get("101/").await.body["properties"]["nickname"].clone();
    assert_eq!(nickname().await, Value::Null);
    api.advance(1);
    assert_eq!(nickname().await, Value::Null);
    api.advance(1);
    assert_eq!(nickname().await, "Enchantress");
    assert_eq!(api.get("101/").await.body["properties"]["plan"], "pro");
    let log = api.get("101/activity/?limit=1").await;
    let entry = &results(&log)[0];
    assert_eq!(entry["activity"], "updated");
    let change = &entry["detail"]["changes"][0];
    assert_eq!(change["field"], "properties");
    assert_eq!(
        (&change["before"], &change["after"]),
        (&Value::Null, &Value::Null)
    );

    let nothing = api.patch("101/", json!({"properties": {}})).await;
    assert_eq!(nothing.status, 202);
    let unknown = api.patch("999/", json!({"properties": {}})).await;
    assert_not_found(&unknown);
    api.assert_no_violations();
}

#[tokio::test]
async fn update_property_sets_one_property() {
    let api = api().await;
    let ada = format!("{ADA}/update_property/");
    for (path, body) in [
        (ada.as_str(), json!({"key": "foo", "value": "bar"})),
        (
            "101/update_property/",
            json!({"key": "empty", "value": null}),
        ),
    ] {
        let updated = api.post(path, body).await;
        assert_eq!((updated.status, updated.text.as_str()), (202, ""));
    }
    api.advance(2);
    let properties = api.get("101/").await.body["properties"].clone();
    assert_eq!(properties["foo"], "bar");
    assert_eq!(properties.get("empty"), Some(&Value::Null));
    for (body, attr) in [
        (json!({"key": "foo"}), "value"),
        (json!({"value": "bar"}), "key"),
        (json!({"key": null, "value": "bar"}), "key"),
        (json!({}), "value"),
    ] {
        let rejected = api.post(&ada, body).await;
        assert_eq!(rejected.status, 400);
        assert_eq!(rejected.body["attr"], attr);
        assert_eq!(rejected.body["detail"], "required");
    }
    let unknown = api
        .post("999/update_property/", json!({"key": "a", "value": 1}))
        .await;
    assert_not_found(&unknown);
    // The write is an event, and part of the history.
    let query = [
        ("distinct_id", "ada@example.com"),
        ("timestamp", "2026-11-03"),
    ];
    api.advance(24 * 3600);
    let at_time = api.get_with("properties_at_time/", &query).await;
    assert_eq!(at_time.status, 200);
    api.assert_no_violations();
}

#[tokio::test]
async fn delete_property_removes_one_property() {
    let api = api().await;
    let deleted = api
        .post("101/delete_property/", json!({"$unset": "seats"}))
        .await;
    assert_eq!(
        (deleted.status, &deleted.body),
        (201, &json!({"success": true}))
    );
    let absent = api
        .post("101/delete_property/", json!({"$unset": "never set"}))
        .await;
    assert_eq!(absent.status, 201);
    assert_eq!(api.get("101/").await.body["properties"]["seats"], 12);
    api.advance(2);
    assert_eq!(api.get("101/").await.body["properties"].get("seats"), None);
    let log = api.get("101/activity/?limit=1").await;
    assert_eq!(results(&log)[0]["activity"], "delete_property");
    // Unknown persons are a 500, not a 404.
    let unknown = api
        .post("999/delete_property/", json!({"$unset": "a"}))
        .await;
    assert_server_error(&unknown);
    api.assert_no_violations();
    assert_eq!(
        api.post("101/delete_property/", json!({})).await.status,
        500
    );
    assert_eq!(
        api.post("nonsense/delete_property/", json!({"$unset": "a"}))
            .await
            .status,
        500
    );
    assert_eq!(api.sandbox.violations().len(), 2);
}

#[tokio::test]
async fn only_delete_property_reports_that_capture_is_down() {
    let api = api().await;
    api.sandbox
        .update_behaviors(|behaviors| behaviors.capture_down = true);
    let patch = api
        .patch("101/", json!({"properties": {"plan": "lost"}}))
        .await;
    assert_eq!(patch.status, 202);
    let update = api
        .post(
            "101/update_property/",
            json!({"key": "plan", "value": "lost"}),
        )
        .await;
    assert_eq!(update.status, 202);
    let delete = api
        .post("101/delete_property/", json!({"$unset": "plan"}))
        .await;
    assert_eq!(delete.status, 400);
    assert_eq!(delete.body["success"], false);
    assert!(delete.body["detail"].is_string());
    // A 4xx of ingestion is passed on.
    api.sandbox
        .update_behaviors(|behaviors| behaviors.capture_status = 401);
    let delete = api
        .post("101/delete_property/", json!({"$unset": "plan"}))
        .await;
    assert_eq!(delete.status, 401);
    api.advance(3600);
    assert_eq!(api.get("101/").await.body["properties"]["plan"], "pro");
    api.assert_no_violations();
}

#[tokio::test]
async fn split_moves_the_listed_ids() {
    let api = api().await;
    let moved = ["katherine@example.com", "katherine-laptop"];
    let body = json!({"distinct_ids_to_split": [moved[0], moved[1], moved[0]]});
    let split = api.post("102/split/", body).await;
    assert_eq!(
        (split.status, &split.body),
        (201, &json!({"success": true}))
    );
    // Until the split is carried out, the id resolves to the old person; the log has its entry already.
    let grace = api.uuid_of("grace@example.com").await;
    assert_eq!(api.uuid_of(moved[0]).await, grace);
    let log = api.get("102/activity/?limit=1").await;
    assert_eq!(results(&log)[0]["activity"], "split_person");
    let after = &results(&log)[0]["detail"]["changes"][0]["after"];
    assert_eq!(after["distinct_ids"].as_array().unwrap().len(), 4);
    assert_eq!(after["distinct_ids_to_split"], json!(moved));

    api.advance(5);
    let kept = api.get("102/").await;
    let expected = json!(["grace@example.com", "0190f1aa-2222-4aaa-8bbb-0000000009ac"]);
    assert_eq!(kept.body["distinct_ids"], expected);
    assert_eq!(kept.body["properties"]["employer"], "NASA");
    let found = api
        .post("batch_by_distinct_ids/", json!({"distinct_ids": moved}))
        .await;
    let new = &found.body["results"][moved[0]];
    assert_eq!(new["properties"], json!({}));
    assert_eq!(new["distinct_ids"], json!([moved[0]]));
    assert_ne!(new["uuid"], found.body["results"][moved[1]]["uuid"]);
    // The new person is in the lists too, and the events follow their distinct id.
    let listed = api.get_with("", &[("search", moved[1])]).await;
    assert_eq!(names(&listed), [moved[1]]);
    let legacy = api.with(Sandbox::LEGACY_KEY);
    let trends = legacy.get("trends/?entity_id=$pageview").await;
    assert!(people(&trends).contains(&moved[1].to_owned()));
    api.assert_no_violations();
}

#[tokio::test]
async fn split_can_keep_one_id() {
    let api = api().await;
    let split = api
        .post(
            "102/split/",
            json!({"main_distinct_id": "katherine-laptop"}),
        )
        .await;
    assert_eq!(split.status, 201);
    let log = api.get("102/activity/?limit=1").await;
    let after = &results(&log)[0]["detail"]["changes"][0]["after"];
    assert_eq!(after.as_object().unwrap().len(), 1);
    api.advance(5);
    let kept = api.get("102/").await;
    assert_eq!(kept.body["distinct_ids"], json!(["katherine-laptop"]));
    assert_eq!(kept.body["properties"]["email"], "grace@example.com");

    // Without a body the first id stays.
    let path = "/api/projects/1/persons/101/split/";
    let split = read(api.request(Method::POST, path).send().await.unwrap()).await;
    assert_eq!(split.status, 201);
    api.advance(5);
    let first = json!(["0190f1aa-1111-4aaa-8bbb-00000000ada1"]);
    assert_eq!(api.get("101/").await.body["distinct_ids"], first);
    api.assert_no_violations();
}

#[tokio::test]
async fn split_rejects_invalid_lists() {
    let api = api().await;
    let attr = json!("distinct_ids_to_split");
    let unknown = json!({"distinct_ids_to_split": ["katherine-laptop", "z", "not_hers"]});
    let rejected = api.post("102/split/", unknown).await;
    assert_error(
        &rejected,
        400,
        "validation_error",
        "invalid_input",
        attr.clone(),
    );
    let detail = rejected.body["detail"].as_str().unwrap();
    assert!(
        detail.find("not_hers").unwrap() < detail.find("'z'").unwrap(),
        "{detail}"
    );
    let both = json!({"distinct_ids_to_split": ["a"], "main_distinct_id": "b"});
    let rejected = api.post("102/split/", both).await;
    assert_invalid(&rejected);
    for listed in [json!([]), json!("a"), json!([1, 2])] {
        let rejected = api
            .post("102/split/", json!({"distinct_ids_to_split": listed}))
            .await;
        assert_error(
            &rejected,
            400,
            "validation_error",
            "invalid_input",
            attr.clone(),
        );
    }
    api.advance(60);
    assert_eq!(
        api.get("102/").await.body["distinct_ids"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    api.assert_no_violations();
}

#[tokio::test]
async fn split_with_an_unknown_main_id_removes_all_ids() {
    let api = api().await;
    let split = api
        .post("101/split/", json!({"main_distinct_id": "ada@exmaple.com"}))
        .await;
    assert_eq!(split.status, 201);
    api.advance(5);
    let stripped = api.get("101/").await;
    assert_eq!(stripped.body["distinct_ids"], json!([]));
    assert_eq!(stripped.body["properties"]["plan"], "pro");
    let patch = api.patch("101/", json!({"properties": {"a": 1}})).await;
    assert_server_error(&patch);
    assert_eq!(
        api.post("101/delete_property/", json!({"$unset": "a"}))
            .await
            .status,
        500
    );
    api.assert_no_violations();
}

#[tokio::test]
async fn split_of_the_creator_id_moves_it_or_blanks_the_person_on_older_servers() {
    let body = json!({"distinct_ids_to_split": ["grace@example.com"]});
    let api_now = api().await;
    let grace = api_now.uuid_of("grace@example.com").await;
    assert_eq!(api_now.post("102/split/", body.clone()).await.status, 201);
    api_now.advance(5);
    let moved = api_now.uuid_of("grace@example.com").await;
    assert_ne!(moved, grace);
    assert_eq!(api_now.get(&format!("{grace}/")).await.body["id"], 102);

    for options in [
        SandboxOptions {
            creator_split_is_noop: true,
            ..SandboxOptions::default()
        },
        SandboxOptions {
            era: Era::June2026,
            ..SandboxOptions::default()
        },
    ] {
        let api = start(options).await;
        let found = api.get_with("", &[("search", "Grace Hopper")]).await;
        assert_eq!(results(&found).len(), 1);
        assert_eq!(api.post("102/split/", body.clone()).await.status, 201);
        api.advance(5);
        assert_eq!(api.uuid_of("grace@example.com").await, grace);
        assert_eq!(
            api.get("102/").await.body["properties"]["name"],
            "Grace Hopper"
        );
        let found = api.get_with("", &[("search", "Grace Hopper")]).await;
        assert!(results(&found).is_empty());
    }
}

#[tokio::test]
async fn lost_splits_are_logged_and_change_nothing() {
    let api = api().await;
    api.sandbox
        .update_behaviors(|behaviors| behaviors.split_task_lost = true);
    let body = json!({"distinct_ids_to_split": ["katherine-laptop"]});
    assert_eq!(api.post("102/split/", body).await.status, 201);
    api.advance(3600);
    assert_eq!(
        api.get("102/").await.body["distinct_ids"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    let log = api.get("102/activity/").await;
    assert_eq!(results(&log)[0]["activity"], "split_person");
}
