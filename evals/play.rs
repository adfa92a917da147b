//! Plays a task's script: a real client, the real server as a process, and everything between them recorded.

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
use super::suite::{Answers, Human, Step, Task};
use super::transcript::{Answer, Line, Transcript, record};

/// Why a script could not be played.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A task that was played, and what is left of it.
pub struct Played {
    /// Where a result differs from what the script expects.
    pub wrong: Vec<String>,
    pub transcript: Transcript,
    pub sandbox: Sandbox,
}

/// Plays a script with the server that `command` starts.
///
/// # Errors
/// When the client, the server or the sandbox breaks off.
pub async fn play(
    task: &Task,
    lifecycle: ClientLifecycleMode,
    mut command: Command,
) -> Result<Played, Failure> {
    let sandbox = sandbox::start(&task.fixture, Clock::Manual).await?;
    command.args(sandbox::arguments(&task.fixture));
    command.envs(sandbox::environment(&task.fixture, &sandbox.url()));
    let mut server = command.spawn()?;
    let (Some(output), Some(input)) = (server.stdout.take(), server.stdin.take()) else {
        return Err("the server needs pipes for standard input and output".into());
    };
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let lines: Arc<Mutex<Vec<Line>>> = Arc::default();
    let recorded = Arc::clone(&lines);
    let recording = tokio::spawn(record(
        tokio::io::split(theirs),
        (output, input),
        move |line| {
            // As they would come back from a file.
            let line = Line::read(&line.text()).ok_or(std::io::ErrorKind::InvalidData)?;
            recorded
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
            Ok(())
        },
    ));
    let user = match task.human {
        Human::NotAsked | Human::Declines => User(Some(false)),
        Human::Agrees => User(Some(true)),
        Human::AgreesInTheChat => User(None),
    };
    let client = user.serve_with_lifecycle(ours, lifecycle).await?;

    let mut wrong = Vec::new();
    let mut kept = BTreeMap::new();
    for (number, step) in task.script.iter().enumerate() {
        sandbox.advance(Duration::from_secs(step.after));
        let arguments = filled(Value::Object(step.with.clone()), &kept)?;
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let request = CallToolRequestParams::new(step.call.clone()).with_arguments(arguments);
        let answer = match client.call_tool(request).await {
            Ok(result) => Answer {
                text: text(&result),
                structured: result.structured_content.unwrap_or_default(),
                is_error: result.is_error == Some(true),
                is_unknown: false,
            },
            Err(error) => Answer {
                text: error.to_string(),
                structured: Value::Null,
                is_error: false,
                is_unknown: true,
            },
        };
        for (name, pointer) in &step.keep {
            let value = answer.structured.pointer(pointer).cloned();
            kept.insert(name.clone(), value.unwrap_or_default());
        }
        let place = format!("step {} ({})", number + 1, step.call);
        wrong.extend(differences(step, &answer).map(|difference| format!("{place}: {difference}")));
    }
    client.cancel().await?;
    timeout(TIMEOUT, recording).await???;
    let status = timeout(TIMEOUT, server.wait()).await??;
    if !status.success() {
        wrong.push(format!("the server ended with {status}"));
    }
    let transcript = Transcript::read(&lines.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Played {
        wrong,
        transcript,
        sandbox,
    })
}

fn text(result: &CallToolResult) -> String {
    let texts = result.content.iter().filter_map(|block| block.as_text());
    texts.map(|block| block.text.as_str()).collect()
}

/// The arguments with what earlier results gave.
fn filled(arguments: Value, kept: &BTreeMap<String, Value>) -> Result<Value, Failure> {
    Ok(match arguments {
        Value::String(text) => match text
            .strip_prefix('<')
            .and_then(|text| text.strip_suffix('>'))
        {
            Some(name) => match kept.get(name) {
                Some(value) => value.clone(),
                None => return Err(format!("nothing was kept as {name}").into()),
            },
            None => text.into(),
        },
        Value::Array(items) => {
            let items = items.into_iter().map(|item| filled(item, kept));
            items.collect::<Result<_, _>>()?
        }
        Value::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(name, value)| Ok((name, filled(value, kept)?)));
            Value::Object(fields.collect::<Result<_, Failure>>()?)
        }
        other => other,
    })
}

fn differences(step: &Step, answer: &Answer) -> impl Iterator<Item = String> {
    let kind = match (answer.is_unknown, answer.is_error) {
        (true, _) => Answers::UnknownTool,
        (_, true) => Answers::Error,
        _ => Answers::Ok,
    };
    let mut differences = Vec::new();
    if kind != step.answers {
        differences.push(format!("answers {kind:?}: {}", answer.text));
    }
    for fact in step.says.iter().filter(|fact| !answer.text.contains(*fact)) {
        differences.push(format!("does not say {fact:?}: {}", answer.text));
    }
    for fact in step
        .never_says
        .iter()
        .filter(|fact| answer.text.contains(*fact))
    {
        differences.push(format!("says {fact:?}: {}", answer.text));
    }
    for (pointer, wanted) in &step.facts {
        let found = answer.structured.pointer(pointer);
        if found != Some(wanted) {
            differences.push(format!("{pointer} is {found:?} and not {wanted}"));
        }
    }
    for pointer in step.keep.values() {
        if answer.structured.pointer(pointer).is_none() {
            differences.push(format!("nothing to keep at {pointer}: {}", answer.text));
        }
    }
    differences.into_iter()
}

/// The user at the client: agrees, declines, or cannot be asked because the client supports no elicitation.
struct User(Option<bool>);

impl ClientHandler for User {
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
            ElicitResult::new(ElicitationAction::Decline)
        })
    }
}
