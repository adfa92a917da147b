//! The ids that are deleted, and the request.

use super::support::*;
use crate::writing::{
    DELETION_DELAY, GRACE, QA, approving, approving_with, elicitations, owner, write_requests,
};
use crate::{ADA, NOBODY, text};
use insta::assert_snapshot;
use posthog_sandbox::{Era, Sandbox};
use serde_json::json;

#[tokio::test]
async fn sends_one_request_and_reports_it_queued() {
    let session = approving().await;
    let result = session.result(TOOL, json!({"ids": [QA[0], QA[1]]})).await;
    assert_eq!(session.bodies()[4], body(&QA[..2], false, false, false));
    // Read again after the confirmation, which may have taken a while.
    let earlier = "GET B/deletion_status/?limit=1000&offset=0";
    assert_eq!(
        session.requests(),
        [BY_UUIDS, earlier, BY_UUIDS, earlier, DELETE]
    );
    assert_snapshot!(elicitations(&session).join("\n---\n"), @r#"
    Delete 2 persons for good?
    "qa-1@example.org", "qa-2@example.org"
    All distinct ids and properties go. Events and recordings stay.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    - 326043c7-9577-586f-b399-8da3ff6a80ff
      "qa-1@example.org"
      1 distinct id: "qa-1"
      created 2026-10-15, last seen 2026-10-30
    - ed47334a-cd8e-5e37-81bc-f5dfe37497da
      "qa-2@example.org"
      1 distinct id: "qa-2"
      created 2026-10-15
    "#);
    assert_snapshot!(text(&result), @r"
    Queued, not done yet: deletion of 2 persons. PostHog completes it within minutes.
    Verify with persons-retrieve and the uuid: it reports `not found` once the person is deleted.
    ");
    assert_eq!(
        result.structured_content.unwrap(),
        json!({
            "status": "queued",
            "project": Sandbox::PROJECT,
            "persons": [
                {"uuid": QA[0], "name": "qa-1@example.org", "email": "qa-1@example.org", "distinct_ids": ["qa-1"],
                 "distinct_id_count": 1, "created_at": "2026-10-15T08:00:00Z", "last_seen_at": "2026-10-30T08:00:00Z"},
                {"uuid": QA[1], "name": "qa-2@example.org", "email": "qa-2@example.org", "distinct_ids": ["qa-2"],
                 "distinct_id_count": 1, "created_at": "2026-10-15T08:00:00Z"},
            ],
            "person_count": 2,
            "not_found_count": 0,
            "delete_events": false,
            "delete_recordings": false,
            "keep_person": false,
            "result": {
                "persons_found": 2,
                "persons_deleted": 0,
                "persons_queued_for_deletion": 2,
                "events_queued_for_deletion": false,
                "recordings_queued_for_deletion": false,
            },
            "notes": ["Verify with persons-retrieve and the uuid: it reports `not found` once the person is deleted."],
        })
    );
}

#[tokio::test]
async fn only_previewed_persons_are_deleted() {
    let session = approving().await;
    session.call(TOOL, json!({"ids": [QA[0], QA[1]]})).await;
    assert!(is_there(&session, QA[0]).await, "queued, not done");
    session.sandbox.advance(DELETION_DELAY);
    for (id, there) in [(QA[0], false), (QA[1], false), (QA[2], true), (ADA, true)] {
        assert_eq!(is_there(&session, id).await, there, "{id}");
    }
}

#[tokio::test]
async fn immediate_deletion_is_reported_as_deleted() {
    let session = approving_with(|setup| setup.sandbox.era = Era::June2026).await;
    let result = session.result(TOOL, json!({"ids": [QA[0], QA[1]]})).await;
    assert_snapshot!(text(&result), @r"
    Deleted: 2 persons.
    Verify with persons-retrieve and the uuid: it reports `not found` once the person is deleted.
    ");
    let facts = result.structured_content.unwrap();
    assert_eq!(facts["status"], "deleted");
    assert_eq!(facts["result"]["persons_deleted"], 2);
    assert!(!is_there(&session, QA[0]).await);
}

/// A distinct id that moves to another person after the preview must not delete that person.
#[tokio::test]
async fn distinct_ids_are_sent_as_previewed_uuids() {
    let session = approving().await;
    let ids = json!([
        "katherine@example.com",
        "grace@example.com",
        "qa-1",
        "qa-1",
        "nobody@example.com"
    ]);
    let result = session.call(TOOL, json!({"distinct_ids": ids})).await;
    let sent = write_requests(&session);
    assert_eq!(
        sent,
        [(
            DELETE.to_owned(),
            body(&[GRACE, QA[0]], false, false, false)
        )]
    );
    assert_snapshot!(elicitations(&session).join("\n---\n"), @r#"
    Delete 2 persons for good?
    "grace@example.com", "qa-1@example.org"
    All distinct ids and properties go. Events and recordings stay.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    - 707be5a0-b120-5ae0-b57a-f77976f29c41
      "grace@example.com"
      4 distinct ids:
        "grace@example.com"
        "katherine@example.com"
        "katherine-laptop"
        and 1 more
      created 2026-04-10, last seen 2026-10-31
      given as "katherine@example.com", "grace@example.com"
    - 326043c7-9577-586f-b399-8da3ff6a80ff
      "qa-1@example.org"
      1 distinct id: "qa-1"
      created 2026-10-15, last seen 2026-10-30
      given as "qa-1"
    Ids of nobody (1): "nobody@example.com"
    "#);
    assert_eq!(result["person_count"], 2);
    assert_eq!(result["not_found"], json!(["nobody@example.com"]));
    assert_eq!(result["not_found_count"], 1);
    session.sandbox.advance(DELETION_DELAY);
    // The whole merged person is deleted.
    assert_eq!(owner(&session, "katherine-laptop").await, None);
}

#[tokio::test]
async fn duplicate_ids_count_once_in_any_spelling() {
    let session = approving().await;
    let result = session
        .call(TOOL, json!({"ids": [QA[0], QA[0].to_uppercase(), QA[0]]}))
        .await;
    assert_eq!(
        write_requests(&session),
        [(DELETE.to_owned(), body(&QA[..1], false, false, false))]
    );
    assert_eq!(result["person_count"], 1);
    // 1001 ids with few distinct values are within the limit.
    let many = vec!["qa-2"; 1001];
    let result = session
        .call(TOOL, json!({"distinct_ids": many, "dry_run": true}))
        .await;
    assert_eq!(result["person_count"], 1);
}

#[tokio::test]
async fn uuid_shaped_distinct_id_resolves_to_its_owner() {
    let session = approving().await;
    let result = session
        .call(TOOL, json!({"distinct_ids": [ADA], "dry_run": true}))
        .await;
    assert_eq!(result["persons"][0]["name"], "wheatstone@example.com");
    let result = session
        .call(TOOL, json!({"ids": [ADA], "dry_run": true}))
        .await;
    assert_eq!(result["persons"][0]["name"], "ada@example.com");
}

#[tokio::test]
async fn unknown_ids_send_nothing() {
    let session = approving().await;
    assert_snapshot!(session.error(TOOL, json!({"ids": [NOBODY]})).await, @"None of the 1 ids belongs to a person in this project. Nothing was sent. Find the persons with persons-list.");
    assert_eq!(session.requests(), [BY_UUIDS]);
    session
        .error(TOOL, json!({"distinct_ids": ["nobody", "no one"]}))
        .await;
    assert_eq!(session.requests(), [BY_DISTINCT_IDS]);
    assert_eq!(elicitations(&session), Vec::<String>::new());
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = approving().await;
    let uuids: Vec<String> = (0..1001)
        .map(|number| format!("00000000-0000-4000-8000-{number:012}"))
        .collect();
    let distinct_ids: Vec<String> = (0..1001).map(|number| format!("user-{number}")).collect();
    for arguments in [
        json!({}),
        json!({"delete_events": true}),
        json!({"ids": null}),
        json!({"ids": [], "distinct_ids": []}),
        json!({"ids": []}),
        json!({"distinct_ids": []}),
        json!({"ids": [QA[0]], "distinct_ids": ["qa-1"]}),
        json!({"ids": [121]}),
        json!({"ids": ["121"]}),
        json!({"ids": ["qa-1"]}),
        json!({"ids": [QA[0].replace('-', "")]}),
        json!({"distinct_ids": [""]}),
        json!({"ids": uuids}),
        json!({"distinct_ids": distinct_ids}),
        json!({"ids": [QA[0]], "keep_person": true}),
        json!({"ids": [QA[0]], "keep_person": true, "delete_events": false}),
        json!({"ids": [QA[0]], "delete_events": "no"}),
        json!({"ids": [QA[0]], "confirm": false}),
        json!({"ids": [QA[0]], "dryrun": true}),
    ] {
        session.error(TOOL, arguments.clone()).await;
        assert_eq!(session.requests(), Vec::<String>::new(), "{arguments}");
    }
    assert_eq!(elicitations(&session), Vec::<String>::new());
    assert_snapshot!(session.error(TOOL, json!({})).await, @"Give exactly one of `ids` (person UUIDs) and `distinct_ids`. Nothing was sent.");
    assert_snapshot!(session.error(TOOL, json!({"ids": uuids})).await, @"1001 ids are too many; at most 1000 are allowed per call, so that the user can review them. Nothing was sent.");
    let kept = json!({"ids": [QA[0]], "keep_person": true});
    assert_snapshot!(session.error(TOOL, kept).await, @"`keep_person` without `delete_events` or `delete_recordings` deletes nothing. Nothing was sent.");
}

/// PostHog treats the text "false" as true, so flags must be booleans.
#[tokio::test]
async fn flags_are_sent_as_booleans() {
    let session = approving().await;
    let arguments = json!({"ids": [QA[0]], "delete_events": "false", "delete_recordings": "true", "keep_person": "false"});
    session.call(TOOL, arguments).await;
    assert_eq!(
        write_requests(&session),
        [(DELETE.to_owned(), body(&QA[..1], false, true, false))]
    );
}

#[tokio::test]
async fn dry_run_previews_without_confirmation() {
    let session = approving().await;
    let arguments = json!({"ids": [QA[0], GRACE, NOBODY], "delete_events": true, "dry_run": true});
    let result = session.result(TOOL, arguments).await;
    assert_eq!(
        session.requests(),
        [BY_UUIDS, "GET B/deletion_status/?limit=1000&offset=0"]
    );
    assert_eq!(elicitations(&session), Vec::<String>::new());
    assert_snapshot!(text(&result).replace(&session.sandbox.url(), "http://sandbox"), @r"
    Nothing was sent. A call without dry_run would delete these persons, in project 1 at http://sandbox:
    uuid	name	distinct_ids	created_at	last_seen_at
    326043c7-9577-586f-b399-8da3ff6a80ff	qa-1@example.org	qa-1	2026-10-15T08:00:00Z	2026-10-30T08:00:00Z
    707be5a0-b120-5ae0-b57a-f77976f29c41	grace@example.com	grace@example.com, katherine@example.com, katherine-laptop, … (4 in all)	2026-04-10T08:30:00Z	2026-10-31T07:30:00Z
    Each person is deleted entirely, with all properties and all distinct ids, including those not listed here. Also deleted: their events (in PostHog's weekly batch). Recordings stay.
    Ids of nobody (1): 6ba7b810-9dad-41d1-80b4-00c04fd430c8
    ");
    let facts = result.structured_content.unwrap();
    assert_eq!(facts["status"], "dry_run");
    assert_eq!(facts["not_found"], json!([NOBODY]));
    assert_eq!(facts.get("result"), None);
}
