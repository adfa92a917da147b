//! The result.

use super::support::*;
use crate::writing::{
    DELETION_DELAY, QA, approving, approving_with, elicitations, inject_fault, write_requests,
};
use crate::{column, text};
use insta::assert_snapshot;
use posthog_sandbox::{Era, FaultKind};
use serde_json::json;

#[tokio::test]
async fn delete_events_can_be_followed() {
    let session = approving().await;
    let arguments = json!({"ids": [QA[0]], "delete_events": true, "delete_recordings": true});
    let result = session.result(TOOL, arguments).await;
    assert_snapshot!(text(&result), @r"
    Queued, not done yet: deletion of 1 person. PostHog completes it within minutes.
    Verify with persons-retrieve and the uuid: it reports `not found` once the person is deleted.
    Verify the event deletion with persons-deletion-status-list and person_uuid, after the weekly batch.
    Recordings are deleted in the background; this cannot be verified.
    ");
    let question = elicitations(&session).join("\n");
    assert!(
        question.starts_with("Delete 1 person for good, with their events and recordings?\n"),
        "{question}"
    );
    let rows = session
        .call(
            "persons-deletion-status-list",
            json!({"person_uuid": QA[0]}),
        )
        .await;
    assert_eq!(column(&rows, "status"), ["pending"]);
    session
        .sandbox
        .advance(std::time::Duration::from_secs(8 * 24 * 3600));
    let rows = session
        .call(
            "persons-deletion-status-list",
            json!({"person_uuid": QA[0]}),
        )
        .await;
    assert_eq!(column(&rows, "status"), ["completed"]);
}

#[tokio::test]
async fn keep_person_deletes_only_events() {
    let session = approving().await;
    let arguments = json!({"distinct_ids": ["qa-1"], "delete_events": true, "keep_person": true});
    let result = session.result(TOOL, arguments).await;
    assert_eq!(
        write_requests(&session),
        [(DELETE.to_owned(), body(&QA[..1], true, false, true))]
    );
    assert_snapshot!(elicitations(&session).join("\n---\n"), @r#"
    Delete the events of 1 person for good?
    "qa-1@example.org", 1 distinct id
    The persons, their properties and recordings stay.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    PostHog deletes the events in a weekly batch.
    - 326043c7-9577-586f-b399-8da3ff6a80ff
      "qa-1@example.org"
      1 distinct id: "qa-1"
      created 2026-10-15, last seen 2026-10-30
      given as "qa-1"
    "#);
    assert_snapshot!(text(&result), @r"
    Queued, not done yet: deletion of the requested data. The persons stay.
    Verify the event deletion with persons-deletion-status-list and person_uuid, after the weekly batch.
    ");
    session.sandbox.advance(DELETION_DELAY);
    assert!(is_there(&session, QA[0]).await);
    let rows = session
        .call(
            "persons-deletion-status-list",
            json!({"person_uuid": QA[0]}),
        )
        .await;
    assert_eq!(column(&rows, "status"), ["pending"]);
}

#[tokio::test]
async fn failed_deletions_are_listed() {
    for (era, status) in [(Era::September2026, "partly"), (Era::June2026, "partly")] {
        let session = approving_with(|setup| setup.sandbox.era = era).await;
        session.sandbox.update_behaviors(|behaviors| {
            behaviors.deletion_fails_at = Some("tombstone_clickhouse".to_owned())
        });
        let result = session.result(TOOL, json!({"ids": QA})).await;
        assert_eq!(write_requests(&session).len(), 1);
        match era {
            Era::September2026 => assert_snapshot!(text(&result), @r"
            Partly done: 2 of 3 persons are deleted or queued.
            NOT deleted: 326043c7-9577-586f-b399-8da3ff6a80ff (failed at tombstone_clickhouse)
            Call again with only the persons that were not deleted.
            Verify with persons-retrieve and the uuid: it reports `not found` once the person is deleted.
            "),
            _ => assert_snapshot!(text(&result), @r"
            Partly done: 2 of 3 persons are deleted or queued.
            NOT deleted: 326043c7-9577-586f-b399-8da3ff6a80ff
            Call again with only the persons that were not deleted.
            Verify with persons-retrieve and the uuid: it reports `not found` once the person is deleted.
            "),
        }
        let facts = result.structured_content.unwrap();
        assert_eq!(facts["status"], status);
        let errors = &facts["result"]["deletion_errors"];
        assert_eq!(errors[0]["person_uuid"], QA[0]);
        session.sandbox.advance(DELETION_DELAY);
        assert!(is_there(&session, QA[0]).await);
        assert!(!is_there(&session, QA[1]).await);
    }
}

#[tokio::test]
async fn failure_of_all_reports_no_deletion() {
    let session = approving().await;
    session.sandbox.update_behaviors(|behaviors| {
        behaviors.deletion_fails_at = Some("resolve_persons".to_owned())
    });
    let result = session.result(TOOL, json!({"ids": [QA[0]]})).await;
    assert_snapshot!(text(&result), @r"
    No person was deleted.
    NOT deleted: 326043c7-9577-586f-b399-8da3ff6a80ff (failed at resolve_persons)
    Call again with only the persons that were not deleted.
    Verify with persons-retrieve and the uuid: it reports `not found` once the person is deleted.
    ");
    assert_eq!(result.structured_content.unwrap()["status"], "failed");
}

#[tokio::test]
async fn data_of_missing_persons_is_not_reported_queued() {
    let session = approving().await;
    let nothing = json!({
        "persons_found": 0, "persons_deleted": 0, "persons_queued_for_deletion": 0,
        "events_queued_for_deletion": false, "recordings_queued_for_deletion": false, "deletion_errors": [],
    });
    inject_fault(&session, DELETE, FaultKind::json(202, &nothing));
    let arguments = json!({"ids": [QA[0]], "delete_events": true, "keep_person": true});
    let result = session.result(TOOL, arguments).await;
    assert!(!text(&result).starts_with("Queued"), "{}", text(&result));
}

#[tokio::test]
async fn failed_data_deletion_is_not_reported_partly_done() {
    let session = approving().await;
    session.sandbox.update_behaviors(|behaviors| {
        behaviors.deletion_fails_at = Some("queue_recording_deletion".to_owned())
    });
    let arguments = json!({"ids": [QA[0]], "delete_events": true, "keep_person": true});
    let result = session.result(TOOL, arguments).await;
    assert!(!text(&result).contains("partly"), "{}", text(&result));
    assert!(
        !text(&result).contains("deleted or queued"),
        "{}",
        text(&result)
    );
}

/// A 202 does not reveal a later failure; the suggested read does.
#[tokio::test]
async fn abandoned_queued_deletion_was_not_reported_done() {
    let session = approving().await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.queued_delete_fails = true);
    let result = session.call(TOOL, json!({"ids": [QA[0]]})).await;
    assert_eq!(result["status"], "queued");
    session.sandbox.advance(DELETION_DELAY);
    assert!(is_there(&session, QA[0]).await);
}
