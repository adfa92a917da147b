//! An export is always recorded where there is an audit log, and never with values.

use std::path::PathBuf;

use posthog_persons_mcp::audit::{AuditLog, ChainKey};
use posthog_sandbox::{Fault, FaultKind};
use serde_json::{Value, json};

use super::Folder;
use crate::{ADA, Session, Setup, connect_with};

/// A session with an audit log, and the path of the log.
async fn connect_with_log(folder: &Folder) -> (Session, PathBuf) {
    std::fs::create_dir_all(&folder.0).unwrap();
    let path = folder.0.join("audit.jsonl");
    let session = connect_with(Setup {
        audit: Some(AuditLog::open(&path, ChainKey::default()).unwrap()),
        ..Setup::default()
    });
    (session.await, path)
}

#[tokio::test]
async fn exports_have_lines_without_values() {
    let folder = Folder::new();
    let (session, path) = connect_with_log(&folder).await;
    session
        .call("persons-export", json!({"distinct_id": "ada@example.com"}))
        .await;
    let filter = json!([{"key": "company", "operator": "exact", "value": "Analytical Engines"}]);
    session
        .call(
            "persons-export",
            json!({"properties": filter, "select": ["email"]}),
        )
        .await;
    session.sandbox.inject(Fault::always(
        "activity",
        FaultKind::ServerError { status: 500 },
    ));
    session.error("persons-export", json!({"id": ADA})).await;
    let log = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let shown: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!([
                line["tool"],
                line["persons"],
                line["property_keys"],
                line["outcome"]
            ])
        })
        .collect();
    let line = |persons: Value, keys: Value, outcome: &str| {
        json!(["persons-export", persons, keys, outcome])
    };
    assert_eq!(
        shown,
        [
            line(json!([ADA]), json!([]), "started"),
            line(json!([ADA]), json!([]), "done"),
            line(json!([]), json!(["email", "company"]), "started"),
            line(json!([]), json!(["email", "company"]), "done"),
            line(json!([ADA]), json!([]), "started"),
            line(json!([ADA]), json!([]), "not done"),
        ]
    );
    assert!(
        !log.contains("Analytical") && !log.contains("ada@"),
        "{log}"
    );
}

/// Without its line nothing is read for an export.
#[cfg(unix)]
#[tokio::test]
async fn no_export_without_its_line() {
    let folder = Folder::new();
    let (session, path) = connect_with_log(&folder).await;
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let text = session.error("persons-export", json!({"id": ADA})).await;
    assert!(
        text.starts_with("The audit log cannot be written, and nothing is changed or exported"),
        "{text}"
    );
    assert_eq!(session.exports.names(), Vec::<String>::new());
    let requests = session.requests();
    assert!(
        requests.iter().all(|request| request.starts_with("GET B/")),
        "{requests:?}"
    );
}
