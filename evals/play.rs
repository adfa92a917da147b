//! Plays a task's script with a real client and the server as a process, and records the messages between them.

use std::collections::BTreeMap;
use std::time::Duration;

use posthog_sandbox::{Clock, Sandbox};
use rmcp::ClientLifecycleMode;
use rmcp::model::CallToolRequestParams;
use serde_json::Value;
use tokio::process::Command;

use super::session::{BoxError, Session, text};
use super::suite::{ExpectedOutcome, ScriptStep, Task};
use super::transcript::{RecordedResult, Transcript};

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
    command: Command,
) -> Result<Playback, BoxError> {
    // Scripts capture fields and compare them.
    let session = Session::start(task, Clock::Manual, lifecycle, true, command).await?;

    let mut mismatches = Vec::new();
    let mut captured = BTreeMap::new();
    for (number, step) in task.script.iter().enumerate() {
        session
            .sandbox
            .advance(Duration::from_secs(step.advance_seconds));
        let arguments = substitute(Value::Object(step.arguments.clone()), &captured)?;
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let request = CallToolRequestParams::new(step.tool.clone()).with_arguments(arguments);
        let result = match session.client.call_tool(request).await {
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
    let ended = session.end().await?;
    if !ended.status.success() {
        mismatches.push(format!("the server exited with {}", ended.status));
    }
    Ok(Playback {
        mismatches,
        transcript: Transcript::from_messages(&ended.messages),
        sandbox: ended.sandbox,
    })
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
