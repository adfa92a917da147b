//! `call`: one tool call in the terminal, through the same server that an assistant talks to.

use std::io::Write;
use std::process::ExitCode;

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, Implementation,
};
use rmcp::service::RunningService;
use rmcp::{ClientHandler, RoleClient, ServiceExt};
use serde_json::{Map, Value};

use super::Failure;
use crate::config::Settings;
use crate::server::Server;
use crate::transport;

pub(super) async fn run(
    settings: &Settings,
    tool: &str,
    arguments: &str,
    json: bool,
) -> Result<ExitCode, Failure> {
    let arguments: Map<String, Value> = serde_json::from_str(arguments)
        .map_err(|error| format!("The arguments are not a JSON object: {error}"))?;
    let (server, _sandbox) = super::server(settings).await?;
    let client = connect(server, Terminal).await?;
    let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
    let result = client.call_tool(request).await;
    let result = result.map_err(|error| match error {
        rmcp::ServiceError::McpError(error) => {
            format!("{}. `tools` lists what there is.", error.message)
        }
        other => other.to_string(),
    })?;
    let mut out = std::io::stdout().lock();
    match &result.structured_content {
        Some(structured) if json => {
            serde_json::to_writer_pretty(&mut out, structured)?;
            writeln!(out)?;
        }
        _ => write!(out, "{}", text(&result))?,
    }
    out.flush()?;
    drop(client);
    Ok(if result.is_error == Some(true) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The text of an answer, ending with a line break.
pub(super) fn text(result: &CallToolResult) -> String {
    let mut text = String::new();
    for block in &result.content {
        if let Some(block) = block.as_text() {
            text.push_str(&block.text);
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

/// A client in this process, talking to the server as an assistant would.
pub(super) async fn connect<H: ClientHandler>(
    server: Server,
    handler: H,
) -> Result<RunningService<RoleClient, H>, Failure> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    tokio::spawn(transport::serve(server, reader, writer));
    Ok(handler.serve(ours).await.map_err(Box::new)?)
}

/// The person at the terminal.
pub(super) struct Terminal;

impl ClientHandler for Terminal {
    fn get_info(&self) -> ClientConfig {
        let implementation = Implementation::new("terminal", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), implementation)
    }
}
