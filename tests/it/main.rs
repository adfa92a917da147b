//! Integration tests: a real client, the server, real HTTP and the sandbox.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails should stop where it fails"
)]

mod argument_errors;
mod argument_forms;
mod audit_log;
mod catalog;
mod confirm;
mod csv;
mod doctor;
mod empty_results;
mod erasure;
mod errors;
mod eval_run;
mod evals;
mod exports;
mod fault_matrix;
mod filter_names;
mod framing;
mod hostile;
mod http;
mod http_client;
mod human;
mod identifiers;
mod ignored_limit;
mod insight_routes;
mod insights;
mod layers;
mod list_routes;
mod numbers;
mod packaging;
mod policy;
mod process;
mod progress;
mod project;
mod prompts;
mod protocol;
mod queries;
mod random_arguments;
mod redaction;
#[cfg(feature = "redis")]
mod redis;
mod repeated_items;
mod result_invariants;
mod sandbox;
mod size;
mod soak;
mod stdio;
mod tls;
mod tool_search;
mod tools;
mod unknown_outcome;
mod upstream;
mod versions;
mod wire;
#[cfg(not(feature = "redis"))]
mod without_redis;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use exports::Folder;
use human::Human;
use posthog_client::{Client, Connection, ConnectionOptions, Project};
use posthog_persons_mcp::approval::Approvals;
use posthog_persons_mcp::audit::AuditLog;
use posthog_persons_mcp::output::OutputOptions;
use posthog_persons_mcp::policy::{Confirm, Policy};
use posthog_persons_mcp::server::confirmation::Confirmer;
use posthog_persons_mcp::server::{Server, WriteGuards};
use posthog_persons_mcp::tools::{Context, catalog as all_tools};
use posthog_sandbox::{Clock, Fault, FaultKind, RecordedRequest, Sandbox, SandboxOptions};
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::RunningService;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The UUID of Ada, one of the sandbox's persons.
const ADA: &str = "ada0ada0-1815-4852-8000-000000000101";

/// A UUID without a person.
const NOBODY: &str = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";

/// The cases of a property test: these, and more in proportion where `PROPTEST_CASES` exceeds proptest's default of 256.
fn cases(usual: u32) -> u32 {
    let factor = proptest::test_runner::Config::default().cases / 256;
    usual.saturating_mul(factor.max(1))
}

/// Fails where random cases compared nothing: where fewer than one in twenty had anything to compare. The usual share is
/// at least 15 %, so that chance does not fail a test.
#[track_caller]
fn assert_compared(compared: u32, cases: u32) {
    assert!(
        compared >= cases / 20,
        "only {compared} of {cases} cases have anything to compare"
    );
}

/// The configuration of a session.
struct Setup {
    key: &'static str,
    project: Project,
    limits: OutputOptions,
    max_response_bytes: usize,
    timeout: Duration,
    /// The backoff before the first retry.
    retry_pause: Duration,
    /// Whether the client skips the detection of PostHog's version.
    assume_current: bool,
    sandbox: SandboxOptions,
    /// The user; by default, the client supports no elicitation.
    human: Human,
    lifecycle: ClientLifecycleMode,
    /// How deletions are confirmed; by default by the user, and where there is none, as in unattended work.
    confirm: Option<Confirm>,
    /// The approval page, if it is served.
    approvals: Option<Approvals>,
    confirmation_ttl: Duration,
    /// Users of tests reply at once and are persons nevertheless.
    min_reading_time: Duration,
    policy: Policy,
    audit: Option<AuditLog>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            key: Sandbox::KEY,
            project: Project::Number(Sandbox::PROJECT),
            // Tests read the fields, and compare the text with them.
            limits: OutputOptions {
                structured: true,
                ..OutputOptions::default()
            },
            max_response_bytes: 32 * 1024 * 1024,
            timeout: Duration::from_secs(60),
            retry_pause: Duration::from_millis(1),
            assume_current: true,
            sandbox: SandboxOptions {
                clock: Clock::Manual,
                ..SandboxOptions::default()
            },
            human: Human::default(),
            lifecycle: ClientLifecycleMode::Initialize,
            confirm: None,
            approvals: None,
            confirmation_ttl: Duration::from_secs(300),
            min_reading_time: Duration::ZERO,
            policy: Policy::default(),
            audit: None,
        }
    }
}

impl Setup {
    /// With this number of generated persons besides the fixed ones.
    fn persons(count: usize) -> Self {
        let mut setup = Self::default();
        setup.sandbox.persons = count;
        setup
    }

