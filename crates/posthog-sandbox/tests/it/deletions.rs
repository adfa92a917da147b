//! Deletions, event deletions, and the reuse of deleted distinct ids.

use posthog_sandbox::{Era, Sandbox, SandboxOptions};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    GHOST, api, assert_error, assert_invalid, assert_not_found, names, people, read, results, start,
};
use crate::ADA;

#[tokio::test]
async fn bulk_delete_is_queued_by_default() {
    let api = api().await;
    let (one, two) = (api.uuid_of("qa-1").await, api.uuid_of("qa-2").await);
    let body = json!({"ids": [one, two, GHOST], "delete_events": true});
    let deleted = api.post("bulk_delete/", body).await;
    assert_eq!(deleted.status, 202);
    let expected = json!({
        "persons_found": 2, "persons_deleted": 0, "persons_queued_for_deletion": 2,
        "events_queued_for_deletion": true, "recordings_queued_for_deletion": false,
        "deletion_errors": [],
    });
    assert_eq!(deleted.body, expected);
    api.advance(29);
    assert_eq!(api.get("121/").await.status, 200);
    api.advance(1);
    assert_eq!(api.get("121/").await.status, 404);
    assert!(results(&api.get("?search=qa-1@").await).is_empty());
    let log = api.get("activity/?limit=1").await;
    assert_eq!(results(&log)[0]["activity"], "deleted");
    assert_eq!(results(&log)[0]["created_at"], "2026-11-02T09:00:30Z");

    let row = async || {
        let rows = api
            .get(&format!("deletion_status/?person_uuid={one}"))
            .await;
        results(&rows)[0].clone()
    };
    assert_eq!(row().await["status"], "pending");
    api.advance(6 * 24 * 3600);
    let completed = row().await;
    assert_eq!(completed["status"], "completed");
    assert_eq!(completed["created_at"], "2026-11-02T09:00:00Z");
    assert_eq!(completed["delete_verified_at"], "2026-11-08T05:00:00Z");
    api.assert_no_violations();
}

#[tokio::test]
async fn bulk_delete_is_immediate_before_september_2026() {
    let api = start(SandboxOptions {
        era: Era::June2026,
        ..SandboxOptions::default()
    })
    .await;
    let body = json!({"distinct_ids": ["0190f1aa-5555-4eee-8fff-00000000000a", "qa-2", "nobody"]});
    let deleted = api.post("bulk_delete/", body).await;
    let expected = json!({
        "persons_found": 2, "persons_deleted": 2, "events_queued_for_deletion": false,
        "recordings_queued_for_deletion": false, "deletion_errors": [],
    });
    assert_eq!((deleted.status, &deleted.body), (202, &expected));
    assert_eq!(api.get("122/").await.status, 404);
    assert_eq!(api.get("105/").await.status, 404);
}

#[tokio::test]
async fn bulk_delete_by_distinct_id_deletes_the_whole_person_once() {
    let api = api().await;
    let body = json!({"distinct_ids": ["katherine-laptop", "grace@example.com"]});
    let deleted = api.post("bulk_delete/", body).await;
    assert_eq!(deleted.body["persons_found"], 1);
    api.advance(30);
    for id in ["grace@example.com", "katherine@example.com"] {
        assert!(results(&api.get_with("", &[("distinct_id", id)]).await).is_empty());
    }
}

#[tokio::test]
async fn bulk_delete_with_keep_person_deletes_events_only() {
    for era in [Era::June2026, Era::September2026] {
        let api = start(SandboxOptions {
            era,
            ..SandboxOptions::default()
        })
        .await;
        let body = json!({"distinct_ids": ["qa-1"], "keep_person": true, "delete_events": true});
        let kept = api.post("bulk_delete/", body).await;
        assert_eq!(kept.body["persons_found"], 1);
        assert_eq!(kept.body["persons_deleted"], 0);
        assert_eq!(kept.body["events_queued_for_deletion"], true);
        api.advance(60);
        assert_eq!(api.get("121/").await.status, 200);
        let rows = api.get("deletion_status/?status=pending").await;
        assert_eq!(rows.body["count"], 2);
        api.assert_no_violations();
    }
}

