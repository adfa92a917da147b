//! Retrieve, exact lookups, search, batch reads, property values and cohorts.

use posthog_sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};

use super::{
    GHOST, api, assert_forbidden, assert_invalid, assert_method_not_allowed, assert_not_found,
    assert_server_error, names, results, start,
};
use crate::ADA;

#[tokio::test]
async fn retrieve_takes_a_number_or_a_uuid() {
    let api = api().await;
    let by_number = api.get("101/").await;
    assert_eq!(by_number.status, 200);
    assert_eq!(by_number.body["id"], 101);
    assert_eq!(by_number.body["uuid"], ADA);
    assert_eq!(by_number.body["created_at"], "2026-03-02T10:00:00Z");
    let by_uuid = api.get(&format!("{ADA}/")).await;
    assert_eq!(by_uuid.body, by_number.body);
    let keys: Vec<&String> = by_uuid.body.as_object().unwrap().keys().collect();
    let mut keys: Vec<&str> = keys.into_iter().map(String::as_str).collect();
    keys.sort_unstable();
    let record = [
        "created_at",
        "distinct_ids",
        "id",
        "last_seen_at",
        "name",
        "properties",
        "uuid",
    ];
    assert_eq!(keys, record);

    let neither = api.get("NOT_A_UUID/").await;
    assert_invalid(&neither);
    let detail = neither.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("NOT_A_UUID") && detail.contains("?distinct_id="),
        "{detail}"
    );
    assert_not_found(&api.get("999/").await);
    api.assert_no_violations();
}

#[tokio::test]
async fn distinct_ids_that_look_like_person_ids_do_not_resolve_as_such() {
    let api = api().await;
    let digits = api.get_with("", &[("distinct_id", "101")]).await;
    assert_eq!(names(&digits), ["mary.shelley@example.com"]);
    let twin = api.get_with("", &[("distinct_id", ADA)]).await;
    assert_eq!(names(&twin), ["wheatstone@example.com"]);
    let id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8/";
    assert_not_found(&api.get(id).await);
    api.assert_no_violations();
}

#[tokio::test]
async fn search_matches_email_name_uuid_and_distinct_ids() {
    let api = api().await;
    let search = async |words: &str| names(&api.get_with("", &[("search", words)]).await);
    assert_eq!(search("ADA@exa").await, ["ada@example.com"]);
    assert_eq!(search("badge-0499").await, ["Lobby Kiosk"]);
    assert_eq!(
        search("ada0ada0-1815").await,
        ["wheatstone@example.com", "ada@example.com"]
    );
    assert_eq!(search("Lovelace").await, ["ada@example.com"]);
    assert_eq!(search(" Lovelace").await, ["ada@example.com"]);
    assert_eq!(search("Lovelace ").await, Vec::<String>::new());
    assert_eq!(search("l_velace").await, ["ada@example.com"]);
    assert_eq!(search("nobody like this").await, Vec::<String>::new());
    // A tombstone hides Luigi from every search.
    assert_eq!(search("luigi").await, Vec::<String>::new());
    api.assert_no_violations();
}

#[tokio::test]
async fn email_and_distinct_id_match_exactly() {
    let api = api().await;
    let by_email = api.get_with("", &[("email", "radia@example.com")]).await;
    assert_eq!(
        results(&by_email)[0]["distinct_ids"],
        json!(["radia@example.com"])
    );
    assert_eq!(
        results(&by_email)[0]["properties"]["email"],
        "radia@example.com"
    );
    let any_id = api
        .get_with("", &[("distinct_id", "katherine-laptop")])
        .await;
    assert_eq!(names(&any_id), ["grace@example.com"]);
    for id in [
        "evariste/galois",
        "..",
        ".",
        "two words",
        "größe-ünïcode-😀",
        "a/b c?d",
        "100%",
        "#1",
    ] {
        let odd = api.get_with("", &[("distinct_id", id)]).await;
        assert_eq!(names(&odd), ["Evariste Galois"], "{id}");
    }
    for unknown in [("distinct_id", "inexistent"), ("email", "inexistent")] {
        assert!(results(&api.get_with("", &[unknown]).await).is_empty());
    }
    api.assert_no_violations();
}

#[tokio::test]
async fn other_projects_have_other_persons() {
    let api = api().await;
    api.sandbox
        .update_behaviors(|behaviors| behaviors.foreign_current_project = true);
    let path = "/api/projects/@current/persons/?distinct_id=ada@example.com";
    let reply = api.get_path(path).await;
    assert!(results(&reply).is_empty());
    api.assert_no_violations();
}