    /// With this maximum size of a tool result.
    fn budget(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    fn confirm(&self) -> Confirm {
        let by_token = !self.human.replies() && self.approvals.is_none();
        let default = if by_token {
            Confirm::Token
        } else {
            Confirm::Auto
        };
        self.confirm.unwrap_or(default)
    }
}

/// A client session with a server and its own sandbox.
struct Session {
    client: RunningService<RoleClient, Human>,
    sandbox: Sandbox,
    key: &'static str,
    limits: OutputOptions,
    /// Where its exports are.
    exports: Arc<Folder>,
}

/// A session with the default setup.
async fn connect() -> Session {
    connect_with(Setup::default()).await
}

/// A session without the query API, as with a PostHog that is too old or a key without the scope.
async fn connect_without_queries(key: &'static str) -> Session {
    let session = connect_as(key).await;
    let body = json!({"type": "invalid_request", "code": "not_found", "detail": "Endpoint not found.", "attr": null});
    session
        .sandbox
        .inject(Fault::always("/query/", FaultKind::json(404, &body)));
    session
}

/// A session with another key.
async fn connect_as(key: &'static str) -> Session {
    let setup = Setup::default();
    connect_with(Setup { key, ..setup }).await
}

async fn connect_with(mut setup: Setup) -> Session {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let options = std::mem::take(&mut setup.sandbox);
    let sandbox = Sandbox::start(listener, options).await.unwrap();
    connect_to(sandbox, Arc::new(Folder::new()), setup).await
}

/// Another session with an existing sandbox, and the exports of an earlier one.
async fn connect_to(sandbox: Sandbox, exports: Arc<Folder>, setup: Setup) -> Session {
    let confirm = setup.confirm();
    let mut options = ConnectionOptions::new(sandbox.url().parse().unwrap());
    options.retry_pause = setup.retry_pause;
    options.max_response_bytes = setup.max_response_bytes;
    options.timeout = setup.timeout;
    options.assume_current = setup.assume_current;
    let connection = Arc::new(Connection::new(&options).unwrap());
    let context = Context {
        posthog: Client::new(connection, SecretString::from(setup.key), setup.project),
        limits: setup.limits.clone(),
        exports: Some(exports.exports()),
    };
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    let safety = WriteGuards {
        confirmer: Confirmer::with_ttl(confirm, setup.approvals, setup.confirmation_ttl)
            .with_min_reading_time(setup.min_reading_time),
        audit: setup.audit,
    };
    let tools = all_tools()
        .into_iter()
        .filter(|tool| setup.policy.offers(tool.name, tool.toolset, tool.effect));
    let server = Server::new(tools.collect(), context, safety);
    tokio::spawn(posthog_persons_mcp::stdio::serve(server, reader, writer));
    let client = setup.human.serve_with_lifecycle(ours, setup.lifecycle);
    Session {
        client: client.await.unwrap(),
        sandbox,
        key: setup.key,
        limits: setup.limits,
        exports,
    }
}

impl Session {
    /// The result of a call, checked against the invariants of all results.
    async fn result(&self, tool: &'static str, arguments: Value) -> CallToolResult {
        let arguments = arguments.as_object().unwrap().clone();
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        let mut result = self.client.call_tool(request).await.unwrap();
        result_invariants::check(tool, self.key, &self.limits, &result);
        // The text once more, in the fields of every write.
        let fields = result.structured_content.as_mut();
        fields.and_then(|fields| fields.as_object_mut()?.remove("message"));
        result
    }

    /// The structured content of a call that must succeed.
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

    /// The error text of a call that must fail. The sandbox's address is replaced.
    async fn error(&self, tool: &'static str, arguments: Value) -> String {
        let result = self.result(tool, arguments).await;
        assert_eq!(result.is_error, Some(true), "{}", text(&result));
        text(&result).replace(&self.sandbox.url(), "http://sandbox")
    }

    /// The requests since the last call as `METHOD path?query`, decoded, with the path of the persons shortened to `B`, and that of the query API to `Q`.
    fn requests(&self) -> Vec<String> {
        assert_eq!(self.sandbox.violations(), Vec::<String>::new());
        let requests = self.sandbox.requests();
        self.sandbox.clear_requests();
        requests.iter().map(request_line).collect()
    }

    /// The nodes of the queries since the last call of [`Session::requests`].
    fn queries(&self) -> Vec<Value> {
        let requests = self.sandbox.requests().into_iter();
        requests
            .filter(|request| request.path.ends_with("/query/"))
            .map(|request| request.body["query"].clone())
            .collect()
    }

    /// The bodies of the requests since the last call of [`Session::requests`].
    fn bodies(&self) -> Vec<Value> {
        let requests = self.sandbox.requests();
        requests.into_iter().map(|request| request.body).collect()
    }
}

fn request_line(request: &RecordedRequest) -> String {
    let root = format!("/api/projects/{}/persons/", Sandbox::PROJECT);
    let path = request.path.replacen(&root, "B/", 1);
    let path = path.replacen(&root.replace("persons/", "query/"), "Q/", 1);
    let query: Vec<String> = url::form_urlencoded::parse(request.query.as_bytes())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let question = if query.is_empty() { "" } else { "?" };
    format!("{} {path}{question}{}", request.method, query.join("&"))
}

fn text(result: &CallToolResult) -> String {
    let (text, links) = result.content.split_first().unwrap();
    assert!(links.iter().all(|link| link.as_resource_link().is_some()));
    text.as_text().unwrap().text.clone()
}

/// One field of each row of a structured result.
fn column<'a>(result: &'a Value, field: &str) -> Vec<&'a str> {
    let rows = result["results"].as_array().unwrap();
    rows.iter()
        .map(|row| row[field].as_str().unwrap())
        .collect()
}
