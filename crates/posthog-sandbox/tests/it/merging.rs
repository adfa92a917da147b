//! Capture by the project's token, and merging.

use posthog_sandbox::Sandbox;
use serde_json::{Value, json};

use super::{ADA, ReferenceClient, Reply, api, assert_not_found, names, read};

const MERGE: &str = "$merge_dangerously";

impl ReferenceClient {
    async fn capture_at(&self, path: &str, body: Value) -> Reply {
        let url = format!("{}{path}", self.sandbox.url());
        read(self.client.post(url).json(&body).send().await.unwrap()).await
    }

    /// Sends one event, waits until it is ingested.
    async fn ingest(&self, event: &str, distinct_id: &str, other: (&str, &str)) {
        let body = json!({
            "api_key": Sandbox::PROJECT_TOKEN,
            "event": event,
            "distinct_id": distinct_id,
            "properties": {other.0: other.1, "$geoip_disable": true},
        });
        let reply = self.capture_at("/i/v0/e/", body).await;
        assert_eq!((reply.status, &reply.body), (200, &json!({"status": "Ok"})));
        self.advance(2);
    }

    async fn person(&self, distinct_id: &str) -> Value {
        let uuid = self.uuid_of(distinct_id).await;
        self.get(&format!("{uuid}/")).await.body
    }

    /// Whether two distinct ids have the same person.
    async fn are_one(&self, one: &str, other: &str) -> bool {
        self.uuid_of(one).await == self.uuid_of(other).await
    }
}

