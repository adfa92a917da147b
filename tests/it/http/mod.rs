//! The server for a team, over real HTTP and by hand: what a client library would hide is in sight.

mod confirmation;
mod credentials;
mod host_policy;
mod limits;
mod protocol;
mod stopping;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use posthog_client::{Client, Connection, ConnectionOptions, Project};
use posthog_persons_mcp::coordination::Store;
use posthog_persons_mcp::http::{
    AuthMode, Credentials, HostPolicy, HttpLimits, HttpOptions, Metrics, ProjectCache, serve,
};
use posthog_persons_mcp::output::OutputOptions as Budget;
use posthog_persons_mcp::policy::{Confirm, Policy};
use posthog_persons_mcp::server::confirmation::Confirmer;
use posthog_persons_mcp::server::{Server, WriteGuards};
use posthog_persons_mcp::tools::{catalog, scopes};
use posthog_sandbox::{Clock, Key, Sandbox};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response};
use rustls::crypto::ring;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::process;
use crate::wire::{PATIENCE, WITHOUT_HANDSHAKE, beginning, message, request};

/// Two people of a team. Their keys open the same in the sandbox.
const MARY: &str = "phx_mary_7f3a91c2e5d8b604";
const JOHN: &str = "phx_john_0c9d4be18f72a653";

/// The version from which on a client names the version with every request.
const NAMES_ITSELF: &str = "2025-06-18";

const SESSION: &str = "mcp-session-id";

/// Every route that wants a credential, with a method that it has.
const PROTECTED: [(Method, &str); 5] = [
    (Method::POST, "/mcp"),
    (Method::GET, "/mcp"),
    (Method::DELETE, "/mcp"),
    (Method::GET, "/sse"),
    (
        Method::POST,
        "/messages?sessionId=6ba7b810-9dad-41d1-80b4-00c04fd430c8",
    ),
];

/// Every route that wants none.
const OPEN: [&str; 5] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
];

/// The numbers of this process. There is one set of them, whatever servers are in it.
fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| Metrics::install().unwrap()).clone()
}

/// How a server for a team is set up.
struct Setup {
    sandbox: posthog_sandbox::SandboxOptions,
    /// What stands in for the sandbox, where it is another PostHog.
    upstream: Option<String>,
    /// The token of the server, which then has a key; without one every request brings its own.
    shared: Option<Option<&'static str>>,
    project: Project,
    policy: Policy,
    confirm: Confirm,
    state_key: Option<&'static str>,
    host_policy: HostPolicy,
    limits: HttpLimits,
    legacy_sse: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            sandbox: posthog_sandbox::SandboxOptions {
                clock: Clock::Manual,
                keys: vec![Key::scoped(MARY, &["*"]), Key::scoped(JOHN, &["*"])],
                ..posthog_sandbox::SandboxOptions::default()
            },
            upstream: None,
            shared: None,
            project: Project::Number(Sandbox::PROJECT),
            policy: Policy::default(),
            confirm: Confirm::Auto,
            state_key: None,
            host_policy: HostPolicy::default(),
            limits: HttpLimits::default(),
            legacy_sse: true,
        }
    }
}

/// A server for a team, and the sandbox behind it.
struct Team {
    sandbox: Sandbox,
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<std::io::Result<()>>,
}

async fn team() -> Team {
    team_with(Setup::default()).await
}

async fn team_with(mut setup: Setup) -> Team {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let options = std::mem::take(&mut setup.sandbox);
    let sandbox = Sandbox::start(listener, options).await.unwrap();
    beside(sandbox, setup).await
}

/// One more server on a sandbox that is there already.
async fn beside(sandbox: Sandbox, setup: Setup) -> Team {
    let upstream = setup.upstream.unwrap_or_else(|| sandbox.url());
    let mut options = ConnectionOptions::new(upstream.parse().unwrap());
    options.retry_pause = Duration::from_millis(1);
    let connection = Arc::new(Connection::new(&options).unwrap());
    let auth_mode = match setup.shared {
        None => AuthMode::PerRequestKey,
        Some(token) => AuthMode::ServerKey {
            posthog: Client::new(
                Arc::clone(&connection),
                SecretString::from(Sandbox::KEY),
                setup.project,
            ),
            token: token.map(SecretString::from),
        },
    };
    let mut confirmer = Confirmer::new(setup.confirm, false);
    if let Some(key) = setup.state_key {
        confirmer = confirmer.with_key(&SecretString::from(key));
    }
    let policy = setup.policy;
    let tools = catalog()
        .into_iter()
        .filter(|tool| policy.offers(tool.name, tool.toolset, tool.effect));
    let offered: Vec<_> = tools.collect();
    let scopes = scopes(&offered).into_iter().collect();
    let budget = Budget::default();
    let server = Server::shared(
        offered,
        budget,
        WriteGuards {
            confirmer,
            audit: None,
        },
    );
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = HttpOptions {
        credentials: Credentials {
            public_url: format!("http://{address}"),
            connection,
            project: setup.project,
            tool_names: catalog().iter().map(|tool| tool.name).collect(),
            scopes,
            auth_mode,
            projects: ProjectCache::default(),
        },
        host_policy: setup.host_policy,
        limits: setup.limits,
        legacy_sse: setup.legacy_sse,
        metrics: metrics(),
        store: Store::default(),
    };
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    Team {
        sandbox,
        address,
        stop,
        served: tokio::spawn(serve(listener, server, options, stopped)),
    }
}

