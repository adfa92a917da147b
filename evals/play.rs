//! Plays a task's script with a real client and the server as a process, and records the messages between them.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthog_sandbox::{Clock, Sandbox};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ElicitRequestParams,
    ElicitResult, ElicitationAction, Implementation,
};
use rmcp::service::RequestContext;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::sandbox::{self, TIMEOUT};
use super::suite::{ConfirmationExpectation, ExpectedOutcome, ScriptStep, Task};
use super::transcript::{RecordedMessage, RecordedResult, Transcript, record};

pub type BoxError = Box<dyn Error + Send + Sync>;

/// The outcome of playing a script.
pub struct Playback {
    /// Differences between the tool results and the script's expectations.
    pub mismatches: Vec<String>,
    pub transcript: Transcript,
    pub sandbox: Sandbox,
}

/// Plays a script with the server that `command` starts.
///
/// # Errors
/// If the client, the server or the sandbox stops before the script ends.
pub async fn play(
    task: &Task,
    lifecycle: ClientLifecycleMode,
    mut command: Command,
) -> Result<Playback, BoxError> {
    let sandbox = sandbox::start(&task.fixture, Clock::Manual).await?;
    command.args(sandbox::arguments(&task.fixture));
    // Scripts capture fields and compare them.
    command.args(["--structured", "on"]);
    command.envs(sandbox::environment(&task.fixture, &sandbox.url()));
    let mut server = command.spawn()?;
    let (Some(output), Some(input)) = (server.stdout.take(), server.stdin.take()) else {
        return Err("the server needs pipes for standard input and output".into());
    };
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let lines: Arc<Mutex<Vec<RecordedMessage>>> = Arc::default();
    let recorded = Arc::clone(&lines);
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
    let user = match task.confirmation {
        ConfirmationExpectation::None | ConfirmationExpectation::Declined => {
            ScriptedUser(Some(false))
        }
        ConfirmationExpectation::Approved => ScriptedUser(Some(true)),
        ConfirmationExpectation::ApprovedInChat => ScriptedUser(None),
    };
    let client = user.serve_with_lifecycle(ours, lifecycle).await?;

    let mut mismatches = Vec::new();
    let mut captured = BTreeMap::new();
    for (number, step) in task.script.iter().enumerate() {
        sandbox.advance(Duration::from_secs(step.advance_seconds));
        let arguments = substitute(Value::Object(step.arguments.clone()), &captured)?;
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let request = CallToolRequestParams::new(step.tool.clone()).with_arguments(arguments);
        let result = match client.call_tool(request).await {
            Ok(result) => RecordedResult {
                text: text(&result),
                structured: result.structured_content.unwrap_or_default(),
                is_error: result.is_error == Some(true),
                is_unknown_tool: false,
            },
            Err(error) => RecordedResult {
                text: error.to_string(),
                structured: Value::Null,
                is_error: false,
                is_unknown_tool: true,
            },
        };
        for (name, pointer) in &step.capture {
            let value = result.structured.pointer(pointer).cloned();
            captured.insert(name.clone(), value.unwrap_or_default());
        }
        let label = format!("step {} ({})", number + 1, step.tool);
        mismatches.extend(step_mismatches(step, &result).map(|text| format!("{label}: {text}")));
    }
    client.cancel().await?;
    timeout(TIMEOUT, recording).await???;
    let status = timeout(TIMEOUT, server.wait()).await??;
    if !status.success() {
        mismatches.push(format!("the server exited with {status}"));
    }
    let transcript =
        Transcript::from_messages(&lines.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Playback {
        mismatches,
        transcript,
        sandbox,
    })
}

fn text(result: &CallToolResult) -> String {
    let texts = result.content.iter().filter_map(|block| block.as_text());
    texts.map(|block| block.text.as_str()).collect()
}

/// Replaces `"<name>"` in the arguments with the values captured from earlier results.
fn substitute(arguments: Value, captured: &BTreeMap<String, Value>) -> Result<Value, BoxError> {
    Ok(match arguments {
        Value::String(text) => match text
            .strip_prefix('<')
            .and_then(|text| text.strip_suffix('>'))
        {
            Some(name) => match captured.get(name) {
                Some(value) => value.clone(),
                None => return Err(format!("no value was captured as {name}").into()),
            },
            None => text.into(),
        },
        Value::Array(items) => {
            let items = items.into_iter().map(|item| substitute(item, captured));
            items.collect::<Result<_, _>>()?
        }
        Value::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(name, value)| Ok((name, substitute(value, captured)?)));
            Value::Object(fields.collect::<Result<_, BoxError>>()?)
        }
        other => other,
    })
}

fn step_mismatches(step: &ScriptStep, result: &RecordedResult) -> impl Iterator<Item = String> {
    let outcome = match (result.is_unknown_tool, result.is_error) {
        (true, _) => ExpectedOutcome::UnknownTool,
        (_, true) => ExpectedOutcome::Error,
        _ => ExpectedOutcome::Ok,
    };
    let mut mismatches = Vec::new();
    if outcome != step.outcome {
        mismatches.push(format!("outcome {outcome:?}: {}", result.text));
    }
    for text in &step.contains {
        if !result.text.contains(text) {
            mismatches.push(format!("does not contain {text:?}: {}", result.text));
        }
    }
    for text in &step.excludes {
        if result.text.contains(text) {
            mismatches.push(format!("contains {text:?}: {}", result.text));
        }
    }
    for (pointer, expected) in &step.structured {
        let actual = result.structured.pointer(pointer);
        if actual != Some(expected) {
            mismatches.push(format!("{pointer} is {actual:?}, expected {expected}"));
        }
    }
    for pointer in step.capture.values() {
        if result.structured.pointer(pointer).is_none() {
            mismatches.push(format!("nothing to capture at {pointer}: {}", result.text));
        }
    }
    mismatches.into_iter()
}

/// Approves or declines every elicitation; `None` is a client without elicitation support.
struct ScriptedUser(Option<bool>);

impl ClientHandler for ScriptedUser {
    fn get_info(&self) -> ClientConfig {
        let capabilities = match self.0 {
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
        Ok(if self.0 == Some(true) {
            ElicitResult::new(ElicitationAction::Accept).with_content(json!({"confirm": true}))
        } else {
            // A person reads before declining; a client that replies at once has asked nobody.
            tokio::time::sleep(Duration::from_millis(1500)).await;
            ElicitResult::new(ElicitationAction::Decline)
        })
    }
}