#[tokio::test]
async fn token_is_a_field_of_the_project() {
    let api = api().await;
    let project = api.get_path("/api/projects/1/").await;
    assert_eq!(project.body["api_token"], Sandbox::PROJECT_TOKEN);
    api.sandbox
        .update_behaviors(|behaviors| behaviors.foreign_current_project = true);
    let other = api.get_path("/api/projects/2/").await;
    assert_ne!(other.body["api_token"], Sandbox::PROJECT_TOKEN);
    let refused = api
        .with(Sandbox::READ_KEY)
        .get_path("/api/projects/1/")
        .await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn person_of_the_alias_is_merged_into_the_person_of_the_distinct_id() {
    let api = api().await;
    let (hedy, alan) = (
        api.person("hedy@example.com").await,
        api.person("alan@example.com").await,
    );
    api.capture(
        "alan@example.com",
        "$set",
        json!({"$set": {"only_alan": 1, "plan": null}}),
    );
    api.ingest(MERGE, "alan@example.com", ("alias", "hedy@example.com"))
        .await;

    let merged = api.person("hedy@example.com").await;
    assert_eq!(merged["uuid"], alan["uuid"]);
    assert_eq!(
        merged["distinct_ids"],
        json!(["alan@example.com", "hedy@example.com"])
    );
    let earlier = hedy["created_at"].as_str().min(alan["created_at"].as_str());
    assert_eq!(merged["created_at"].as_str(), earlier);
    let properties = &merged["properties"];
    assert_eq!(properties["email"], "alan@example.com");
    assert_eq!(properties["only_alan"], 1);
    // A property without a value is a property.
    assert_eq!(properties["plan"], Value::Null);
    assert_not_found(
        &api.get(&format!("{}/", hedy["uuid"].as_str().unwrap()))
            .await,
    );

    // Lists have one person, and her events are his.
    let listed = api.get_with("", &[("search", "hedy@example.com")]).await;
    assert_eq!(names(&listed), ["alan@example.com"]);
    let found = api
        .get_with("", &[("distinct_id", "hedy@example.com")])
        .await;
    assert_eq!(names(&found), ["alan@example.com"]);
    let legacy = api.with(Sandbox::LEGACY_KEY);
    let purchases = legacy.get("trends/?entity_id=purchase").await;
    assert!(
        purchases.text.contains("alan@example.com"),
        "{}",
        purchases.text
    );
    assert!(!purchases.text.contains("\"hedy@example.com\",\"uuid\""));
    assert!(api.sandbox.ingestion_warnings().is_empty());
    api.assert_no_violations();
}

#[tokio::test]
async fn merging_takes_time_and_is_done_once() {
    let api = api().await;
    let body = json!({
        "api_key": Sandbox::PROJECT_TOKEN,
        "batch": [
            {"event": MERGE, "distinct_id": "qa-1", "properties": {"alias": "qa-2", "$geoip_disable": true}},
            {"event": MERGE, "distinct_id": "qa-1", "properties": {"alias": "qa-3", "$geoip_disable": true}},
        ],
    });
    assert_eq!(api.capture_at("/batch/", body.clone()).await.status, 200);
    assert!(!api.are_one("qa-1", "qa-2").await);
    api.advance(2);
    assert!(api.are_one("qa-1", "qa-2").await);
    assert!(api.are_one("qa-1", "qa-3").await);
    let before = api.person("qa-1").await;
    // Persons that are one already stay as they are.
    assert_eq!(api.capture_at("/batch/", body).await.status, 200);
    api.advance(2);
    let after = api.person("qa-1").await;
    assert_eq!(before["distinct_ids"], after["distinct_ids"]);
    assert_eq!(before["properties"], after["properties"]);
    api.assert_no_violations();
}

#[tokio::test]
async fn ids_without_a_person_are_attached_or_make_one_person() {
    let api = api().await;
    for (event, property) in [
        ("$identify", "$anon_distinct_id"),
        ("$create_alias", "alias"),
        (MERGE, "alias"),
    ] {
        let new = |name: &str| format!("{event}-{name}");
        api.ingest(event, "alan@example.com", (property, &new("other")))
            .await;
        assert!(api.are_one("alan@example.com", &new("other")).await);
        api.ingest(event, &new("first"), (property, "alan@example.com"))
            .await;
        assert!(api.are_one("alan@example.com", &new("first")).await);
        api.ingest(event, &new("a"), (property, &new("b"))).await;
        let both = api.person(&new("b")).await;
        assert_eq!(both["distinct_ids"], json!([new("a"), new("b")]));
        assert_eq!(both["properties"], json!({}));
        // An id and itself.
        api.ingest(event, &new("a"), (property, &new("a"))).await;
    }
    assert!(api.sandbox.ingestion_warnings().is_empty());
    api.assert_no_violations();
}

#[tokio::test]
async fn only_a_dangerous_merge_takes_an_identified_person_away() {
    let api = api().await;
    for (event, property) in [
        ("$identify", "$anon_distinct_id"),
        ("$create_alias", "alias"),
    ] {
        api.ingest(event, "alan@example.com", (property, "hedy@example.com"))
            .await;
        assert!(!api.are_one("alan@example.com", "hedy@example.com").await);
    }
    let refused = ["cannot_merge_already_identified"; 2];
    assert_eq!(api.sandbox.ingestion_warnings(), refused);
    // The event itself is kept, and an anonymous person can be merged.
    let visitor = api.get("105/").await.body;
    let anonymous = visitor["distinct_ids"][0].as_str().unwrap().to_owned();
    api.ingest(
        "$identify",
        "alan@example.com",
        ("$anon_distinct_id", &anonymous),
    )
    .await;
    assert!(api.are_one("alan@example.com", &anonymous).await);
    api.ingest(MERGE, "alan@example.com", ("alias", "hedy@example.com"))
        .await;
    assert!(api.are_one("alan@example.com", "hedy@example.com").await);
    assert_eq!(api.sandbox.ingestion_warnings(), refused);
    api.assert_no_violations();
}

#[tokio::test]
async fn illegal_ids_merge_nothing() {
    let api = api().await;
    for illegal in ["undefined", "'Guest'", "0", " ", &"x".repeat(401)] {
        api.ingest(MERGE, "alan@example.com", ("alias", illegal))
            .await;
    }
    api.ingest(MERGE, "null", ("alias", "alan@example.com"))
        .await;
    let warnings = ["cannot_merge_with_illegal_distinct_id"; 6];
    assert_eq!(api.sandbox.ingestion_warnings(), warnings);
    let alan = api.person("alan@example.com").await;
    assert_eq!(alan["distinct_ids"], json!(["alan@example.com"]));

    // Capture cuts the id of an event: the merge then is one of another person.
    let long = "y".repeat(201);
    api.capture(&long, "sign up", json!({}));
    api.ingest(MERGE, &long, ("alias", "alan@example.com"))
        .await;
    assert!(!api.are_one(&long, "alan@example.com").await);
    assert!(api.are_one(&long[1..], "alan@example.com").await);
    api.assert_no_violations();
}

#[tokio::test]
async fn merges_can_be_dropped_without_a_trace() {
    let api = api().await;
    api.sandbox
        .update_behaviors(|behaviors| behaviors.merge_move_limit = Some(1));
    // Ada has two ids, Hedy one.
    api.ingest(MERGE, "alan@example.com", ("alias", "ada@example.com"))
        .await;
    assert!(!api.are_one("alan@example.com", "ada@example.com").await);
    api.ingest(MERGE, "alan@example.com", ("alias", "hedy@example.com"))
        .await;
    assert!(api.are_one("alan@example.com", "hedy@example.com").await);

    api.sandbox
        .update_behaviors(|behaviors| behaviors.events_over_quota = true);
    let body = json!({"api_key": Sandbox::PROJECT_TOKEN, "event": MERGE, "distinct_id": "qa-1", "properties": {"alias": "qa-2", "$geoip_disable": true}});
    let dropped = api.capture_at("/capture/", body.clone()).await;
    assert_eq!(dropped.body["quota_limited"], json!(["events"]));
    api.advance(2);
    assert!(!api.are_one("qa-1", "qa-2").await);
    api.sandbox
        .update_behaviors(|behaviors| behaviors.capture_down = true);
    assert_eq!(api.capture_at("/capture/", body).await.status, 503);
    assert!(api.sandbox.ingestion_warnings().is_empty());
    api.assert_no_violations();
}

#[tokio::test]
async fn capture_takes_tokens_and_no_keys() {
    let api = api().await;
    let event = |token: &str| json!({"api_key": token, "event": "sign up", "distinct_id": "new", "properties": {"$geoip_disable": true}});
    for token in [Sandbox::KEY, "phc_other", ""] {
        let refused = api.capture_at("/i/v0/e/", event(token)).await;
        assert_eq!(refused.status, 401, "{token}");
        assert_eq!(refused.body, Value::Null, "{}", refused.text);
    }
    api.assert_no_violations();
    let url = format!("{}/i/v0/e/", api.sandbox.url());
    let body = event(Sandbox::PROJECT_TOKEN);
    let with_key = api.client.post(url).bearer_auth(Sandbox::KEY).json(&body);
    assert_eq!(with_key.send().await.unwrap().status(), 400);
    assert!(api.sandbox.violations()[0].contains("authorization"));
    let located =
        json!({"api_key": Sandbox::PROJECT_TOKEN, "event": "sign up", "distinct_id": "new"});
    assert_eq!(api.capture_at("/i/v0/e/", located).await.status, 200);
    assert!(api.sandbox.violations()[1].contains("$geoip_disable"));
    let unknown = json!({"api_key": Sandbox::PROJECT_TOKEN, "event": "sign up", "distinct_id": "new", "alias": "x"});
    assert_eq!(api.capture_at("/i/v0/e/", unknown).await.status, 400);
    assert_eq!(api.sandbox.violations().len(), 3);
}

#[tokio::test]
async fn a_merged_person_can_be_split_again() {
    let api = api().await;
    let hedy = api.person("hedy@example.com").await;
    api.ingest(MERGE, ADA_ID, ("alias", "hedy@example.com"))
        .await;
    let split = json!({"distinct_ids_to_split": ["hedy@example.com"]});
    assert_eq!(api.post(&format!("{ADA}/split/"), split).await.status, 201);
    api.advance(5);
    let again = api.person("hedy@example.com").await;
    assert_eq!(again["properties"], json!({}));
    assert_eq!(again["distinct_ids"], json!(["hedy@example.com"]));
    // Her UUID was derived from the id, and a deleted person does not come back in lists under it.
    assert_eq!(again["uuid"], hedy["uuid"]);
    api.assert_no_violations();
}

const ADA_ID: &str = "ada@example.com";