impl Team {
    fn caller(&self, key: &str) -> Caller {
        caller(self.address, Some(key))
    }

    /// Tells the server to stop, and waits until it has.
    async fn stop(self) {
        self.stop.cancel();
        let served = timeout(PATIENCE, self.served).await;
        served.expect("the server ends").unwrap().unwrap();
    }

    /// The requests since the last look that changed something.
    fn sent(&self) -> Vec<String> {
        sent(&self.sandbox)
    }
}

fn sent(sandbox: &Sandbox) -> Vec<String> {
    assert_eq!(sandbox.violations(), Vec::<String>::new());
    let requests = sandbox.requests();
    sandbox.clear_requests();
    let writes = requests
        .iter()
        .filter(|request| request.method != "GET" && !request.path.contains("/batch_by_"));
    writes.map(crate::line).collect()
}

/// Somebody who calls a server, with or without a credential.
#[derive(Clone)]
struct Caller {
    http: reqwest::Client,
    address: SocketAddr,
    bearer: Option<String>,
    headers: Vec<(&'static str, String)>,
    /// What their client declares.
    capabilities: Value,
}

/// Connections are this caller's alone.
fn caller(address: SocketAddr, bearer: Option<&str>) -> Caller {
    let provider = Arc::new(ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .retry(reqwest::retry::never());
    Caller {
        http: http.build().unwrap(),
        address,
        bearer: bearer.map(str::to_owned),
        headers: Vec::new(),
        capabilities: json!({}),
    }
}

impl Caller {
    /// The same, who says this with every request.
    fn saying(&self, name: &'static str, value: &str) -> Self {
        let mut caller = self.clone();
        caller.headers.push((name, value.to_owned()));
        caller
    }

    /// The same, whose client can ask its user.
    fn with_a_human(&self) -> Self {
        Self {
            capabilities: json!({"elicitation": {"form": {}}}),
            ..self.clone()
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self
            .http
            .request(method.clone(), format!("http://{}{path}", self.address));
        // As the protocol wants it of each method.
        request = match method {
            Method::POST => request.header("accept", "application/json, text/event-stream"),
            _ => request.header("accept", "text/event-stream"),
        };
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request
    }

    /// An answer up to its headers.
    async fn send(&self, request: RequestBuilder) -> Response {
        let response = timeout(PATIENCE, request.send()).await;
        response.expect("an answer in time").unwrap()
    }

    async fn read(&self, request: RequestBuilder) -> Reply {
        Reply::of(self.send(request).await).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.read(self.request(Method::GET, path)).await
    }

    /// A request of the version without a handshake.
    fn stateless(&self, method: &str, params: Value) -> RequestBuilder {
        let mut body = request(WITHOUT_HANDSHAKE, 1, method, params);
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            self.capabilities.clone();
        let name = &body["params"]["name"];
        let name = name.as_str().or_else(|| body["params"]["uri"].as_str());
        let mut request = self
            .request(Method::POST, "/mcp")
            .header("mcp-protocol-version", WITHOUT_HANDSHAKE)
            .header("mcp-method", method);
        if let Some(name) = name {
            request = request.header("mcp-name", name);
        }
        request.json(&body)
    }

    fn calling(&self, tool: &str, arguments: &Value) -> RequestBuilder {
        let params = json!({"name": tool, "arguments": arguments});
        self.stateless("tools/call", params)
    }

    /// The result of a tool.
    async fn call(&self, tool: &str, arguments: &Value) -> Value {
        let reply = self.read(self.calling(tool, arguments)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()["result"].clone()
    }

    /// The names of the tools that are offered.
    async fn offered(&self) -> Vec<String> {
        let list = self.stateless("tools/list", json!({}));
        let list = self.read(list).await;
        assert_eq!(list.status, 200, "{}", list.text);
        crate::process::offered(&list.json())
    }
}

/// A whole answer.
struct Reply {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = timeout(PATIENCE, response.text()).await;
        let text = text.expect("the whole answer in time").unwrap();
        Self {
            status,
            headers,
            text,
        }
    }

    fn json(&self) -> Value {
        let json = serde_json::from_str(&self.text);
        json.unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default()
    }

    /// The challenge of a 401.
    fn challenge(&self) -> &str {
        assert_eq!(self.status, 401, "{}", self.text);
        self.header(WWW_AUTHENTICATE.as_str())
    }
}

/// A stream of events.
struct Events {
    response: Response,
    unread: String,
}

impl Events {
    fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self {
            response,
            unread: String::new(),
        }
    }

    /// The next event with something in it, as its kind and its content; nothing once the server has ended the stream.
    async fn next(&mut self) -> Option<(String, String)> {
        loop {
            while let Some(end) = self.unread.find("\n\n") {
                let event: String = self.unread.drain(..end + 2).collect();
                let field = |name: &str| {
                    let lines = event.lines().filter_map(|line| line.strip_prefix(name));
                    lines.map(str::trim_start).collect::<Vec<_>>().join("\n")
                };
                let (kind, data) = (field("event:"), field("data:"));
                if !data.is_empty() {
                    return Some((kind, data));
                }
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("an event in time").unwrap()?;
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next message that wants something or answers something.
    async fn message(&mut self) -> Value {
        loop {
            let (_, data) = self.next().await.expect("a message before the end");
            let message = message(&data);
            let notes = message["method"]
                .as_str()
                .is_some_and(|method| method.starts_with("notifications/"));
            if !notes {
                return message;
            }
        }
    }

    /// Reads on until the server ends the stream.
    async fn end(mut self) {
        while self.next().await.is_some() {}
    }
}

/// A conversation of any version at `/mcp`: with a handshake in a session, without one in requests that stand alone.
struct Conversation {
    caller: Caller,
    version: &'static str,
    session: Option<String>,
    last_id: u64,
}

impl Conversation {
    async fn begin(caller: &Caller, version: &'static str) -> Self {
        let mut conversation = Self {
            caller: caller.clone(),
            version,
            session: None,
            last_id: 0,
        };
        if version == WITHOUT_HANDSHAKE {
            return conversation;
        }
        let mut messages = beginning(version).into_iter();
        let mut hello = messages.next().unwrap();
        hello["params"]["capabilities"] = caller.capabilities.clone();
        let response = conversation.post(&hello).await;
        let session = response.headers()[SESSION].to_str().unwrap().to_owned();
        let answer = Events::of(response).message().await;
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        conversation.session = Some(session);
        for message in messages {
            assert_eq!(conversation.post(&message).await.status(), 202);
        }
        conversation
    }

    fn session(&self) -> &str {
        self.session.as_deref().unwrap()
    }

    /// A request of this conversation.
    fn request(&self, method: Method) -> RequestBuilder {
        let mut request = self.caller.request(method, "/mcp");
        if let Some(session) = &self.session {
            request = request.header(SESSION, session);
            if self.version >= NAMES_ITSELF {
                request = request.header("mcp-protocol-version", self.version);
            }
        }
        request
    }

    async fn post(&self, message: &Value) -> Response {
        let request = self.request(Method::POST).json(message);
        self.caller.send(request).await
    }

    /// The same conversation as somebody else would go on with it.
    fn taken_over_by(&self, caller: &Caller) -> Self {
        Self {
            caller: caller.clone(),
            version: self.version,
            session: self.session.clone(),
            last_id: self.last_id,
        }
    }

    /// Sends a request with a handshake; its number and the stream with its answer.
    async fn open(&mut self, method: &str, params: Value) -> (u64, Events) {
        self.last_id += 1;
        let message = request(self.version, self.last_id, method, params);
        (self.last_id, Events::of(self.post(&message).await))
    }

    /// Asks and waits for the answer, a result or an error.
    async fn ask(&mut self, method: &str, params: Value) -> Value {
        if self.version == WITHOUT_HANDSHAKE {
            let reply = self
                .caller
                .read(self.caller.stateless(method, params))
                .await;
            return reply.json();
        }
        let (id, mut events) = self.open(method, params).await;
        let answer = events.message().await;
        assert_eq!(answer["id"], id, "{answer}");
        // The stream of a request ends with its answer.
        events.end().await;
        answer
    }

    /// The result of a tool.
    async fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let answer = self.ask("tools/call", params).await;
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].clone()
    }
}

/// A conversation over the older HTTP+SSE.
struct Older {
    caller: Caller,
    events: Events,
    messages: String,
    last_id: u64,
}

impl Older {
    async fn begin(caller: &Caller) -> Self {
        Self::begin_with(caller, "2024-11-05").await
    }

    async fn begin_with(caller: &Caller, version: &str) -> Self {
        let opened = caller.send(caller.request(Method::GET, "/sse")).await;
        let mut events = Events::of(opened);
        let (kind, messages) = events.next().await.unwrap();
        assert_eq!(kind, "endpoint");
        let mut older = Self {
            caller: caller.clone(),
            events,
            messages,
            last_id: 0,
        };
        let mut handshake = beginning(version).into_iter();
        let mut hello = handshake.next().unwrap();
        hello["params"]["capabilities"] = caller.capabilities.clone();
        older.post(&hello).await;
        let answer = older.events.message().await;
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        for message in handshake {
            older.post(&message).await;
        }
        older
    }

    fn posting(&self, message: &Value) -> RequestBuilder {
        let request = self.caller.request(Method::POST, &self.messages);
        request.json(message)
    }

    async fn post(&self, message: &Value) {
        let reply = self.caller.read(self.posting(message)).await;
        assert_eq!(reply.status, 202, "{}", reply.text);
    }

    /// Sends a request; its number.
    async fn open(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let message = request("2024-11-05", self.last_id, method, params);
        self.post(&message).await;
        self.last_id
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.open(method, params).await;
        let answer = self.events.message().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// The result of a tool.
    async fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let answer = self.ask("tools/call", params).await;
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].clone()
    }
}

/// The text of a tool's result.
fn said(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

#[track_caller]
fn refused(result: &Value, says: &str) {
    assert_eq!(result["isError"], true, "{result}");
    assert!(said(result).starts_with(says), "{result}");
}

/// The names of all tools.
fn all_tools() -> Vec<String> {
    catalog().iter().map(|tool| tool.name.to_owned()).collect()
}

fn set(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(String::as_str).collect()
}

/// Sends bytes that no client library would; what comes back until the server closes.
async fn raw(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    read.expect("an answer in time").unwrap();
    String::from_utf8(answer).unwrap()
}

/// The binary as a server.
struct Process {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

/// A server on a port of its own, with these settings.
fn binary(arguments: &[&str]) -> Command {
    let mut all = vec!["http", "--bind", "127.0.0.1:0"];
    all.extend(arguments);
    crate::process::binary(&all)
}

/// The same, in which every request brings its own key to this PostHog.
fn binary_at(posthog: &str, arguments: &[&str]) -> Command {
    let mut command = binary(arguments);
    command
        .env("POSTHOG_HOST", posthog)
        .env("POSTHOG_PROJECT_ID", Sandbox::PROJECT.to_string());
    command
}

impl Process {
    async fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut begun = String::new();
        let address = loop {
            let line = timeout(PATIENCE, lines.next_line()).await;
            let line = line.expect("a line in time").unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended: {begun}"));
            begun.push_str(&line);
            begun.push('\n');
            if let Some((_, address)) = line.split_once("serving over HTTP address=") {
                break address.trim().parse().unwrap();
            }
        };
        let log = Arc::new(Mutex::new(begun));
        let writing = Arc::clone(&log);
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = writing.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self {
            child,
            address,
            log,
            reading,
        }
    }

    fn caller(&self, key: &str) -> Caller {
        caller(self.address, Some(key))
    }

    /// Sends a signal that ends it, and waits until the shutdown begins.
    async fn signal(&self, name: &str) {
        process::send(&self.child, name).await;
        let begun = async {
            while !self.log.lock().unwrap().contains("shutting down") {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, begun).await.expect("a shutdown in time");
    }

    /// Waits for the end; the exit code, and all that was logged.
    async fn end(mut self) -> (Option<i32>, String) {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.expect("an end in time").unwrap();
        self.reading.await.unwrap();
        let log = self.log.lock().unwrap().clone();
        (status.code(), log)
    }

    /// Stops it; all that was logged.
    async fn stop(self) -> String {
        self.signal("-TERM").await;
        let (code, log) = self.end().await;
        assert_eq!(code, Some(0), "{log}");
        log
    }
}
