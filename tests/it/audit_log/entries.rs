//! What an entry contains.

use super::support::*;
use crate::human::{Human, Reaction};
use crate::writing::{GRACE, QA, confirmed, inject_fault, write_requests};
use crate::{ADA, NOBODY, Setup, connect_with};
use posthog_persons_mcp::policy::Confirm;
use posthog_sandbox::{Era, FaultKind, Sandbox};
use rmcp::ClientLifecycleMode;
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

/// `printf %s KEY | sha256sum | cut -c1-16`
const KEY_FINGERPRINT: &str = "198138ad1ca51ae3";

#[tokio::test]
async fn each_write_has_an_entry_without_values() {
    let log = Log::new();
    let session = approving(&log).await;
    let arguments =
        json!({"id": 101, "properties": {"email": "secret@example.com", "plan": "secret plan"}});
    session.call(UPDATE, arguments).await;
    let arguments =
        json!({"distinct_id": "ada@example.com", "key": "company", "value": {"secret": "value"}});
    session.call("persons-property-set", arguments).await;
    let arguments = json!({"id": ADA, "unset": ["plan", "seats"]});
    session.call("persons-property-delete", arguments).await;
    let arguments = json!({"distinct_id": "luigi@example.com"});
    session.call("persons-reset-distinct-id", arguments).await;
    let arguments = json!({"id": 102, "distinct_ids_to_split": ["katherine@example.com"]});
    session.call("persons-split", arguments).await;
    let arguments =
        json!({"distinct_ids": ["qa-1", "qa-2", "nobody@example.com"], "delete_events": true});
    session.call(DELETE, arguments).await;
    let arguments = json!({"ids": [ADA], "keep_person": true, "delete_events": true, "delete_recordings": true});
    session.call(DELETE, arguments).await;
    session
        .call("persons-merge", json!({"into": QA[2], "persons": [ADA]}))
        .await;

    let line = |tool: &str, persons: &[&str], keys: &[&str], confirmation: &str| {
        json!({
            "tool": tool,
            "host": session.sandbox.url(),
            "project": Sandbox::PROJECT,
            "key": KEY_FINGERPRINT,
            "persons": persons,
            "property_keys": keys,
            "confirmation": confirmation,
            "outcome": "queued",
        })
    };
    let deletion = |persons: &[&str], deletes: Value| {
        let mut line = line(DELETE, persons, &[], "elicitation");
        line["deletes"] = deletes;
        line
    };
    let mut lines = log.writes();
    for line in &mut lines {
        let fields = line.as_object_mut().unwrap();
        let time = fields.remove("time").unwrap();
        let time = time.as_str().unwrap();
        assert_eq!(time.len(), "2026-11-02T09:00:00.000Z".len(), "{time}");
        assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
        assert!(fields.remove("id").unwrap().is_string());
        assert_eq!(fields.remove("prev").unwrap().as_str().unwrap().len(), 64);
    }
    let none: &[&str] = &[];
    let mut merge = line("persons-merge", &[QA[2], ADA], none, "elicitation");
    merge["merged_into"] = json!(QA[2]);
    assert_eq!(
        lines,
        [
            line(UPDATE, &[ADA], &["email", "plan"], "not needed"),
            line("persons-property-set", &[ADA], &["company"], "not needed"),
            line(
                "persons-property-delete",
                &[ADA],
                &["plan", "seats"],
                "not needed"
            ),
            line("persons-reset-distinct-id", &[], none, "not needed"),
            line("persons-split", &[GRACE], none, "elicitation"),
            deletion(&[QA[0], QA[1]], json!(["profile", "events"])),
            deletion(&[ADA], json!(["events", "recordings"])),
            merge,
        ]
    );
    let text = log.text();
    for secret in ["secret", "@", "qa-1", Sandbox::KEY] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test]
async fn entry_has_the_confirmation_method() {
    let deletion = json!({"ids": [QA[0]]});
    let confirmation = |log: &Log| log.writes()[0]["confirmation"].clone();

    let log = Log::new();
    confirmed(
        &logged(&log, Human::default(), Confirm::Token).await,
        DELETE,
        deletion.clone(),
    )
    .await;
    assert_eq!(confirmation(&log), "token");

    let log = Log::new();
    logged(&log, Human::default(), Confirm::Off)
        .await
        .call(DELETE, deletion.clone())
        .await;
    assert_eq!(confirmation(&log), "off");

    let log = Log::new();
    let session = connect_with(Setup {
        human: Human::answering_with(Reaction::Tick),
        lifecycle: ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
        audit: Some(log.open()),
        ..Setup::default()
    })
    .await;
    session.call(DELETE, deletion).await;
    assert_eq!(confirmation(&log), "input required");
}

