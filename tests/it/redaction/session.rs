//! The real binary with a sandbox, and a record of everything that it writes.

use std::sync::{Arc, Mutex};

use posthog_sandbox::{Clock, Sandbox, SandboxOptions};
use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::evals::harness::transcript::record;
use crate::human::Human;
use crate::process::binary;
use crate::wire::TIMEOUT;

/// The real binary with a sandbox, and everything that it has written.
pub(super) struct Session {
    pub(super) client: RunningService<RoleClient, Human>,
    pub(super) sandbox: Sandbox,
    output: Arc<Mutex<Vec<String>>>,
    recording: JoinHandle<std::io::Result<()>>,
    logs: JoinHandle<String>,
    audit: std::path::PathBuf,
}

pub(super) async fn begin(
    settings: &[&str],
    human: Human,
    lifecycle: ClientLifecycleMode,
) -> Session {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let options = SandboxOptions {
        clock: Clock::Manual,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(listener, options).await.unwrap();
    let audit = std::env::temp_dir().join(format!("audit-{}.jsonl", uuid::Uuid::new_v4()));
    let mut command = binary(&[
        "stdio",
        "--log",
        "trace",
        "--audit-log",
        audit.to_str().unwrap(),
    ]);
    command
        .args(settings)
        .env("POSTHOG_HOST", sandbox.url())
        .env("POSTHOG_PERSONAL_API_KEY", Sandbox::LEGACY_KEY)
        .env("POSTHOG_PROJECT_ID", Sandbox::PROJECT.to_string());
    let mut server = command.spawn().unwrap();
    let mut stderr = server.stderr.take().unwrap();
    let pipes = (server.stdout.take().unwrap(), server.stdin.take().unwrap());
    let logs = tokio::spawn(async move {
        let mut text = String::new();
        stderr.read_to_string(&mut text).await.unwrap();
        assert!(server.wait().await.unwrap().success(), "{text}");
        text
    });
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let output: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&output);
    let recording = tokio::spawn(record(tokio::io::split(theirs), pipes, move |line| {
        if !line.from_client {
            kept.lock().unwrap().push(line.message.to_string());
        }
        Ok(())
    }));
    Session {
        client: human.serve_with_lifecycle(ours, lifecycle).await.unwrap(),
        sandbox,
        output,
        recording,
        logs,
        audit,
    }
}

impl Session {
    /// Calls a tool. The record contains the result, whether the call succeeds or fails.
    pub(super) async fn call(&self, tool: &str, arguments: Value) {
        let arguments = arguments.as_object().unwrap().clone();
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let _ = self.client.call_tool(request).await;
    }

    /// Everything that was written, each with where.
    pub(super) async fn end(self) -> Vec<(&'static str, String)> {
        self.client.cancel().await.unwrap();
        let recorded = timeout(TIMEOUT, self.recording).await;
        recorded.expect("an end in time").unwrap().unwrap();
        let logs = timeout(TIMEOUT, self.logs)
            .await
            .expect("an end in time")
            .unwrap();
        let audit = std::fs::read_to_string(&self.audit).unwrap();
        std::fs::remove_file(&self.audit).unwrap();
        let output = self.output.lock().unwrap();
        let output = output.iter().map(|line| ("message", line.clone()));
        output
            .chain([("log", logs), ("audit log", audit)])
            .collect()
    }
}
