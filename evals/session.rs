//! A session between a client and the server as a process, with the sandbox of a task. Records the messages between them.

use std::error::Error;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthog_sandbox::{Clock, Sandbox};
use rmcp::model::{
    CallToolResult, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
    ElicitationAction, Implementation,
};
use rmcp::service::{RequestContext, RunningService};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient};
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::sandbox::{self, TIMEOUT};
use super::suite::{ConfirmationExpectation, Task};
use super::transcript::{RecordedMessage, record};

pub type BoxError = Box<dyn Error + Send + Sync>;

/// A connected client, and the server and the sandbox behind it.
pub struct Session {
    pub client: RunningService<RoleClient, ScriptedUser>,
    pub sandbox: Sandbox,
    server: Child,
    recording: JoinHandle<std::io::Result<()>>,
    messages: Arc<Mutex<Vec<RecordedMessage>>>,
}

/// What is left of a session.
pub struct EndedSession {
    pub messages: Vec<RecordedMessage>,
    pub sandbox: Sandbox,
    /// Of the server.
    pub status: ExitStatus,
}

impl Session {
    /// Starts the sandbox of a task and the server that `command` starts, and connects the task's user.
    ///
    /// # Errors
    /// If one of them does not start.
    pub async fn start(
        task: &Task,
        clock: Clock,
        lifecycle: ClientLifecycleMode,
        structured: bool,
        mut command: Command,
    ) -> Result<Self, BoxError> {
        let sandbox = sandbox::start(&task.fixture, clock).await?;
        command.args(sandbox::arguments(&task.fixture));
        command.args(["--structured", if structured { "on" } else { "off" }]);
        command.envs(sandbox::environment(&task.fixture, &sandbox.url()));
        let mut server = command.spawn()?;
        let (Some(output), Some(input)) = (server.stdout.take(), server.stdin.take()) else {
            return Err("the server needs pipes for standard input and output".into());
        };
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let messages: Arc<Mutex<Vec<RecordedMessage>>> = Arc::default();
        let recorded = Arc::clone(&messages);
        let recording = tokio::spawn(record(
            tokio::io::split(theirs),
            (output, input),
            move |line| {
                // The same round trip as through a transcript file.
                let line = RecordedMessage::from_json_line(&line.to_json_line())
                    .ok_or(std::io::ErrorKind::InvalidData)?;
                recorded
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
                Ok(())
            },
        ));
        let user = ScriptedUser::of(task.confirmation);
        let client = user.serve_with_lifecycle(ours, lifecycle).await?;
        Ok(Self {
            client,
            sandbox,
            server,
            recording,
            messages,
        })
    }

    /// Closes the connection and waits for the server.
    ///
    /// # Errors
    /// If the server does not end.
    pub async fn end(mut self) -> Result<EndedSession, BoxError> {
        self.client.cancel().await?;
        timeout(TIMEOUT, self.recording).await???;
        let status = timeout(TIMEOUT, self.server.wait()).await??;
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(EndedSession {
            messages: std::mem::take(&mut messages),
            sandbox: self.sandbox,
            status,
        })
    }
}

/// The text of a result, as most clients pass it to a model.
#[must_use]
pub fn text(result: &CallToolResult) -> String {
    let texts = result.content.iter().filter_map(|block| block.as_text());
    texts.map(|block| block.text.as_str()).collect()
}

/// Approves or declines every elicitation, as the task says.
pub struct ScriptedUser {
    /// `None` is a client without elicitation support.
    approves: Option<bool>,
    asked: AtomicUsize,
}

impl ScriptedUser {
    fn of(expectation: ConfirmationExpectation) -> Self {
        let approves = match expectation {
            ConfirmationExpectation::None | ConfirmationExpectation::Declined => Some(false),
            ConfirmationExpectation::Approved => Some(true),
            ConfirmationExpectation::ApprovedInChat => None,
        };
        Self {
            approves,
            asked: AtomicUsize::new(0),
        }
    }

    /// Whether an elicitation arrived.
    #[must_use]
    pub fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > 0
    }
}

impl ClientHandler for ScriptedUser {
    fn get_info(&self) -> ClientConfig {
        let capabilities = match self.approves {
            Some(_) => ClientCapabilities::builder().enable_elicitation().build(),
            None => ClientCapabilities::default(),
        };
        ClientConfig::new(capabilities, Implementation::new("eval", "0"))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(if self.approves == Some(true) {
            ElicitResult::new(ElicitationAction::Accept).with_content(json!({"confirm": true}))
        } else {
            // A person reads before declining; a client that replies at once has asked nobody.
            tokio::time::sleep(Duration::from_millis(1500)).await;
            ElicitResult::new(ElicitationAction::Decline)
        })
    }
}
