//! `call`: one tool call in the terminal, through the same server that an assistant talks to.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ElicitRequestParams,
    ElicitResult, ElicitationAction, Implementation,
};
use rmcp::service::{RequestContext, RunningService};
use rmcp::{ClientHandler, ErrorData, RoleClient, ServiceExt};
use serde_json::{Map, Value, json};

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
    // A token would be worth nothing to the next process, so that only the person at the terminal can say yes.
    let (server, _sandbox) = super::server(settings, false).await?;
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
        // Whoever asked for JSON reads standard output with a program.
        _ if json => eprint!("{}", text(&result)),
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
struct Terminal;

impl ClientHandler for Terminal {
    fn get_info(&self) -> ClientConfig {
        let capabilities = if std::io::stdin().is_terminal() {
            ClientCapabilities::builder().enable_elicitation().build()
        } else {
            ClientCapabilities::default()
        };
        ClientConfig::new(capabilities, client_name("terminal"))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let question = question(&request).to_owned();
        // Reading a line blocks, and the server goes on in the meantime.
        let answer = tokio::task::spawn_blocking(move || ask(&question)).await;
        Ok(match answer {
            Ok(Ok(true)) => yes(),
            _ => ElicitResult::new(ElicitationAction::Decline),
        })
    }
}

fn ask(question: &str) -> std::io::Result<bool> {
    let mut err = std::io::stderr();
    write!(err, "{question}\nType yes to go on: ")?;
    err.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}

/// What a client of ours is called.
pub(super) fn client_name(name: &str) -> Implementation {
    Implementation::new(name, env!("CARGO_PKG_VERSION"))
}

/// The words of a question.
pub(super) fn question(request: &ElicitRequestParams) -> &str {
    match request {
        ElicitRequestParams::FormElicitationParams { message, .. }
        | ElicitRequestParams::UrlElicitationParams { message, .. } => message,
        _ => "",
    }
}

/// The answer of somebody who agrees.
pub(super) fn yes() -> ElicitResult {
    ElicitResult::new(ElicitationAction::Accept).with_content(json!({ "confirm": true }))
}
