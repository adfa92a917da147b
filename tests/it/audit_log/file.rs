//! When entries are written, and what the file keeps.

use super::support::*;
use crate::human::{Human, Reaction};
use crate::writing::{inject_fault, write_requests, writing_calls};
use crate::{ADA, Setup, connect_with};
use posthog_persons_mcp::audit::{AuditLog, ChainKey};
use posthog_sandbox::FaultKind;
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest};
use rmcp::service::PeerRequestOptions;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// The entry is on disk while the request is in flight.
#[tokio::test]
async fn entry_is_written_before_the_request() {
    let log = Log::new();
    let session = approving(&log).await;
    for (tool, arguments, request) in writing_calls().await {
        let before = log.writes().len();
        inject_fault(
            &session,
            &request,
            FaultKind::Delay(Duration::from_millis(300)),
        );
        let call = session.call(tool, arguments);
        let look = async {
            log.until(|lines| lines.len() > before).await;
            let line = log.writes()[before].clone();
            assert_eq!(line["tool"], tool);
            assert_eq!(line["outcome"], "started", "{tool}");
        };
        futures::future::join(call, look).await;
        assert_eq!(log.outcomes()[before], "queued", "{tool}");
    }
}

/// The request may have reached PostHog, so its outcome is still logged.
#[tokio::test]
async fn cancelled_call_completes_its_entry() {
    let log = Log::new();
    let session = approving(&log).await;
    let request = format!("PATCH B/{ADA}/");
    inject_fault(
        &session,
        &request,
        FaultKind::Delay(Duration::from_millis(200)),
    );
    let arguments = json!({"id": ADA, "properties": {"plan": "team"}});
    let call =
        CallToolRequestParams::new(UPDATE).with_arguments(arguments.as_object().unwrap().clone());
    let pending = session
        .client
        .send_cancellable_request(
            ClientRequest::CallToolRequest(CallToolRequest::new(call)),
            PeerRequestOptions::no_options(),
        )
        .await
        .unwrap();
    log.until(|lines| lines.len() == 1).await;
    assert_eq!(log.outcomes(), ["started"]);
    pending.cancel(Some("enough".to_owned())).await.unwrap();
    log.until(|lines| lines[0]["outcome"] != "started").await;
    assert_eq!(log.outcomes(), ["queued"]);
    assert_eq!(write_requests(&session).len(), 1);
}

#[tokio::test]
async fn concurrent_writes_have_whole_entries() {
    let log = Log::new();
    let (one, other) = (approving(&log).await, approving(&log).await);
    let calls = (0..60).map(|number| {
        let session = if number % 2 == 0 { &one } else { &other };
        let arguments = json!({"id": ADA, "properties": {format!("key {number}"): number}});
        session.call(UPDATE, arguments)
    });
    futures::future::join_all(calls).await;
    let mut keys: Vec<String> = log
        .writes()
        .iter()
        .map(|line| line["property_keys"][0].as_str().unwrap().to_owned())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 60);
    assert!(log.outcomes().iter().all(|outcome| outcome == "queued"));
}

#[tokio::test]
async fn existing_entries_stay() {
    let log = Log::new();
    for _ in 0..2 {
        approving(&log)
            .await
            .call(UPDATE, json!({"id": ADA, "properties": {"plan": 1}}))
            .await;
    }
    assert_eq!(log.outcomes(), ["queued", "queued"]);
}

/// Property keys are arbitrary text.
#[tokio::test]
async fn hostile_property_name_stays_in_its_entry() {
    let log = Log::new();
    let key = "plan\n{\"tool\": \"forged\"}\"\u{2028}\\";
    approving(&log)
        .await
        .call(UPDATE, json!({"id": ADA, "properties": {key: 1}}))
        .await;
    let lines = log.writes();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["property_keys"], json!([key]));
}

#[cfg(unix)]
#[tokio::test]
async fn log_file_is_private_to_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let log = Log::new();
    log.open();
    let mode = std::fs::metadata(&log.0).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// A full disk: without an entry no request is sent.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn write_without_entry_is_not_sent() {
    let session = connect_with(Setup {
        human: Human::answering_with(Reaction::Tick),
        audit: Some(AuditLog::open(Path::new("/dev/full"), ChainKey::default()).unwrap()),
        ..Setup::default()
    })
    .await;
    for (tool, arguments, _) in writing_calls().await {
        let error = session.error(tool, arguments).await;
        assert!(
            error.starts_with("The audit log cannot be written"),
            "{tool}: {error}"
        );
        assert!(error.contains("Nothing was sent"), "{tool}: {error}");
        assert_eq!(write_requests(&session), [], "{tool}");
    }
    // Reads have no entry.
    session.call("persons-retrieve", json!({"id": ADA})).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn error_about_the_log_has_no_gap() {
    let session = connect_with(Setup {
        audit: Some(AuditLog::open(Path::new("/dev/full"), ChainKey::default()).unwrap()),
        ..Setup::default()
    })
    .await;
    let arguments = json!({"id": ADA, "properties": {"plan": 1}});
    let error = session.error(UPDATE, arguments).await;
    assert!(!error.contains("  "), "{error}");
}
