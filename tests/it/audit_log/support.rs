//! A log file and sessions that write to it.

use crate::human::{Human, Reaction};
use crate::wire::TIMEOUT;
use crate::{Session, Setup, connect_with};
use posthog_persons_mcp::policy::Confirm;
use posthog_persons_mcp::server::audit::AuditLog;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{sleep, timeout};

pub(super) const UPDATE: &str = "persons-update";

pub(super) const DELETE: &str = "persons-bulk-delete";

/// A log file that is deleted with the test.
pub(super) struct Log(pub(super) PathBuf);

impl Log {
    pub(super) fn new() -> Self {
        let name = format!("audit-{}.jsonl", uuid::Uuid::new_v4());
        Self(std::env::temp_dir().join(name))
    }

    pub(super) fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap()
    }

    pub(super) fn lines(&self) -> Vec<Value> {
        let text = self.text();
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        text.lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }

    /// The outcomes, in the order of the lines.
    pub(super) fn outcomes(&self) -> Vec<String> {
        let lines = self.lines();
        let outcome = |line: &Value| line["outcome"].as_str().unwrap().to_owned();
        lines.iter().map(outcome).collect()
    }

    /// Waits until the outcomes are as expected.
    pub(super) async fn until(&self, so: impl Fn(&[Value]) -> bool) {
        let waiting = async {
            while !so(&self.lines()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = timeout(TIMEOUT, waiting).await.is_ok();
        assert!(reached, "{}", self.text());
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A session with an audit log and an approving user.
pub(super) async fn logged(log: &Log, human: Human, confirm: Confirm) -> Session {
    connect_with(Setup {
        human,
        confirm,
        audit: Some(AuditLog::open(&log.0).unwrap()),
        ..Setup::default()
    })
    .await
}

pub(super) async fn approving(log: &Log) -> Session {
    logged(log, Human::answering_with(Reaction::Tick), Confirm::Auto).await
}