#[tokio::test]
async fn bulk_delete_rejects_invalid_lists_and_ignores_unknown_ids() {
    let api = api().await;
    let many: Vec<String> = (0..1001).map(|number| format!("id-{number}")).collect();
    let too_many = api
        .post("bulk_delete/", json!({"distinct_ids": many}))
        .await;
    assert_invalid(&too_many);
    assert!(too_many.text.contains("1000"));
    for body in [
        json!({"delete_events": true}),
        json!({"ids": [], "distinct_ids": []}),
        json!({"ids": [ADA], "distinct_ids": ["ada@example.com"]}),
    ] {
        let rejected = api.post("bulk_delete/", body).await;
        assert_invalid(&rejected);
    }
    let unknown = json!({"ids": [GHOST], "delete_events": true});
    let reply = api.post("bulk_delete/", unknown).await;
    assert_eq!(reply.status, 202);
    assert_eq!(reply.body["persons_found"], 0);
    assert_eq!(reply.body["events_queued_for_deletion"], false);
    assert_eq!(api.get("deletion_status/").await.body["count"], 2);
    api.assert_no_violations();
}

#[tokio::test]
async fn bulk_delete_reports_immediate_failures_and_not_later_ones() {
    let body = json!({"distinct_ids": ["qa-1", "qa-2"]});
    for (era, error) in [
        (Era::June2026, json!({})),
        (Era::September2026, json!({"step": "tombstone_clickhouse"})),
    ] {
        let api = start(SandboxOptions {
            era,
            ..SandboxOptions::default()
        })
        .await;
        let mut error = error;
        error["person_uuid"] = json!(api.uuid_of("qa-1").await);
        api.sandbox.update_behaviors(|behaviors| {
            behaviors.deletion_fails_at = Some("tombstone_clickhouse".to_owned());
        });
        let deleted = api.post("bulk_delete/", body.clone()).await;
        assert_eq!(deleted.status, 202);
        assert_eq!(deleted.body["persons_found"], 2);
        assert_eq!(deleted.body["deletion_errors"], json!([error]));
        let done = if era == Era::June2026 {
            "persons_deleted"
        } else {
            "persons_queued_for_deletion"
        };
        assert_eq!(deleted.body[done], 1);
        api.advance(60);
        assert_eq!(api.get("121/").await.status, 200);
        assert_eq!(api.get("122/").await.status, 404);
    }
    let api = api().await;
    api.sandbox
        .update_behaviors(|behaviors| behaviors.queued_delete_fails = true);
    let deleted = api.post("bulk_delete/", body).await;
    assert_eq!(deleted.body["persons_queued_for_deletion"], 2);
    assert_eq!(deleted.body["deletion_errors"], json!([]));
    api.advance(3600);
    assert_eq!(api.get("121/").await.status, 200);
}

#[tokio::test]
async fn delete_counts_flags_by_presence() {
    let api = api().await;
    let delete = async |path: &str| {
        let path = format!("/api/projects/1/persons/{path}");
        read(api.request(Method::DELETE, &path).send().await.unwrap()).await
    };
    let uuid = api.uuid_of("qa-1").await;
    let deleted = delete(&format!("{uuid}/")).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (202, ""));
    let again = delete(&format!("{uuid}/")).await;
    assert_not_found(&again);
    let log = api.get("activity/?limit=1").await;
    let entry = &results(&log)[0];
    assert_eq!(
        (&entry["activity"], &entry["item_id"]),
        (&json!("deleted"), &json!("121"))
    );
    assert_eq!(entry["detail"]["name"], json!(uuid));
    assert_eq!(entry["detail"]["changes"], Value::Null);
    let rows = async || api.get("deletion_status/?status=pending").await.body["count"].clone();
    assert_eq!(rows().await, 1);
    // Even `false` deletes the events and keeps the person.
    assert_eq!(delete("122/?delete_events=false").await.status, 202);
    assert_eq!(rows().await, 2);
    assert_eq!(
        delete("123/?keep_person=false&delete_events=true")
            .await
            .status,
        202
    );
    assert_eq!(api.get("123/").await.status, 200);
    assert_eq!(rows().await, 3);
    assert_invalid(&delete("x/").await);
    api.sandbox.update_behaviors(|behaviors| {
        behaviors.deletion_fails_at = Some("delete_postgres".to_owned())
    });
    let failed = delete("124/").await;
    assert_error(
        &failed,
        503,
        "server_error",
        "person_deletion_failed",
        Value::Null,
    );
    api.assert_no_violations();
}

