//! `call`: one tool call in the terminal, through the same server that an assistant uses.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use serde_json::Value;

use super::build;
use super::mcp_client::McpClient;
use crate::config::Config;

pub(super) async fn run(
    config: Config,
    tool: &str,
    arguments: &str,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let arguments = serde_json::from_str(arguments)
        .map(Value::Object)
        .context("the arguments are not a JSON object")?;
    // A token would be worth nothing to the next process, so that only the person at the terminal can say yes.
    let (server, _sandbox) = build::server(config, false).await?;
    let person = std::io::stdin().is_terminal().then_some(asked);
    let mut client = McpClient::connect(server, person).await?;
    let answer = client.call(tool, &arguments).await;
    let answer = answer
        .map_err(|error| anyhow!("{error}. List the tools with `posthog-persons-mcp tools`."))?;
    let mut out = std::io::stdout().lock();
    match answer.structured() {
        Some(structured) if json => {
            serde_json::to_writer_pretty(&mut out, structured)?;
            writeln!(out)?;
        }
        // Whoever asked for JSON reads standard output with a program.
        _ if json => eprint!("{}", answer.text()),
        _ => write!(out, "{}", answer.text())?,
    }
    out.flush()?;
    Ok(if answer.is_error() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Asks the person at the terminal.
async fn asked(question: String) -> bool {
    // Reading a line blocks, and the server goes on in the meantime.
    let answer = tokio::task::spawn_blocking(move || ask(&question)).await;
    matches!(answer, Ok(Ok(true)))
}

fn ask(question: &str) -> std::io::Result<bool> {
    let mut err = std::io::stderr();
    write!(err, "{question}\nType yes to go on: ")?;
    err.flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}
