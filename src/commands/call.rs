//! `call`: one tool call in the terminal, through the same server that an assistant uses.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use serde_json::Value;

use super::build;
use super::mcp_client::McpClient;
use crate::config::Config;
use crate::output::OutputOptions;
use crate::policy::Confirm;

pub(super) async fn run(
    mut config: Config,
    tool: &str,
    arguments: &str,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let arguments = serde_json::from_str(arguments)
        .map(Value::Object)
        .context("the arguments are not a JSON object")?;
    config.output = config.output.map(|output| OutputOptions {
        structured: json,
        ..output
    });
    // A confirmation token is not valid in the next process: only the user at the terminal can confirm.
    if config.confirm == Confirm::Token {
        config.confirm = Confirm::Strict;
    }
    let exports = build::exports(&config, None)?;
    let (server, _sandbox) = build::server(config, false, exports).await?;
    let user = std::io::stdin().is_terminal().then_some(confirm);
    let mut client = McpClient::connect(server, user).await?;
    let result = client.call(tool, &arguments).await;
    let result = result
        .map_err(|error| anyhow!("{error}. List the tools with `posthog-persons-mcp tools`."))?;
    result.print(json)
}

/// Asks the user at the terminal.
async fn confirm(question: String) -> bool {
    // Reading a line blocks, and the server must keep running.
    let result = tokio::task::spawn_blocking(move || ask(&question)).await;
    matches!(result, Ok(Ok(true)))
}

fn ask(question: &str) -> std::io::Result<bool> {
    let mut err = std::io::stderr();
    write!(err, "{question}\nType yes to continue: ")?;
    err.flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}
