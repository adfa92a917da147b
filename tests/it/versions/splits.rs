//! A split does what its arguments say, or is not sent.

use std::time::Duration;

use posthog_sandbox::{Clock, Era};
use serde_json::json;

use super::support::{GRACE, of, on, properties, writes};
use crate::{Setup, connect_with};

#[tokio::test]
async fn partial_split_is_refused_where_posthog_would_strip_the_person() {
    for arguments in [
        json!({"id": GRACE, "distinct_ids_to_split": ["katherine-laptop"]}),
        json!({"id": GRACE, "distinct_ids_prefix": "katherine-"}),
    ] {
        let session = on(Era::August2025).await;
        let error = session.error("persons-split", arguments.clone()).await;
        assert!(error.contains("older than June 2026"), "{error}");
        assert!(error.contains("Nothing was sent."), "{error}");
        assert!(error.contains("`main_distinct_id`"), "{error}");
        assert_eq!(writes(&session), Vec::<String>::new());
        for era in [Era::June2026, Era::September2026] {
            let session = on(era).await;
            session.call("persons-split", arguments.clone()).await;
            assert_eq!(writes(&session).len(), 1);
        }
    }
}

#[tokio::test]
async fn split_by_main_distinct_id_keeps_the_properties_on_every_version() {
    for era in Era::ALL {
        let session = on(era).await;
        let before = properties(&session, GRACE).await;
        let arguments = json!({
            "id": GRACE, "main_distinct_id": "grace@example.com", "allow_creator_id": true, "wait_seconds": 1,
        });
        let split = session.call("persons-split", arguments).await;
        let notes = split["notes"].as_array().map_or(0, Vec::len);
        assert_eq!(notes == 0, split["status"] == "done", "{split}");
        session.sandbox.advance(std::time::Duration::from_secs(60));
        let person = session
            .call("persons-retrieve", json!({"id": GRACE, "select": ["*"]}))
            .await;
        assert_eq!(
            person["distinct_ids"],
            json!(["grace@example.com"]),
            "{era:?}"
        );
        assert_eq!(person["properties"], before, "{era:?}");
    }
}

#[tokio::test]
async fn split_that_takes_more_than_planned_is_reported() {
    let split = |wait_seconds: u32| async move {
        let mut setup = Setup {
            assume_current: true,
            retry_pause: Duration::from_millis(500),
            ..of(Era::August2025)
        };
        setup.sandbox.clock = Clock::Real;
        let session = connect_with(setup).await;
        let arguments = json!({
            "id": GRACE, "distinct_ids_to_split": ["katherine-laptop"], "wait_seconds": wait_seconds,
        });
        session.call("persons-split", arguments).await
    };
    // The person is compared after the split, also if the call does not wait.
    let (waited, at_once) = tokio::join!(split(20), split(0));
    for split in [waited, at_once] {
        assert_eq!(split["status"], "partly");
        let note = split["notes"][0].as_str().unwrap();
        assert!(
            note.starts_with("PostHog took more from the person than planned."),
            "{note}"
        );
        assert!(note.contains("katherine@example.com"), "{note}");
        assert!(note.contains("Properties that are gone: "), "{note}");
    }
}

#[tokio::test]
async fn split_that_is_not_applied_yet_is_not_called_as_planned() {
    let session = on(Era::September2026).await;
    let arguments = json!({"id": GRACE, "distinct_ids_to_split": ["katherine-laptop"]});
    let split = session.call("persons-split", arguments).await;
    assert_eq!(split["status"], "queued");
    let notes = split["notes"].to_string();
    assert!(
        notes.contains("could not be compared with the plan yet"),
        "{notes}"
    );
}
