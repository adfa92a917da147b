//! Every recorded response of PostHog is read: a success as a result, a failure as what it is.

use std::fs;
use std::path::Path;

use posthog_persons_mcp::policy::Confirm;
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};

use super::support::GRACE;
use crate::{ADA, Session, Setup, connect_with, text};

/// The tool that sends such a request, its arguments, and a part of the path.
type Call = (&'static str, Value, &'static str);

fn call(pair: &Value) -> Option<Call> {
    let request = &pair["request"];
    let path = request["path"].as_str()?;
    let (_, rest) = path.split_once("/api/projects/1/persons")?;
    let returns_csv = pair["response"]["headers"]["content-type"]
        .as_str()
        .is_some_and(|kind| kind.starts_with("text/csv"));
    let is_csv = returns_csv || request["query"]["format"] == "csv";
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    let write = json!({"id": ADA, "properties": {"a": 1}});
    let funnel = json!({"events": [{"id": "a"}, {"id": "b"}], "funnel_step": 1});
    let trend = json!({"entity_id": "a"});
    let at_time = json!({"person_id": ADA, "timestamp": "2026-06-01"});
    let lifecycle = json!({"target_date": "2026-10-28", "lifecycle_type": "new"});
    let split = json!({"id": GRACE, "distinct_ids_to_split": ["katherine-laptop"]});
    Some(match (request["method"].as_str()?, parts.as_slice()) {
        ("GET", [] | [".csv"]) if is_csv => ("persons-list", json!({"format": "csv"}), "persons/"),
        ("GET", []) => ("persons-list", json!({}), "persons/"),
        ("GET", ["values"]) => ("persons-values-retrieve", json!({"key": "a"}), "values"),
        ("GET", ["cohorts"]) => (
            "persons-cohorts-retrieve",
            json!({"person_id": ADA}),
            "cohorts",
        ),
        ("GET", ["activity"]) => ("persons-activity-retrieve", json!({}), "activity"),
        ("GET", ["deletion_status"]) => {
            ("persons-deletion-status-list", json!({}), "deletion_status")
        }
        ("GET", ["properties_at_time"]) => (
            "persons-properties-at-time-retrieve",
            at_time,
            "properties_at_time",
        ),
        ("GET" | "POST", ["funnel"]) => ("persons-funnel", funnel, "funnel"),
        ("GET", ["trends"]) => ("persons-trends", trend, "trends"),
        ("GET", ["lifecycle"]) => ("persons-lifecycle", lifecycle, "lifecycle"),
        ("POST", ["batch_by_distinct_ids"]) => (
            "persons-batch-retrieve",
            json!({"distinct_ids": ["a"]}),
            "batch_by_distinct_ids",
        ),
        ("POST", ["batch_by_uuids"]) => (
            "persons-batch-retrieve",
            json!({"uuids": [ADA]}),
            "batch_by_uuids",
        ),
        ("POST", ["bulk_delete"]) => ("persons-bulk-delete", json!({"ids": [ADA]}), "bulk_delete"),
        ("POST", ["reset_person_distinct_id"]) => (
            "persons-reset-distinct-id",
            json!({"distinct_id": "a"}),
            "reset_person",
        ),
        ("GET", [_]) if !is_csv => ("persons-retrieve", json!({"id": ADA}), "persons/"),
        ("PATCH", [_]) => ("persons-update", write, "PATCH"),
        ("GET", [_, "activity"]) => ("persons-activity-retrieve", json!({"id": ADA}), "activity"),
        ("GET", [_, "properties_timeline"]) => (
            "persons-properties-timeline-retrieve",
            json!({"id": ADA}),
            "properties_timeline",
        ),
        ("POST", [_, "update_property"]) => (
            "persons-property-set",
            json!({"id": ADA, "key": "a", "value": 1}),
            "update_property",
        ),
        ("POST", [_, "delete_property"]) => (
            "persons-property-delete",
            json!({"id": ADA, "unset": "plan"}),
            "delete_property",
        ),
        ("POST", [_, "split"]) => ("persons-split", split, "split"),
        _ => return None,
    })
}

fn recorded(response: &Value) -> FaultKind {
    let headers = response["headers"].as_object().unwrap();
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    FaultKind::Response {
        status: u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
        content_type: header("content-type").to_owned(),
        body: match &response["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            body => body.to_string(),
        },
        headers: vec![("retry-after".to_owned(), header("retry-after").to_owned())],
    }
}

async fn session() -> Session {
    connect_with(Setup {
        key: Sandbox::LEGACY_KEY,
        confirm: Some(Confirm::Off),
        ..Setup::default()
    })
    .await
}

async fn check(recording: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("crates/posthog-sandbox/tests/recordings")
        .join(recording);
    let recording: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let session = session().await;
    let no_queries = FaultKind::json(
        404,
        &json!({"type": "invalid_request", "code": "not_found", "detail": "Endpoint not found.", "attr": null}),
    );
    let (mut read, mut wrong) = (0, Vec::new());
    for pair in recording["pairs"].as_array().unwrap() {
        let Some((tool, arguments, path)) = call(pair) else {
            continue;
        };
        let status = pair["response"]["status"].as_u64().unwrap();
        let fault = recorded(&pair["response"]);
        session.sandbox.clear_faults();
        // Insights and the timeline are read by queries, unless PostHog does not have them.
        session
            .sandbox
            .inject(Fault::always("/query/", no_queries.clone()));
        session.sandbox.inject(Fault::once(path, fault));
        let result = session.result(tool, arguments).await;
        let said = text(&result);
        let failed = result.is_error == Some(true);
        // Batches fall back to single reads where PostHog does not have them.
        let is_right = failed == (status >= 400)
            || said.contains("No such person")
            || tool == "persons-batch-retrieve";
        if !is_right
            || said.contains("response is invalid")
            || said.contains("response was invalid")
        {
            wrong.push(format!("{} ({status}): {said}", pair["id"]));
        }
        read += 1;
    }
    assert!(read > 300, "{read}");
    assert!(
        wrong.is_empty(),
        "{}\n{} of {read}",
        wrong.join("\n"),
        wrong.len()
    );
}

#[tokio::test]
async fn responses_of_august_2025_are_read() {
    check("2025-08.json").await;
}

#[tokio::test]
async fn responses_of_june_2026_are_read() {
    check("2026-06.json").await;
}
