use insta::assert_snapshot;
use serde_json::json;

use crate::{ADA, column, connect};

const TOOL: &str = "persons-deletion-status-list";

#[tokio::test]
async fn lists_event_deletions_newest_first() {
    let session = connect().await;
    let text = session.text(TOOL, json!({})).await;
    assert_eq!(
        session.requests(),
        ["GET B/deletion_status/?limit=20&offset=0"]
    );
    assert_snapshot!(text, @r"
    2 of 2 rows
    person_uuid	status	created_at	delete_verified_at
    7c24651f-55de-532e-ae6a-8e5a89184463	pending	2026-11-01T12:00:00Z	
    72c3c784-8c0d-5802-8bd1-80e764404757	completed	2026-10-20T12:00:00Z	2026-10-25T05:00:00Z
    Events are deleted in a weekly batch. A repeated request keeps the old row and its created_at.
    ");
}

#[tokio::test]
async fn status_and_person_limit_the_list() {
    let session = connect().await;
    let completed = session.call(TOOL, json!({"status": "completed"})).await;
    assert_eq!(
        session.requests(),
        ["GET B/deletion_status/?limit=20&offset=0&status=completed"]
    );
    assert_eq!(
        column(&completed, "delete_verified_at"),
        ["2026-10-25T05:00:00Z"]
    );
    let uuid = completed["results"][0]["person_uuid"].as_str().unwrap();
    let one = session
        .call(TOOL, json!({"person_uuid": uuid, "status": "all"}))
        .await;
    assert_eq!(one["results"], completed["results"]);
    let request = format!("GET B/deletion_status/?limit=20&offset=0&person_uuid={uuid}&status=all");
    assert_eq!(session.requests(), [request]);
}

#[tokio::test]
async fn paging_by_next_offset_returns_every_row_once() {
    let session = connect().await;
    let first = session.call(TOOL, json!({"limit": 1})).await;
    assert_eq!(first["count"], 2);
    assert_eq!(first["next_offset"], 1);
    let second = session.call(TOOL, json!({"limit": 1, "offset": 1})).await;
    assert_eq!(second.get("next_offset"), None);
    assert_ne!(
        column(&first, "person_uuid"),
        column(&second, "person_uuid")
    );
}

#[tokio::test]
async fn empty_list_does_not_prove_deletion() {
    let session = connect().await;
    assert_snapshot!(session.text(TOOL, json!({"person_uuid": ADA})).await, @r"
    0 of 0 rows
    No event deletions match. This does not mean that nothing was deleted: persons and recordings have no row here, and events are queued only with delete_events.
    ");
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    for (arguments, expected) in [
        (
            json!({"status": "done"}),
            "Invalid argument `status`: unknown value `done`, expected one of `pending`, `completed`, `all`.",
        ),
        (
            json!({"person_uuid": "101"}),
            "Invalid argument `person_uuid`: not a person UUID.",
        ),
        (
            json!({"limit": 0}),
            "Invalid argument `limit`: 0 is not between 1 and 1000.",
        ),
        (json!({"uuid": ADA}), "Unknown argument `uuid`."),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(expected), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}
