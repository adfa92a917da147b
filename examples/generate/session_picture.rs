//! `docs/session.svg`: a session of an assistant with the sandbox, as a picture of a terminal.
//!
//! The client, the server and the sandbox are the real ones; only the user's words and the assistant's calls are written
//! here. The sandbox's URL is shown without its port, which is another one each time; everything else comes out the same.

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

use super::kit::play::Failure;

/// What the human says, and the call that the assistant answers it with.
const SESSION: [(&str, &str, &str); 3] = [
    (
        "Who is ada@example.com, and does she pay?",
        "persons-retrieve",
        r#"{"distinct_id": "ada@example.com", "select": ["plan", "company"]}"#,
    ),
    (
        "Erase our testers qa-1, qa-2 and qa-99, with their events.",
        "persons-bulk-delete",
        r#"{"distinct_ids": ["qa-1", "qa-2", "qa-99"], "delete_events": true}"#,
    ),
    (
        "Tidy up the rest.",
        "persons-bulk-delete",
        r#"{"distinct_ids": ["ada@example.com"]}"#,
    ),
];

/// Characters of a line; with them the picture is as wide as a page of text.
const WIDTH: usize = 98;
/// Characters before an answer: the speaker's column.
const MARGIN: usize = 11;

const PAPER: RgbColor = RgbColor(0x16, 0x1b, 0x22);
/// What a human says or is asked.
const INK: RgbColor = RgbColor(0xf0, 0xf6, 0xfc);
/// What programs say to each other.
const PALE: RgbColor = RgbColor(0x9d, 0xa7, 0xb3);
const GREEN: RgbColor = RgbColor(0x7e, 0xe7, 0x87);
const BLUE: RgbColor = RgbColor(0x79, 0xc0, 0xff);
const ORANGE: RgbColor = RgbColor(0xff, 0xa6, 0x57);
const RED: RgbColor = RgbColor(0xff, 0x7b, 0x72);

/// The picture, as SVG.
///
/// # Errors
/// When the session does not come about.
pub async fn draw() -> Result<String, Failure> {
    let sandbox = Sandbox::start(
        TcpListener::bind(("127.0.0.1", 0)).await?,
        SandboxOptions {
            clock: Clock::Manual,
            ..SandboxOptions::default()
        },
    )
    .await?;
    let client = connect(&sandbox).await?;
    // Before lines are folded: where they fold must not depend on the port.
    let shown = |text: &str| text.replace(&sandbox.url(), "http://sandbox");
    let mut screen = String::new();
    for (words, tool, arguments) in SESSION {
        let asked = format!("{tool} {arguments}");
        said(&mut screen, ("you", GREEN), INK, words);
        said(&mut screen, ("assistant", BLUE), PALE, &asked);
        let arguments: Value = serde_json::from_str(arguments)?;
        let request = CallToolRequestParams::new(tool)
            .with_arguments(arguments.as_object().cloned().unwrap_or_default());
        let result = client.call_tool(request).await?;
        for (question, agrees) in client.service().questions() {
            said(&mut screen, ("asks you", ORANGE), INK, &shown(&question));
            let (answer, colour) = if agrees { ("Yes", GREEN) } else { ("No", RED) };
            said(&mut screen, ("you", colour), INK, answer);
        }
        for text in result.content.iter().filter_map(|block| block.as_text()) {
            said(&mut screen, ("", PALE), PALE, &shown(&text.text));
        }
        screen.push('\n');
    }
    let terminal = anstyle_svg::Term::new()
        .fg_color(INK.into())
        .bg_color(PAPER.into());
    Ok(terminal.render_svg(screen.trim_end()))
}

async fn connect(sandbox: &Sandbox) -> Result<RunningService<RoleClient, Human>, Failure> {
    let connection = Connection::new(&ConnectionOptions::new(sandbox.url().parse()?))?;
    let context = Context {
        posthog: Client::new(
            Arc::new(connection),
            SecretString::from(Sandbox::KEY),
            Project::Number(Sandbox::PROJECT),
        ),
        limits: OutputOptions::default(),
    };
    let safety = WriteGuards {
        confirmer: Confirmer::new(Confirm::Strict, false),
        audit: None,
    };
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    tokio::spawn(stdio::serve(
        Server::new(catalog(), context, safety),
        reader,
        writer,
    ));
    Ok(Human::default().serve(ours).await?)
}

/// Adds what a speaker says: the first line beside the name, every line folded where the terminal ends.
fn said(screen: &mut String, speaker: (&str, RgbColor), colour: RgbColor, words: &str) {
    let (mut name, its_colour) = speaker;
    let bold = Style::new().fg_color(Some(its_colour.into())).bold();
    let plain = Style::new().fg_color(Some(colour.into()));
    for line in words.lines().flat_map(folded) {
        // The name is padded before it is coloured: what colours it takes no room on the screen.
        let name = format!("{:MARGIN$}", std::mem::take(&mut name));
        screen.push_str(&format!("{bold}{name}{bold:#}{plain}{line}{plain:#}\n"));
    }
}

/// A line in pieces that fit, cut at spaces where there are any.
fn folded(line: &str) -> Vec<String> {
    let room = WIDTH - MARGIN;
    let indent = line.len() - line.trim_start().len();
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let current = lines.last().map_or(0, |last| last.chars().count());
        if current > indent && current + word.trim_end().chars().count() > room {
            lines.push(" ".repeat(indent + 2));
        }
        if let Some(last) = lines.last_mut() {
            last.push_str(word);
        }
    }
    lines
}

/// The human at the assistant's side: sees every question, agrees unless Ada is to go.
#[derive(Clone, Default)]
struct Human {
    asked: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Human {
    /// The questions since the last look, and the answers.
    fn questions(&self) -> Vec<(String, bool)> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientHandler for Human {
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
        let agrees = !message.contains("ada@example.com");
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((message, agrees));
        Ok(if agrees {
            ElicitResult::new(ElicitationAction::Accept).with_content(json!({"confirm": true}))
        } else {
            ElicitResult::new(ElicitationAction::Decline)
        })
    }
}