#[tokio::test]
async fn unsent_writes_have_no_entry() {
    let log = Log::new();
    let deletion = json!({"ids": [QA[0]]});
    for reaction in [
        Reaction::LeaveUnticked,
        Reaction::Decline,
        Reaction::Dismiss,
    ] {
        let session = logged(&log, Human::answering_with(reaction), Confirm::Auto).await;
        session.error(DELETE, deletion.clone()).await;
    }
    let strict = logged(&log, Human::default(), Confirm::Strict).await;
    strict.error(DELETE, deletion.clone()).await;

    let session = logged(&log, Human::default(), Confirm::Token).await;
    session.call("persons-retrieve", json!({"id": ADA})).await;
    session.call(DELETE, deletion.clone()).await;
    let mut forged = deletion.clone();
    forged["confirmation"] = json!("forged");
    session.error(DELETE, forged).await;
    let mut looked_at = deletion;
    looked_at["dry_run"] = json!(true);
    session.call(DELETE, looked_at).await;
    session.error(DELETE, json!({"ids": [NOBODY]})).await;
    session
        .error(UPDATE, json!({"id": ADA, "properties": {}}))
        .await;
    session
        .error(UPDATE, json!({"id": 999_999, "properties": {"plan": 1}}))
        .await;
    assert_eq!(log.text(), "");
    assert_eq!(write_requests(&session), []);
}

/// One entry per write, for every outcome.
#[tokio::test]
async fn entry_has_the_outcome() {
    let log = Log::new();
    let mut setup = Setup {
        human: Human::answering_with(Reaction::Tick),
        audit: Some(log.open()),
        ..Setup::default()
    };
    setup.sandbox.era = Era::June2026;
    let session = connect_with(setup).await;
    let update = json!({"id": ADA, "properties": {"plan": "team"}});
    let patch = format!("PATCH B/{ADA}/");
    let mut expected = Vec::new();

    session.call(UPDATE, update.clone()).await;
    expected.push("queued");
    for (what, outcome) in [
        (FaultKind::ServerError { status: 502 }, "unknown"),
        (FaultKind::DropAfterEffect, "unknown"),
        (FaultKind::Throttle { retry_after: 57 }, "not done"),
        (
            FaultKind::json(
                400,
                &json!({"type": "validation_error", "code": "invalid_input", "detail": "No.", "attr": null}),
            ),
            "not done",
        ),
        (
            FaultKind::json(
                404,
                &json!({"type": "invalid_request", "code": "not_found", "detail": "Not found.", "attr": null}),
            ),
            "not done",
        ),
    ] {
        inject_fault(&session, &patch, what);
        session.error(UPDATE, update.clone()).await;
        expected.push(outcome);
    }
    session.call(DELETE, json!({"ids": [QA[0]]})).await;
    expected.push("done");
    session.sandbox.update_behaviors(|behaviors| {
        behaviors.deletion_fails_at = Some("delete_postgres".to_owned())
    });
    session.call(DELETE, json!({"ids": [QA[1], QA[2]]})).await;
    expected.push("partly done");
    session.call(DELETE, json!({"ids": [QA[1]]})).await;
    expected.push("not done");
    inject_fault(&session, "POST B/bulk_delete/", FaultKind::DropBeforeEffect);
    session.error(DELETE, json!({"ids": [QA[1]]})).await;
    expected.push("unknown");

    let rejection =
        json!({"type": "validation_error", "code": "invalid_input", "detail": "No.", "attr": null});
    inject_fault(
        &session,
        "/delete_property/",
        FaultKind::json(400, &rejection),
    );
    let some = json!({"id": ADA, "unset": ["plan", "seats"]});
    session.call("persons-property-delete", some).await;
    expected.push("partly done");
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.capture_down = true);
    session
        .error(
            "persons-property-delete",
            json!({"id": ADA, "unset": "plan"}),
        )
        .await;
    expected.push("not done");

    assert_eq!(log.outcomes(), expected);
    // Two lines for each.
    assert_eq!(log.lines().len(), 2 * expected.len());
}

#[tokio::test]
async fn verified_split_is_logged_as_done() {
    let log = Log::new();
    let session = approving(&log).await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.split_task_lost = true);
    let arguments =
        json!({"id": GRACE, "distinct_ids_to_split": ["katherine@example.com"], "wait_seconds": 1});
    session.call("persons-split", arguments.clone()).await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.split_task_lost = false);
    let moved = json!({"results": {"katherine@example.com": {
        "id": 1001, "uuid": "cb6afac3-9b8e-52f6-90cd-885fdcc94639", "name": "", "distinct_ids": ["katherine@example.com"], "properties": {},
    }}});
    inject_fault(
        &session,
        "POST B/batch_by_distinct_ids/",
        FaultKind::json(200, &moved),
    );
    session.call("persons-split", arguments).await;
    assert_eq!(log.outcomes(), ["queued", "done"]);
}
