//! `persons-deletion-status-list` with `person_uuids`.

use std::time::Duration;

use insta::assert_snapshot;
use posthog_sandbox::Sandbox;
use serde_json::{Map, json};

use crate::writing::{DELETION_DELAY, QA, approving, approving_with};
use crate::{ADA, NOBODY, connect, connect_as, connect_with};

const TOOL: &str = "persons-deletion-status-list";
const WEEK: Duration = Duration::from_secs(8 * 24 * 3600);

#[tokio::test]
async fn erasure_is_shown_from_there_to_gone() {
    let session = approving().await;
    let persons = json!({"person_uuids": [ADA, QA[0], NOBODY]});
    assert_snapshot!(session.text(TOOL, persons.clone()).await, @r"
    3 persons: profile gone 1, there 2; events none 1, there 2; recordings cannot be verified.
    1 person: profile gone; events none
      6ba7b810-9dad-41d1-80b4-00c04fd430c8
    1 person: profile there; events there (1), no deletion of them is queued
      326043c7-9577-586f-b399-8da3ff6a80ff
    1 person: profile there; events there (8), no deletion of them is queued
      ada0ada0-1815-4852-8000-000000000101
    PostHog does not report whether recordings are deleted.
    ");
    let deletion = json!({"ids": [ADA, QA[0]], "delete_events": true, "delete_recordings": true});
    session.call("persons-bulk-delete", deletion).await;
    session.sandbox.advance(DELETION_DELAY);
    assert_snapshot!(session.text(TOOL, persons.clone()).await, @r"
    3 persons: profile gone 3; events none 1, pending 2; recordings cannot be verified.
    2 persons: profile gone; events pending since 2026-11-02T09:00:00Z
      ada0ada0-1815-4852-8000-000000000101, 326043c7-9577-586f-b399-8da3ff6a80ff
    1 person: profile gone; events none
      6ba7b810-9dad-41d1-80b4-00c04fd430c8
    PostHog deletes events in a weekly batch, at weekends; call again afterwards.
    PostHog does not report whether recordings are deleted.
    ");
    session.sandbox.advance(WEEK);
    session.sandbox.capture("qa-1", "$pageview", Map::new());
    assert_snapshot!(session.text(TOOL, persons).await, @r"
    3 persons: profile came back 1, gone 2; events none 1, verified gone 1, verified gone but for newer ones 1; recordings cannot be verified.
    1 person: profile came back at 2026-11-10T09:01:00Z; events verified gone at 2026-11-08T05:00:00Z, 1 sent since the deletion
      326043c7-9577-586f-b399-8da3ff6a80ff
    1 person: profile gone; events none
      6ba7b810-9dad-41d1-80b4-00c04fd430c8
    1 person: profile gone; events verified gone at 2026-11-08T05:00:00Z
      ada0ada0-1815-4852-8000-000000000101
    A person comes back when one of its distinct ids sends events again; erase it again only if that is wanted.
    PostHog does not report whether recordings are deleted.
    ");
}

#[tokio::test]
async fn without_queries_the_absence_of_a_row_proves_nothing() {
    let session = connect_as(Sandbox::READ_KEY).await;
    let text = session
        .text(TOOL, json!({"person_uuids": [ADA, NOBODY]}))
        .await;
    assert!(
        text.starts_with("2 persons: profile gone 1, there 1; events cannot be known 2; recordings cannot be verified."),
        "{text}"
    );
    assert!(text.contains("query:read"), "{text}");
}

/// In few requests, and each person is named or one of the others.
#[tokio::test]
async fn thousand_persons_fit_into_a_result() {
    let session = approving_with(|setup| setup.sandbox.persons = 1100).await;
    let list = session
        .call(
            "persons-list",
            json!({"limit": 1000, "offset": 60, "select": []}),
        )
        .await;
    let uuids = crate::column(&list, "uuid");
    let mut uuids: Vec<String> = uuids.iter().map(|uuid| (*uuid).to_owned()).collect();
    for number in uuids.len()..1000 {
        uuids.push(uuid::Uuid::from_u128(number as u128).to_string());
    }
    let deletion = json!({"ids": uuids[..300], "delete_events": true});
    session.call("persons-bulk-delete", deletion).await;
    session.sandbox.advance(DELETION_DELAY);
    session.requests();
    let text = session.text(TOOL, json!({"person_uuids": uuids})).await;
    assert!(session.requests().len() <= 8);
    assert!(uuids.iter().all(|uuid| text.contains(uuid)), "{text}");
    let small = connect_with(crate::Setup::default().budget(20_000)).await;
    let text = small.text(TOOL, json!({"person_uuids": uuids})).await;
    assert!(text.starts_with("1000 persons: "), "{text}");
    assert!(text.contains("  the other persons of the call\n"), "{text}");
}

#[tokio::test]
async fn invalid_lists_make_no_request() {
    let session = connect().await;
    let many: Vec<String> = (0..1001)
        .map(|number| uuid::Uuid::from_u128(number).to_string())
        .collect();
    for (arguments, expected) in [
        (
            json!({"person_uuids": [NOBODY], "status": "pending"}),
            "Give `person_uuids` without",
        ),
        (
            json!({"person_uuids": many}),
            "1001 persons are too many; at most 1000",
        ),
    ] {
        let error = session.error(TOOL, arguments).await;
        assert!(error.contains(expected), "{error}");
    }
    assert!(session.requests().is_empty());
    let small = connect_with(crate::Setup::default().budget(4000)).await;
    small
        .text(TOOL, json!({"person_uuids": many[..1000]}))
        .await;
}
