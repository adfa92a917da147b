//! `demo`: prints a whole session of an assistant with the sandbox.
//!
//! The client, the server and the sandbox communicate as they would over a network; only the lines of the assistant and
//! its user are scripted.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::build;
use super::mcp_client::{McpClient, text};
use crate::config::Config;

/// Lines printed of a tool result.
const MAX_LINES: usize = 14;
/// Characters of a line that are printed.
const MAX_COLUMNS: usize = 150;

/// What a user says, and the calls that the assistant makes.
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
        "Support says grace and katherine are mixed up. Look up both, and hedy, and unknown@nowhere.example.",
        &[(
            "persons-batch-retrieve",
            r#"{"distinct_ids": ["grace@example.com", "katherine@example.com", "hedy@example.com", "unknown@nowhere.example"], "select": ["name"]}"#,
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
async fn asked(question: String) -> bool {
    let agrees = !question.contains("ada@example.com");
    let mut out = std::io::stdout().lock();
    // A closed standard output fails at the next line of the session.
    let _ = writeln!(out, "\nasks you")
        .and_then(|()| print(&mut out, &question))
        .and_then(|()| writeln!(out, "you        {}\n", if agrees { "Yes" } else { "No" }));
    agrees
}

pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let config = Config {
        sandbox: true,
        export_dir: None,
        ..config
    };
    let (server, _sandbox) = build::server(config, false, None).await?;
    let mut client = McpClient::connect(server, Some(asked)).await?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "An assistant works with the persons of a PostHog project. PostHog is simulated in this process; everything between \
         the assistant and PostHog is real.\n"
    )?;
    let list = client.request("tools/list", json!({})).await?;
    print_tools(&mut out, list.get("tools").unwrap_or_default())?;
    for (question, calls) in SESSION {
        writeln!(out, "you        {question}\n")?;
        for (tool, arguments) in calls {
            let arguments = serde_json::from_str(arguments)?;
            writeln!(out, "assistant  {tool} {arguments}")?;
            let result = client.call(tool, &arguments).await?;
            print(&mut out, &result.text())?;
        }
    }
    writeln!(
        out,
        "That was the real server. To give it to your assistant, see README.md; to try single calls:\n\n  \
         cargo run --release -- --sandbox call persons-list"
    )?;
    Ok(ExitCode::SUCCESS)
}

fn print_tools(out: &mut impl Write, tools: &Value) -> std::io::Result<()> {
    let bytes = tools.to_string().len();
    let tools: Vec<&Value> = tools.as_array().into_iter().flatten().collect();
    writeln!(out, "assistant  tools/list")?;
    for tool in &tools {
        let [name, title] = ["/name", "/title"].map(|word| text(tool, word).unwrap_or_default());
        writeln!(out, "           {name:36} {title}")?;
    }
    writeln!(out, "           ({} tools, {bytes} bytes)\n", tools.len())
}

/// Prints a text, indented and truncated.
fn print(out: &mut impl Write, text: &str) -> std::io::Result<()> {
    let lines = text.lines().count();
    for line in text.lines().take(MAX_LINES) {
        let line = line.replace('\t', "  ");
        let shown: String = line.chars().take(MAX_COLUMNS).collect();
        let more = if shown.len() < line.len() { "…" } else { "" };
        writeln!(out, "           {shown}{more}")?;
    }
    if lines > MAX_LINES {
        writeln!(out, "           … {} more lines", lines - MAX_LINES)?;
    }
    writeln!(out)
}
