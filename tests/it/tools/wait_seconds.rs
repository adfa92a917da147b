//! Waiting for the effect of a write that PostHog applies later.

use std::time::Duration;

use futures::future::join;
use insta::assert_snapshot;
use posthog_persons_mcp::policy::Effect;
use posthog_persons_mcp::tools::{ToolDefinition, catalog};
use posthog_sandbox::FaultKind;
use serde_json::{Value, json};

use crate::result_invariants::example;
use crate::writing::{CHANGE_DELAY, DELETION_DELAY, QA, approving, inject_fault, writes};
use crate::{ADA, Session, text};

/// The tools whose writes PostHog applies later.
fn queueing_tools() -> impl Iterator<Item = ToolDefinition> {
    let tools = catalog()
        .into_iter()
        .filter(|tool| tool.effect != Effect::Read);
    tools.filter(|tool| {
        let status = &tool.output_schema()["properties"]["status"]["description"];
        status.as_str().unwrap().contains("queued")
    })
}

#[test]
fn every_queued_write_can_wait() {
    let tools: Vec<&str> = queueing_tools().map(|tool| tool.name).collect();
    assert!(tools.len() >= 5, "{tools:?}");
    for tool in queueing_tools() {
        assert!(
            tool.input_schema["properties"]["wait_seconds"].is_object(),
            "{}",
            tool.name
        );
    }
}

/// The result of a call whose effect comes while it waits.
async fn waiting(session: &Session, tool: &'static str, arguments: Value) -> (String, Value) {
    let applied = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        session.sandbox.advance(CHANGE_DELAY + DELETION_DELAY);
    };
    let (result, ()) = join(session.result(tool, arguments), applied).await;
    (text(&result), result.structured_content.unwrap())
}

#[tokio::test]
async fn a_write_that_takes_effect_is_reported_done() {
    for tool in queueing_tools() {
        let session = approving().await;
        let mut arguments = example(&tool);
        arguments["wait_seconds"] = json!(30);
        let (text, fields) = waiting(&session, tool.name, arguments).await;
        let status = fields["status"].as_str().unwrap();
        assert!(
            matches!(status, "done" | "deleted"),
            "{}: {text}",
            tool.name
        );
        assert_eq!(writes(&session).len(), 1, "{}", tool.name);
    }
}

#[tokio::test]
async fn results_are_one_line() {
    let session = approving().await;
    for (tool, arguments, shown) in [
        (
            "persons-property-set",
            json!({"id": ADA, "key": "plan", "value": 20.0, "wait_seconds": 30}),
            r#"Done: set plan of person ada0ada0-1815-4852-8000-000000000101. persons-retrieve, id ada0ada0-1815-4852-8000-000000000101 and select ["plan"] shows it."#,
        ),
        (
            "persons-property-delete",
            json!({"id": ADA, "unset": "plan", "wait_seconds": 30}),
            r#"Done: remove plan of person ada0ada0-1815-4852-8000-000000000101. persons-retrieve, id ada0ada0-1815-4852-8000-000000000101 and select ["plan"] shows it."#,
        ),
        (
            "persons-update",
            json!({"id": ADA, "properties": {"plan": "team"}, "wait_seconds": 30}),
            r#"Done: set plan of person ada0ada0-1815-4852-8000-000000000101. persons-retrieve, id ada0ada0-1815-4852-8000-000000000101 and select ["plan"] shows it."#,
        ),
    ] {
        let (text, _) = waiting(&session, tool, arguments).await;
        assert_eq!(text, format!("{shown}\n"));
    }
    let arguments = json!({"ids": [QA[0]], "delete_events": true, "wait_seconds": 30});
    let (text, fields) = waiting(&session, "persons-bulk-delete", arguments).await;
    assert_snapshot!(text, @r"
    Deleted: 1 person.
    persons-batch-retrieve no longer finds them.
    Verify the event deletion with persons-deletion-status-list and person_uuid, after the weekly batch.
    ");
    assert_eq!(fields["status"], "deleted");
}

#[tokio::test]
async fn a_write_without_effect_is_reported_queued() {
    let session = approving().await;
    for (tool, arguments) in [
        (
            "persons-property-set",
            json!({"id": ADA, "key": "plan", "value": "team", "wait_seconds": 1}),
        ),
        (
            "persons-update",
            json!({"ids": [ADA, QA[0]], "properties": {"plan": "team"}, "wait_seconds": 1}),
        ),
        (
            "persons-bulk-delete",
            json!({"ids": [QA[0]], "wait_seconds": 1}),
        ),
    ] {
        let result = session.result(tool, arguments).await;
        let text = text(&result);
        assert!(text.contains("ot done within wait_seconds"), "{text}");
        assert_eq!(result.structured_content.unwrap()["status"], "queued");
    }
}

/// A failed read while waiting neither undoes the write nor makes its outcome unknown.
#[tokio::test]
async fn a_failed_read_is_no_failure_of_the_write() {
    let session = approving().await;
    inject_fault(
        &session,
        &format!("GET B/{ADA}/"),
        FaultKind::ServerError { status: 500 },
    );
    let arguments = json!({"id": ADA, "key": "plan", "value": "team", "wait_seconds": 30});
    let (_, fields) = waiting(&session, "persons-property-set", arguments).await;
    assert_eq!(fields["status"], "done");
}