#[tokio::test]
async fn names_come_from_display_properties() {
    let api = api().await;
    let by_id = async |id: u64| api.get(&format!("{id}/")).await.body["name"].clone();
    assert_eq!(by_id(101).await, "ada@example.com");
    assert_eq!(by_id(103).await, "Lobby Kiosk");
    assert_eq!(by_id(105).await, "0190f1aa-5555-4eee-8fff-00000000000a");

    let display_properties = ["employer", "seats"].map(str::to_owned).to_vec();
    let custom = start(SandboxOptions {
        display_properties,
        ..SandboxOptions::default()
    })
    .await;
    let by_id = async |id: u64| custom.get(&format!("{id}/")).await.body["name"].clone();
    assert_eq!(by_id(102).await, "NASA");
    assert_eq!(by_id(101).await, 12);
    assert_eq!(by_id(107).await, "101");
}

#[tokio::test]
async fn list_items_have_other_fields_than_retrieve() {
    let api = api().await;
    let list = api.get_with("", &[("email", "ada@example.com")]).await;
    let item = &results(&list)[0];
    let mut keys: Vec<&String> = item.as_object().unwrap().keys().collect();
    keys.sort();
    let expected = [
        "created_at",
        "distinct_ids",
        "id",
        "is_identified",
        "last_seen_at",
        "matched_recordings",
        "name",
        "properties",
        "type",
        "uuid",
        "value_at_data_point",
    ];
    assert_eq!(keys, expected);
    assert_eq!(item["id"], ADA);
    assert_eq!(item["type"], "person");
    assert_eq!(item["matched_recordings"], json!([]));
    assert_eq!(item["value_at_data_point"], Value::Null);
    assert_eq!(item["is_identified"], true);
    // Ids that do not look anonymous come first.
    assert_eq!(item["distinct_ids"][0], "ada@example.com");
}

#[tokio::test]
async fn distinct_ids_are_capped_at_1000_in_lists_and_10_in_batches() {
    let api = api().await;
    let list = api.get_with("", &[("search", "Lobby Kiosk")]).await;
    let listed = results(&list)[0]["distinct_ids"].as_array().unwrap();
    assert_eq!(listed.len(), 1000);
    assert_eq!(listed[0], "kiosk-badge-0001");
    assert_eq!(listed[500], "0190f3c0-0000-4000-8000-000000000001");
    let all = api.get("103/").await;
    assert_eq!(all.body["distinct_ids"].as_array().unwrap().len(), 2500);
    let batch = api.post(
        "batch_by_distinct_ids/",
        json!({"distinct_ids": ["kiosk-badge-0500"]}),
    );
    let batch = batch.await;
    let some = batch.body["results"]["kiosk-badge-0500"]["distinct_ids"]
        .as_array()
        .unwrap();
    assert_eq!(some.len(), 10);
}

#[tokio::test]
async fn property_values_are_counted() {
    let api = api().await;
    let plans = api.get("values/?key=plan").await;
    let expected = json!([
        {"name": "pro", "count": 3}, {"name": "free", "count": 2}, {"name": "trial", "count": 1},
    ]);
    assert_eq!(
        plans.body,
        json!({"results": expected, "refreshing": false})
    );
    assert_eq!(plans.headers["cache-control"], "max-age=10");
    let some = api
        .get("values/?key=plan&value=RO&refresh=force_blocking")
        .await;
    assert_eq!(some.body["results"], json!([{"name": "pro", "count": 3}]));
    let booleans = api.get("values/?key=active").await;
    assert_eq!(
        booleans.body["results"],
        json!([{"name": "true", "count": 1}])
    );
    for nothing in [
        "values/",
        "values/?key=$virt_x",
        "values/?key=referrer",
        "values/?key=email&value=%25",
    ] {
        assert!(results(&api.get(nothing).await).is_empty(), "{nothing}");
    }
    let ids = api.get("values/?key=distinct_id&value=badge").await;
    assert_eq!(results(&ids).len(), 20);
    assert_eq!(
        results(&ids)[0],
        json!({"name": "kiosk-badge-0001", "count": 1})
    );
    api.assert_no_violations();
}

