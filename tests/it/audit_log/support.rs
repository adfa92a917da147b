//! A log file and sessions that write to it.

use crate::human::{Human, Reaction};
use crate::wire::TIMEOUT;
use crate::{Session, Setup, connect_with};
use posthog_persons_mcp::audit::{AuditLog, ChainKey};
use posthog_persons_mcp::policy::Confirm;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{sleep, timeout};

pub(super) const UPDATE: &str = "persons-update";

pub(super) const DELETE: &str = "persons-bulk-delete";

/// A log file that is deleted with the test.
pub(crate) struct Log(pub(super) PathBuf);

impl Log {
    pub(crate) fn new() -> Self {
        let name = format!("audit-{}.jsonl", uuid::Uuid::new_v4());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn open(&self) -> AuditLog {
        AuditLog::open(&self.0, ChainKey::default()).unwrap()
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

    /// The last line of each write, in the order in which the writes began.
    pub(crate) fn writes(&self) -> Vec<Value> {
        let mut writes: Vec<Value> = Vec::new();
        for line in self.lines() {
            match writes.iter_mut().find(|write| write["id"] == line["id"]) {
                None => writes.push(line),
                Some(write) => {
                    for field in [
                        "tool",
                        "host",
                        "project",
                        "key",
                        "persons",
                        "property_keys",
                        "deletes",
                        "confirmation",
                    ] {
                        assert_eq!(write[field], line[field], "{field}");
                    }
                    assert_eq!(write["outcome"], "started", "{line}");
                    *write = line;
                }
            }
        }
        writes
    }

    /// The outcomes, in the order in which the writes began.
    pub(super) fn outcomes(&self) -> Vec<String> {
        let writes = self.writes();
        let outcome = |line: &Value| line["outcome"].as_str().unwrap().to_owned();
        writes.iter().map(outcome).collect()
    }

    /// Waits until the outcomes are as expected.
    pub(super) async fn until(&self, so: impl Fn(&[Value]) -> bool) {
        let waiting = async {
            while !so(&self.writes()) {
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
        confirm: Some(confirm),
        audit: Some(log.open()),
        ..Setup::default()
    })
    .await
}

pub(super) async fn approving(log: &Log) -> Session {
    logged(log, Human::answering_with(Reaction::Tick), Confirm::Auto).await
}
