//! A deletion deletes what its arguments say, and its result says what PostHog reports.

use posthog_sandbox::{Era, Fault, FaultKind};
use serde_json::{Value, json};

use super::support::{GRACE, on, properties, writes};
use crate::ADA;

#[tokio::test]
async fn deletion_options_that_posthog_ignores_are_refused() {
    let session = on(Era::August2025).await;
    for (option, consequence) in [
        ("keep_person", "it would delete the persons"),
        ("delete_recordings", "the recordings would stay"),
    ] {
        let mut arguments = json!({"ids": [ADA], "delete_events": true});
        arguments[option] = true.into();
        for dry_run in [true, false] {
            arguments["dry_run"] = dry_run.into();
            let error = session
                .error("persons-bulk-delete", arguments.clone())
                .await;
            assert!(error.contains(consequence), "{error}");
            assert!(error.contains("older than December 2025"), "{error}");
        }
    }
    assert_eq!(writes(&session), Vec::<String>::new());
    assert!(properties(&session, ADA).await["email"].is_string());
}

#[tokio::test]
async fn deletion_accepted_without_a_body_is_queued() {
    let session = on(Era::August2025).await;
    let deletion = session
        .call("persons-bulk-delete", json!({"ids": [ADA]}))
        .await;
    assert_eq!(deletion["status"], "queued");
    let error = session.error("persons-retrieve", json!({"id": ADA})).await;
    assert!(error.contains(ADA), "{error}");
}

/// What PostHog responds to the deletion of two persons.
async fn deletion_answered(status: u16, body: &Value) -> Value {
    let session = on(Era::September2026).await;
    let fault = FaultKind::json(status, body);
    session.sandbox.inject(Fault::once("bulk_delete", fault));
    let arguments = json!({"ids": [ADA, GRACE]});
    session.call("persons-bulk-delete", arguments).await
}

fn summary(queued: u64, errors: &Value) -> Value {
    json!({
        "persons_found": 2, "persons_deleted": 0, "persons_queued_for_deletion": queued,
        "events_queued_for_deletion": false, "recordings_queued_for_deletion": false, "deletion_errors": errors,
    })
}

#[tokio::test]
async fn failed_step_without_a_person_is_not_a_failed_person() {
    let errors =
        json!([{"step": "queue_training_deletion"}, {"person_uuid": null, "step": "other"}]);
    let session = on(Era::September2026).await;
    let fault = FaultKind::json(202, &summary(2, &errors));
    session.sandbox.inject(Fault::once("bulk_delete", fault));
    let text = session
        .text("persons-bulk-delete", json!({"ids": [ADA, GRACE]}))
        .await;
    let steps = [
        "A step failed, and PostHog does not say for which person (failed at queue_training_deletion)",
        "A step failed, and PostHog does not say for which person (failed at other)",
    ];
    assert!(steps.iter().all(|step| text.contains(step)), "{text}");
    assert!(!text.contains("NOT deleted"), "{text}");
    assert!(
        !text.contains("only the persons that were not deleted"),
        "{text}"
    );
}

/// Newer versions respond to a deletion that failed for some persons with the summary and the status of a failure.
#[tokio::test]
async fn summary_of_a_failed_deletion_is_read() {
    let errors = json!([{"person_uuid": GRACE, "step": "delete_person"}]);
    for status in [500, 503] {
        let deletion = deletion_answered(status, &summary(1, &errors)).await;
        assert_eq!(deletion["status"], "partly", "{deletion}");
        let failed = &deletion["result"]["deletion_errors"];
        assert_eq!(failed, &errors, "{deletion}");
        let deletion = deletion_answered(status, &summary(1, &json!([]))).await;
        assert_eq!(deletion["status"], "partly", "{deletion}");
        let deletion = deletion_answered(status, &summary(0, &errors)).await;
        assert_eq!(deletion["status"], "failed", "{deletion}");
    }
}