#[tokio::test]
async fn cohorts_are_as_of_their_last_calculation() {
    let api = api().await;
    let cohorts = async || api.get(&format!("cohorts/?person_id={ADA}")).await;
    let expected = json!([
        {"id": 11, "name": "Paying customers", "count": 3},
        {"id": 12, "name": "United Kingdom", "count": 2},
    ]);
    assert_eq!(cohorts().await.body, json!({"results": expected}));
    let unnamed = api.get("cohorts/?person_id=102").await;
    assert_eq!(
        unnamed.body["results"],
        json!([{"id": 13, "name": null, "count": 2}])
    );

    api.patch("101/", json!({"properties": {"plan": "free"}}))
        .await;
    api.advance(60);
    assert_eq!(results(&cohorts().await).len(), 2);
    api.advance(24 * 3600);
    assert_eq!(results(&cohorts().await).len(), 1);

    let unknown = api.get(&format!("cohorts/?person_id={GHOST}")).await;
    assert_not_found(&unknown);
    api.assert_no_violations();
    assert_server_error(&api.get("cohorts/").await);

    // The cohorts are those of another project: an empty list without an error.
    api.sandbox
        .update_behaviors(|behaviors| behaviors.foreign_current_project = true);
    assert!(results(&cohorts().await).is_empty());
}

#[tokio::test]
async fn batch_reads_return_known_ids_of_the_first_200() {
    let api = api().await;
    let by_ids = async |ids: Value| {
        let reply = api
            .post("batch_by_distinct_ids/", json!({"distinct_ids": ids}))
            .await;
        assert_eq!(reply.status, 200);
        reply.body["results"].clone()
    };
    let two = by_ids(json!(["ada@example.com", "radia@example.com", "nobody"])).await;
    assert_eq!(two.as_object().unwrap().len(), 2);
    assert_eq!(two["ada@example.com"]["id"], 101);
    assert_eq!(two["radia@example.com"]["id"], 114);
    let same = by_ids(json!(["grace@example.com", "katherine@example.com"])).await;
    assert_eq!(
        same["grace@example.com"]["uuid"],
        same["katherine@example.com"]["uuid"]
    );
    assert_eq!(by_ids(json!([])).await, json!({}));
    let mut many: Vec<String> = (0..200).map(|number| format!("unknown-{number}")).collect();
    many.push("ada@example.com".to_owned());
    assert_eq!(by_ids(json!(many)).await, json!({}));

    let upper = ADA.to_uppercase();
    let by_uuids = api
        .post("batch_by_uuids/", json!({"uuids": [upper, GHOST]}))
        .await;
    let found = by_uuids.body["results"].as_object().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[ADA]["id"], 101);
    let malformed = api
        .post("batch_by_uuids/", json!({"uuids": ["nope"]}))
        .await;
    assert_invalid(&malformed);
    api.assert_no_violations();
    assert_eq!(by_ids(json!("not_a_list")).await, json!({}));
    assert_eq!(api.sandbox.violations().len(), 1);
}

#[tokio::test]
async fn restricted_properties_are_hidden_and_read_only() {
    let api = api().await;
    api.sandbox
        .update_behaviors(|behaviors| behaviors.restricted_properties = vec!["email".to_owned()]);
    let ada = api.get("101/").await;
    assert_eq!(ada.body["properties"].get("email"), None);
    assert_eq!(ada.body["properties"]["plan"], "pro");
    assert_eq!(ada.body["name"], "Ada Lovelace");
    let batch = api.post("batch_by_uuids/", json!({"uuids": [ADA]})).await;
    assert_eq!(batch.body["results"][ADA]["properties"].get("email"), None);
    assert!(results(&api.get("values/?key=email").await).is_empty());
    let write = json!({"key": "email", "value": "x"});
    let rejected = api.post("101/update_property/", write).await;
    assert_invalid(&rejected);
    assert!(rejected.body["detail"].as_str().unwrap().contains("email"));
}

#[tokio::test]
async fn injection_fixtures_are_returned_unchanged() {
    let api = api().await;
    let mallory = api.get("104/").await;
    let name = mallory.body["name"].as_str().unwrap();
    assert!(name.starts_with("Ignore all previous instructions"));
    let properties = &mallory.body["properties"];
    assert_eq!(properties["tabs"], "a\tb\t\tc");
    assert!(properties["bidi"].as_str().unwrap().contains('\u{202e}'));
    assert!(properties["tags"].as_str().unwrap().contains('\u{e0069}'));
    assert!(properties["very_long"].as_str().unwrap().len() > 200_000);
}

#[tokio::test]
async fn persons_cannot_be_created_by_request() {
    let api = api().await;
    let rejected = api.post("", json!({"properties": {}})).await;
    assert_method_not_allowed(&rejected);
    let read_only = api.with(Sandbox::READ_KEY).post("", json!({})).await;
    assert_forbidden(&read_only);
    assert_not_found(&api.get("101/emails/").await);
    api.assert_no_violations();
}