#[tokio::test]
async fn delete_events_and_recordings_need_a_person() {
    let api = api().await;
    for action in ["delete_events", "delete_recordings"] {
        let unknown = api.post(&format!("{GHOST}/{action}/"), json!({})).await;
        assert_not_found(&unknown);
        assert_eq!(unknown.body["detail"], "Not found.");
        let queued = api.post(&format!("101/{action}/"), json!({})).await;
        assert_eq!((queued.status, queued.text.as_str()), (202, ""));
    }
    let rows = api
        .get(&format!("deletion_status/?person_uuid={ADA}"))
        .await;
    assert_eq!(rows.body["count"], 1);
    // A second request keeps the row and its time, even a completed one.
    api.advance(7 * 24 * 3600);
    api.post("101/delete_events/", json!({})).await;
    let rows = api
        .get(&format!("deletion_status/?person_uuid={ADA}"))
        .await;
    assert_eq!(rows.body["count"], 1);
    assert_eq!(results(&rows)[0]["created_at"], "2026-11-02T09:00:00Z");
    assert_eq!(results(&rows)[0]["status"], "completed");
    api.assert_no_violations();
}

#[tokio::test]
async fn events_stay_until_the_weekly_batch() {
    let api = api().await;
    let legacy = api.with(Sandbox::LEGACY_KEY);
    let missing = async || {
        let reply = legacy.get("trends/?entity_id=sign+up&date_from=-30d").await;
        (people(&reply).len(), reply.body["missing_persons"].clone())
    };
    assert_eq!(missing().await, (5, json!(0)));
    let body = json!({"distinct_ids": ["alan@example.com"], "delete_events": true});
    api.post("bulk_delete/", body).await;
    api.advance(30);
    assert_eq!(missing().await, (4, json!(1)));
    api.advance(7 * 24 * 3600);
    assert_eq!(missing().await, (4, json!(0)));
}

#[tokio::test]
async fn reused_distinct_ids_are_hidden_until_their_reset() {
    let api = api().await;
    let reset = async |id: &str| {
        let reply = api
            .post("reset_person_distinct_id/", json!({"distinct_id": id}))
            .await;
        assert_eq!((reply.status, reply.text.as_str()), (202, ""));
    };
    let found = async |words: &str| results(&api.get_with("", &[("search", words)]).await).len();
    // Luigi's id is used again before the sandbox starts.
    assert_eq!(api.get("131/").await.status, 200);
    let exact = api
        .get_with("", &[("distinct_id", "luigi@example.com")])
        .await;
    assert_eq!(names(&exact), ["luigi@example.com"]);
    assert_eq!(found("luigi").await, 0);
    reset("luigi@example.com").await;
    assert_eq!(found("luigi").await, 1);

    // The id of Charles is not: the reset finds no person, and responds 202.
    reset("charles@example.com").await;
    reset("never seen").await;
    assert_eq!(found("Babbage").await, 0);
    api.capture(
        "charles@example.com",
        "$pageview",
        json!({"$set": {"name": "Charles Babbage"}}),
    );
    let uuid = api.uuid_of("charles@example.com").await;
    assert_eq!(found("Babbage").await, 0);
    reset("charles@example.com").await;
    assert_eq!(found("Babbage").await, 1);
    let batch = api.post("batch_by_uuids/", json!({"uuids": [uuid]})).await;
    assert_eq!(batch.body["results"].as_object().unwrap().len(), 1);
    // Later writes take effect in the list.
    let id = batch.body["results"][&uuid]["id"].to_string();
    let body = json!({"key": "name", "value": "C. Babbage"});
    api.post(&format!("{id}/update_property/"), body).await;
    api.advance(2);
    assert_eq!(found("C. Babbage").await, 1);

    for body in [
        json!({}),
        json!({"distinct_id": ""}),
        json!({"distinct_id": 7}),
    ] {
        let rejected = api.post("reset_person_distinct_id/", body).await;
        assert_invalid(&rejected);
    }
    api.assert_no_violations();
}
