//! Runs tasks with a model: the loop of a client between the model and the server.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use posthog_sandbox::Clock;
use rmcp::ClientLifecycleMode;
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};
use tokio::process::Command;

use super::super::score::{Actor, Finding, SandboxClient, score};
use super::super::session::{BoxError, Session, text};
use super::super::suite::{ConfirmationExpectation, Suite, Task};
use super::super::transcript::Transcript;
use super::conversation::{CallText, Conversation, RequestedCall, Usage};
use super::endpoint::Endpoint;

/// A task after a model worked on it.
pub struct TaskRun {
    pub task: String,
    pub findings: Vec<Finding>,
    pub calls: usize,
    /// Requests to the model.
    pub turns: usize,
    pub usage: Usage,
    /// What the model said last; nobody but a human judges it.
    pub final_message: String,
}

impl TaskRun {
    #[must_use]
    pub fn passed(&self) -> bool {
        self.findings.iter().all(|finding| finding.passed)
    }
}

/// Runs a task and writes its transcript to `<task>.jsonl` in `out`: the conversation, the messages between client and server,
/// and the result.
///
/// # Errors
/// If the server, the sandbox or the file fails. An error of the endpoint is a failed check.
pub async fn run_task(
    suite: &Suite,
    task: &Task,
    endpoint: &Endpoint,
    max_turns: usize,
    server: Command,
    out: &Path,
) -> Result<TaskRun, BoxError> {
    // The model waits in real time too, with `wait_seconds`.
    let mode = ClientLifecycleMode::Initialize;
    let session = Session::start(task, Clock::Real, mode, false, server).await?;
    let tools = session.client.list_all_tools().await?;
    let server_info = session.client.peer_info();
    let instructions = server_info.and_then(|info| info.instructions.clone());
    let today: String = session.sandbox.now().chars().take(10).collect();
    let system = format!("{}\n\nToday is {today}.", instructions.unwrap_or_default());
    let mut run = Run {
        task,
        endpoint,
        conversation: Conversation::new(endpoint.api, system, &tools),
        usage: Usage::default(),
        turns: 0,
        user_replied: false,
        token_before_reply: false,
        final_message: String::new(),
    };
    let ended = run.converse(&session, max_turns).await;

    let session = session.end().await?;
    let transcript = Transcript::from_messages(&session.messages);
    let sandbox = SandboxClient::new(&session.sandbox.url())?;
    let mut findings = vec![Finding {
        passed: ended.is_ok(),
        description: ended.map_or_else(|problem| problem, |()| "the model ended its turn".into()),
    }];
    if task.confirmation == ConfirmationExpectation::ApprovedInChat {
        findings.push(Finding {
            passed: !run.token_before_reply,
            description: "the user replied before the token was used".to_owned(),
        });
    }
    findings.extend(score(suite, task, Actor::Assistant, &transcript, &sandbox).await?);
    let mut lines = String::new();
    for message in &run.conversation.messages {
        let _ = writeln!(lines, "{}", json!({"conversation": message}));
    }
    for message in &session.messages {
        let _ = writeln!(lines, "{}", message.to_json_line());
    }
    let run = TaskRun {
        task: task.id.clone(),
        findings,
        calls: transcript.calls.len(),
        turns: run.turns,
        usage: run.usage,
        final_message: run.final_message,
    };
    let result = super::report::task_json(&run, &task.success);
    let _ = writeln!(lines, "{}", json!({"result": result}));
    fs::create_dir_all(out)?;
    fs::write(out.join(format!("{}.jsonl", task.id)), lines)?;
    Ok(run)
}

/// A conversation in progress.
struct Run<'run> {
    task: &'run Task,
    endpoint: &'run Endpoint,
    conversation: Conversation,
    usage: Usage,
    turns: usize,
    user_replied: bool,
    /// The assistant confirmed by itself.
    token_before_reply: bool,
    final_message: String,
}

impl Run<'_> {
    /// Until the model ends its turn and the user has nothing to add.
    async fn converse(&mut self, session: &Session, max_turns: usize) -> Result<(), String> {
        self.conversation.push_user(&self.task.intent);
        while self.turns < max_turns {
            self.turns += 1;
            let body = self.conversation.body(&self.endpoint.model);
            let response = self.endpoint.send(&body).await?;
            let reply = self.conversation.push_reply(&response)?;
            self.usage += reply.usage;
            if reply.calls.is_empty() {
                self.final_message = reply.text;
                let Some(text) = self.user_reply(session) else {
                    return Ok(());
                };
                self.user_replied = true;
                self.conversation.push_user(text);
                continue;
            }
            let mut results = Vec::new();
            for call in reply.calls {
                results.push(self.perform(session, call).await);
            }
            self.conversation.push_results(&results);
        }
        Err(format!(
            "the model did not end its turn within {max_turns} requests"
        ))
    }

    /// The user's reply in the chat, at most once: an assistant may ask before the client does, and has to without elicitation.
    fn user_reply(&self, session: &Session) -> Option<&'static str> {
        if self.user_replied || self.token_before_reply || session.client.service().was_asked() {
            return None;
        }
        match self.task.confirmation {
            ConfirmationExpectation::None => None,
            ConfirmationExpectation::Approved | ConfirmationExpectation::ApprovedInChat => {
                Some("Yes, go ahead.")
            }
            ConfirmationExpectation::Declined => Some("Go on, I will decide when I am asked."),
        }
    }

    async fn perform(&mut self, session: &Session, call: RequestedCall) -> CallText {
        let (text, is_error) = match call.arguments {
            Err(problem) => (
                format!("The arguments are not a JSON object: {problem}"),
                true,
            ),
            Ok(arguments) => {
                let token = arguments.get("confirmation").and_then(Value::as_str);
                if token.is_some_and(|token| !token.is_empty()) && !self.user_replied {
                    self.token_before_reply = true;
                }
                let request = CallToolRequestParams::new(call.tool).with_arguments(arguments);
                match session.client.call_tool(request).await {
                    Ok(result) => (text(&result), result.is_error == Some(true)),
                    Err(error) => (error.to_string(), true),
                }
            }
        };
        CallText {
            id: call.id,
            text,
            is_error,
        }
    }
}
