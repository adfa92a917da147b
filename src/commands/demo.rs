//! `demo`: prints a whole session of an assistant with the sandbox.
//!
//! The client, the server and the sandbox communicate as they would over a network; only the lines of the assistant and
//! its user are scripted. The end is not, in a terminal: there the reader can answer on the approval page.

use std::future::Ready;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::build;
use super::mcp_client::{McpClient, text};
use crate::approval::ApprovalOptions;
use crate::config::Config;
use crate::server::Server;

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

/// How long the user reads a question.
const READING_TIME: Duration = Duration::from_millis(1500);

/// The user at the assistant's side: sees every question, agrees unless Ada is to go.
async fn asked(question: String) -> bool {
    let agrees = !question.contains("ada@example.com");
    // A refusal without a moment to read is taken for that of a client that shows nothing.
    tokio::time::sleep(READING_TIME).await;
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
        approval: config.approval.map(|approval| ApprovalOptions {
            wait: if std::io::stdout().is_terminal() {
                approval.wait
            } else {
                Duration::ZERO
            },
            ..approval
        }),
        ..config
    };
    let (server, _sandbox) = build::server(config, true, None).await?;
    let mut client = McpClient::connect(server.clone(), Some(asked)).await?;
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
    show_approval_page(&mut out, server).await?;
    writeln!(
        out,
        "That was the real server. To give it to your assistant, see README.md; to try single calls:\n\n  \
         cargo run --release -- --sandbox call persons-list"
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The last deletion in a client that cannot ask: the user answers on a page.
async fn show_approval_page(out: &mut impl Write, server: Server) -> anyhow::Result<()> {
    const TOOL: &str = "persons-bulk-delete";
    let mut client = McpClient::connect(server, None::<fn(String) -> Ready<bool>>).await?;
    writeln!(
        out,
        "Some clients cannot ask you, such as Claude Desktop. There the assistant gives you the address of a page.\n\n\
         you        Erase the tester qa-3 as well.\n"
    )?;
    let mut arguments = json!({"distinct_ids": ["qa-3"]});
    writeln!(out, "assistant  {TOOL} {arguments}")?;
    let result = client.call(TOOL, &arguments).await?.text();
    print(out, &result)?;
    let token = result
        .split_once("confirmation \"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let Some((token, _)) = token else {
        return Ok(());
    };
    let hint = if std::io::stdout().is_terminal() {
        "Open the page now and answer: the next call waits for 25 seconds."
    } else {
        "In a terminal, you can open the page and answer now. Here nobody does."
    };
    writeln!(out, "           ({hint})\n")?;
    writeln!(out, "assistant  {TOOL} {{…, \"confirmation\": \"…\"}}")?;
    if let Some(arguments) = arguments.as_object_mut() {
        arguments.insert("confirmation".to_owned(), token.into());
    }
    print(out, &client.call(TOOL, &arguments).await?.text())?;
    Ok(())
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
