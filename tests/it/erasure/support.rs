//! A sandbox whose clock begins now and moves by `advance`, an audit log, and the report about both.

use std::path::{Path, PathBuf};

use posthog_sandbox::{Clock, Sandbox, SandboxOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::process::{ProcessOutput, run, session_input};
use crate::stdio::connected;
use crate::wire::WITH_HANDSHAKE;

pub(super) const DELETE: &str = "persons-bulk-delete";

pub(super) async fn sandbox_now(persons: usize) -> Sandbox {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let options = SandboxOptions {
        persons,
        clock: Clock::Manual,
        starts_now: true,
        ..SandboxOptions::default()
    };
    Sandbox::start(listener, options).await.unwrap()
}

/// A directory that is deleted with the test.
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("erasure-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Deletes through the binary, without a confirmation.
pub(super) async fn delete(sandbox: &Sandbox, log: &str, arguments: Value) -> String {
    let input = session_input(WITH_HANDSHAKE[3], &[(DELETE, arguments)]);
    let flags = ["--confirm", "off", "--audit-log", log];
    let ended = run(connected(&flags, &sandbox.url(), Sandbox::KEY), &input).await;
    let response = ended.response(2);
    response["result"]["content"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub(super) async fn report_with(sandbox: &Sandbox, log: &str, more: &[&str]) -> ProcessOutput {
    let flags = [&["erasure-report", "--audit-log", log], more].concat();
    run(connected(&flags, &sandbox.url(), Sandbox::KEY), "").await
}

pub(super) async fn report(sandbox: &Sandbox, log: &str) -> Value {
    let ended = report_with(sandbox, log, &["--json"]).await;
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr))
}

/// The state, the profile and the events of each person.
pub(super) fn states(report: &Value) -> Value {
    let persons = report["persons"].as_array().unwrap().iter();
    persons
        .map(|person| {
            let word = |name: &str| {
                let text = person[name].as_str().unwrap();
                let end = text.find(" at 2").or(text.find(" since 2"));
                text[..end.unwrap_or(text.len())].to_owned()
            };
            json!([word("state"), word("profile"), word("events")])
        })
        .collect()
}

pub(super) fn mode(path: &Path) -> u32 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        0o600
    }
}
