//! Tests through the front door: a real client, the real server, real HTTP, the sandbox.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails should stop where it fails"
)]

mod catalog;
mod layers;
mod tools;

use std::sync::Arc;
use std::time::Duration;

use posthog_persons_mcp::answer::Limits;
use posthog_persons_mcp::posthog::{Client, Connection, ConnectionOptions, Project};
use posthog_persons_mcp::sandbox::{Clock, Options, RecordedRequest, Sandbox};
use posthog_persons_mcp::server::Server;
use posthog_persons_mcp::tools::{Context, catalog as all_tools};
use posthog_persons_mcp::transport;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::RunningService;
use rmcp::{RoleClient, ServiceExt};
use secrecy::SecretString;
use serde_json::Value;
use tokio::net::TcpListener;

/// How a session is set up.
struct Setup {
    key: &'static str,
    project: Project,
    limits: Limits,
    sandbox: Options,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            key: Sandbox::KEY,
            project: Project::Number(Sandbox::PROJECT),
            limits: Limits {
                bytes: 80_000,
                structured: true,
            },
            sandbox: Options {
                clock: Clock::Manual,
                ..Options::default()
            },
        }
    }
}

/// An assistant's session with a server on a sandbox of its own.
struct Session {
    client: RunningService<RoleClient, ()>,
    sandbox: Sandbox,
}

/// A session with the usual set-up.
async fn connect() -> Session {
    connect_with(Setup::default()).await
}

async fn connect_with(setup: Setup) -> Session {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let sandbox = Sandbox::start(listener, setup.sandbox).await.unwrap();
    let mut options = ConnectionOptions::new(sandbox.url().parse().unwrap());
    options.retry_pause = Duration::from_millis(1);
    let connection = Arc::new(Connection::new(&options).unwrap());
    let context = Context {
        posthog: Client::new(connection, SecretString::from(setup.key), setup.project),
        limits: setup.limits,
    };
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    tokio::spawn(transport::serve(
        Server::new(all_tools(), context),
        reader,
        writer,
    ));
    Session {
        client: ().serve(ours).await.unwrap(),
        sandbox,
    }
}

impl Session {
    async fn result(&self, tool: &'static str, arguments: Value) -> CallToolResult {
        let arguments = arguments.as_object().unwrap().clone();
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        self.client.call_tool(request).await.unwrap()
    }

    /// The structured answer of a call that must succeed.
    async fn call(&self, tool: &'static str, arguments: Value) -> Value {
        let result = self.result(tool, arguments).await;
        assert_eq!(result.is_error, Some(false), "{}", text(&result));
        result.structured_content.unwrap()
    }

    /// The text of a call that must succeed.
    async fn text(&self, tool: &'static str, arguments: Value) -> String {
        let result = self.result(tool, arguments).await;
        assert_eq!(result.is_error, Some(false), "{}", text(&result));
        text(&result)
    }

    /// The text of a call that must fail in a way that the model can read.
    async fn error(&self, tool: &'static str, arguments: Value) -> String {
        let result = self.result(tool, arguments).await;
        assert_eq!(result.is_error, Some(true), "{}", text(&result));
        assert_eq!(result.structured_content, None);
        text(&result)
    }

    /// The requests since the last look as `METHOD path?query`, decoded, the project's root shortened to `B`.
    fn requests(&self) -> Vec<String> {
        assert_eq!(self.sandbox.complaints(), Vec::<String>::new());
        let requests = self.sandbox.requests();
        self.sandbox.clear_requests();
        requests.iter().map(line).collect()
    }
}

fn line(request: &RecordedRequest) -> String {
    let root = format!("/api/projects/{}/persons/", Sandbox::PROJECT);
    let path = request.path.replacen(&root, "B/", 1);
    let query: Vec<String> = url::form_urlencoded::parse(request.query.as_bytes())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let question = if query.is_empty() { "" } else { "?" };
    format!("{} {path}{question}{}", request.method, query.join("&"))
}

fn text(result: &CallToolResult) -> String {
    assert_eq!(result.content.len(), 1);
    result.content[0].as_text().unwrap().text.clone()
}
