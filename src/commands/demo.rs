//! `demo`: a whole session of an assistant with the sandbox, printed for a person to read.
//!
//! The client, the server and the imitated PostHog are the real ones and talk as they would over a network; only the
//! assistant's words are written here.

use std::io::{StdoutLock, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
    ElicitationAction,
};
use rmcp::service::{RequestContext, RunningService};
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::Value;

use super::Failure;
use super::call::{client_name, connect, question, text, yes};
use crate::config::Settings;

/// Lines of an answer that are printed; a table says what it is in a few.
const MOST_LINES: usize = 14;
/// Characters of a line that are printed.
const MOST_COLUMNS: usize = 150;

/// What a user says, and the calls that an assistant answers it with.
const SESSION: [(&str, &[(&str, &str)]); 9] = [
    (
        "Who of our users is at example.com and pays?",
        &[(
            "persons-list",
            r#"{"search": "@example.com", "properties": [{"key": "plan", "value": "pro"}], "select": ["plan", "company"]}"#,
        )],
    ),
    (
        "What do we know about ada@example.com?",
        &[(
            "persons-retrieve",
            r#"{"distinct_id": "ada@example.com", "select": ["*"]}"#,
        )],
    ),
    (
        "Which cohorts is she in?",
        &[(
            "persons-cohorts-retrieve",
            r#"{"person_id": "ada0ada0-1815-4852-8000-000000000101"}"#,
        )],
    ),
    (
        "Who changed her profile, and which plan did she have in April?",
        &[
            (
                "persons-activity-retrieve",
                r#"{"id": "ada0ada0-1815-4852-8000-000000000101"}"#,
            ),
            (
                "persons-properties-at-time-retrieve",
                r#"{"distinct_id": "ada@example.com", "timestamp": "2026-04-01T00:00:00Z", "select": ["plan", "seats"]}"#,
            ),
        ],
    ),
    (
        "Support says grace and katherine are mixed up. Look up both, and hedy, and somebody@nowhere.example.",
        &[(
            "persons-batch-retrieve",
            r#"{"distinct_ids": ["grace@example.com", "katherine@example.com", "hedy@example.com", "somebody@nowhere.example"], "select": ["name"]}"#,
        )],
    ),
    (
        "One person for both? Take Katherine's ids off Grace.",
        &[(
            "persons-split",
            r#"{"id": "707be5a0-b120-5ae0-b57a-f77976f29c41", "distinct_ids_to_split": ["katherine@example.com", "katherine-laptop"], "wait_seconds": 20}"#,
        )],
    ),
    (
        "Erase our testers qa-1 and qa-2, events too. And qa-99.",
        &[
            (
                "persons-bulk-delete",
                r#"{"distinct_ids": ["qa-1", "qa-2", "qa-99"], "delete_events": true}"#,
            ),
            ("persons-deletion-status-list", r#"{"status": "pending"}"#),
        ],
    ),
    (
        "Then tidy up the rest. (The assistant gets carried away.)",
        &[(
            "persons-bulk-delete",
            r#"{"ids": ["ada0ada0-1815-4852-8000-000000000101"]}"#,
        )],
    ),
    (
        "Thanks, no. And who is user-3?",
        &[("persons-retrieve", r#"{"id": "user-3"}"#)],
    ),
];

/// The user at the assistant's side: sees every question, agrees unless Ada is to go.
#[derive(Clone, Default)]
struct User {
    asked: Arc<Mutex<Vec<(String, bool)>>>,
}

impl ClientHandler for User {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(capabilities, client_name("demo"))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let question = question(&request).to_owned();
        let agrees = !question.contains("ada@example.com");
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((question, agrees));
        Ok(if agrees {
            yes()
        } else {
            ElicitResult::new(ElicitationAction::Decline)
        })
    }
}

type Client = RunningService<RoleClient, User>;

pub(super) async fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let settings = Settings {
        sandbox: true,
        ..settings.clone()
    };
    let (server, _sandbox) = super::server(&settings, false).await?;
    let client = connect(server, User::default()).await?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "An assistant works with the persons of a PostHog project. PostHog is imitated in this process; everything between \
         the assistant and PostHog is real.\n"
    )?;
    tools(&client, &mut out).await?;
    for (question, calls) in SESSION {
        writeln!(out, "you        {question}\n")?;
        for (tool, arguments) in calls {
            call(&client, &mut out, tool, serde_json::from_str(arguments)?).await?;
        }
    }
    writeln!(
        out,
        "That was the real server. To give it to your assistant, see README.md; to try single calls:\n\n  \
         cargo run --release -- --sandbox call persons-list"
    )?;
    Ok(ExitCode::SUCCESS)
}

async fn tools(client: &Client, out: &mut StdoutLock<'_>) -> Result<(), Failure> {
    let tools = client.list_all_tools().await?;
    let bytes = serde_json::to_vec(&tools)?.len();
    writeln!(out, "assistant  tools/list")?;
    for tool in &tools {
        let title = tool.title.as_deref().unwrap_or_default();
        writeln!(out, "           {:36} {title}", tool.name)?;
    }
    writeln!(out, "           ({} tools, {bytes} bytes)\n", tools.len())?;
    Ok(())
}

async fn call(
    client: &Client,
    out: &mut StdoutLock<'_>,
    tool: &'static str,
    arguments: Value,
) -> Result<(), Failure> {
    writeln!(out, "assistant  {tool} {arguments}")?;
    let request = CallToolRequestParams::new(tool)
        .with_arguments(arguments.as_object().cloned().unwrap_or_default());
    let result = client.call_tool(request).await?;
    let asked = std::mem::take(
        &mut *client
            .service()
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    );
    for (question, agrees) in asked {
        writeln!(out, "\nasks you")?;
        print(out, &question)?;
        writeln!(out, "you        {}\n", if agrees { "Yes" } else { "No" })?;
    }
    print(out, &text(&result))?;
    Ok(())
}

/// Prints an answer, indented, and no more of it than a screen holds.
fn print(out: &mut StdoutLock<'_>, answer: &str) -> std::io::Result<()> {
    let lines = answer.lines().count();
    for line in answer.lines().take(MOST_LINES) {
        let line = line.replace('\t', "  ");
        let shown: String = line.chars().take(MOST_COLUMNS).collect();
        let more = if shown.len() < line.len() { "…" } else { "" };
        writeln!(out, "           {shown}{more}")?;
    }
    if lines > MOST_LINES {
        writeln!(out, "           … {} more lines", lines - MOST_LINES)?;
    }
    writeln!(out)
}
