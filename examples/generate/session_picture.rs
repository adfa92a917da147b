//! Renders `docs/session.svg`: a terminal session of an assistant with the sandbox.
//!
//! The client, the server and the sandbox are real; only the user's prompts and the assistant's calls are scripted. The
//! sandbox's URL is replaced because its port differs between runs.

use std::sync::{Arc, Mutex, PoisonError};

use anstyle::{RgbColor, Style};
use posthog_client::{Client, Connection, ConnectionOptions, Project};
use posthog_persons_mcp::output::OutputOptions;
use posthog_persons_mcp::policy::Confirm;
use posthog_persons_mcp::server::confirmation::Confirmer;
use posthog_persons_mcp::server::{Server, WriteGuards};
use posthog_persons_mcp::stdio;
use posthog_persons_mcp::tools::{Context, catalog};
use posthog_sandbox::{Clock, Sandbox, SandboxOptions};
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
    ElicitationAction, Implementation,
};
use rmcp::service::{RequestContext, RunningService};
use rmcp::{ClientHandler, ErrorData, RoleClient, ServiceExt};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::harness::session::BoxError;

/// The user's prompts, each with the tool and arguments of the assistant's call.
const SESSION: [(&str, &str, &str); 2] = [
    (
        "Does ada@example.com pay?",
        "persons-list",
        r#"{"email": "ada@example.com", "select": ["plan"]}"#,
    ),
    (
        "Erase our tester qa-1, with the events.",
        "persons-bulk-delete",
        r#"{"distinct_ids": ["qa-1"], "delete_events": true}"#,
    ),
];

/// Characters per line; makes the image as wide as a page of text.
const WIDTH: usize = 98;
/// Width of the speaker column.
const MARGIN: usize = 11;

const BACKGROUND: RgbColor = RgbColor(0x16, 0x1b, 0x22);
/// Text of the user and of elicitations.
const FOREGROUND: RgbColor = RgbColor(0xf0, 0xf6, 0xfc);
/// Tool calls and results.
const MUTED: RgbColor = RgbColor(0x9d, 0xa7, 0xb3);
const GREEN: RgbColor = RgbColor(0x7e, 0xe7, 0x87);
const BLUE: RgbColor = RgbColor(0x79, 0xc0, 0xff);
const ORANGE: RgbColor = RgbColor(0xff, 0xa6, 0x57);

/// Plays the session and renders it as SVG.
///
/// # Errors
/// If the sandbox, the server or a call fails.
pub async fn draw() -> Result<String, BoxError> {
    let sandbox = Sandbox::start(
        TcpListener::bind(("127.0.0.1", 0)).await?,
        SandboxOptions {
            clock: Clock::Manual,
            ..SandboxOptions::default()
        },
    )
    .await?;
    let client = connect(&sandbox).await?;
    // Replaced before wrapping, so that the line breaks do not depend on the port.
    let without_port =
        |text: &str| text.replace(sandbox.url().trim_start_matches("http://"), "sandbox");
    let mut screen = String::new();
    for (prompt, tool, arguments) in SESSION {
        let call = format!("{tool} {arguments}");
        push_message(&mut screen, ("you", GREEN), FOREGROUND, prompt);
        push_message(&mut screen, ("assistant", BLUE), MUTED, &call);
        let arguments: Value = serde_json::from_str(arguments)?;
        let request = CallToolRequestParams::new(tool)
            .with_arguments(arguments.as_object().cloned().unwrap_or_default());
        let result = client.call_tool(request).await?;
        for question in client.service().take_questions() {
            let question = without_port(&question);
            push_message(&mut screen, ("asks you", ORANGE), FOREGROUND, &question);
            push_message(&mut screen, ("you", GREEN), FOREGROUND, "Yes");
        }
        for text in result.content.iter().filter_map(|block| block.as_text()) {
            push_message(&mut screen, ("", MUTED), MUTED, &without_port(&text.text));
        }
        screen.push('\n');
    }
    let terminal = anstyle_svg::Term::new()
        .fg_color(FOREGROUND.into())
        .bg_color(BACKGROUND.into());
    Ok(terminal.render_svg(screen.trim_end()))
}

async fn connect(sandbox: &Sandbox) -> Result<RunningService<RoleClient, ScriptedUser>, BoxError> {
    let connection = Connection::new(&ConnectionOptions::new(sandbox.url().parse()?))?;
    let context = Context {
        posthog: Client::new(
            Arc::new(connection),
            SecretString::from(Sandbox::KEY),
            Project::Number(Sandbox::PROJECT),
        ),
        limits: OutputOptions::default(),
        exports: None,
    };
    let safety = WriteGuards {
        confirmer: Confirmer::new(Confirm::Strict, None)
            .with_min_reading_time(std::time::Duration::ZERO),
        audit: None,
    };
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    tokio::spawn(stdio::serve(
        Server::new(catalog(), context, safety),
        reader,
        writer,
    ));
    Ok(ScriptedUser::default().serve(ours).await?)
}

/// Appends a speaker's text: the name beside the first line, all lines wrapped.
fn push_message(screen: &mut String, speaker: (&str, RgbColor), colour: RgbColor, text: &str) {
    let (mut name, its_colour) = speaker;
    let bold = Style::new().fg_color(Some(its_colour.into())).bold();
    let plain = Style::new().fg_color(Some(colour.into()));
    for line in text.lines().flat_map(wrap) {
        // Padded before styling, because escape sequences have no width.
        let name = format!("{:MARGIN$}", std::mem::take(&mut name));
        screen.push_str(&format!("{bold}{name}{bold:#}{plain}{line}{plain:#}\n"));
    }
}

/// Wraps a line at spaces.
fn wrap(line: &str) -> Vec<String> {
    let width = WIDTH - MARGIN;
    let indent = line.len() - line.trim_start().len();
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let current = lines.last().map_or(0, |last| last.chars().count());
        if current > indent && current + word.trim_end().chars().count() > width {
            lines.push(" ".repeat(indent + 2));
        }
        if let Some(last) = lines.last_mut() {
            last.push_str(word);
        }
    }
    lines
}

/// Approves every elicitation, and records the questions.
#[derive(Clone, Default)]
struct ScriptedUser {
    questions: Arc<Mutex<Vec<String>>>,
}

impl ScriptedUser {
    /// Removes and returns the questions so far.
    fn take_questions(&self) -> Vec<String> {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *questions)
    }
}

impl ClientHandler for ScriptedUser {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(capabilities, Implementation::new("picture", "0"))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams { message, .. } = request else {
            return Ok(ElicitResult::new(ElicitationAction::Decline));
        };
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(message);
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({"confirm": true})))
    }
}
