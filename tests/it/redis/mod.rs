//! Two processes with one Redis, behind a proxy that gives every connection to the other: nobody notices.
//!
//! Needs `redis-server` in the PATH, which the tests start by themselves, each its own.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use posthog_sandbox::{Clock, Fault, FaultKind, Sandbox, SandboxOptions};
use redis::AsyncCommands;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::ADA;
use crate::process::{binary, run, send};
use crate::wire::{PATIENCE, WITHOUT_HANDSHAKE};
use crate::writing::QA;

const STATE_KEY: &str = "0123456789abcdef0123456789abcdef";
const VERSION: &str = "2025-11-25";
const TOOL: &str = "persons-bulk-delete";
const AWAY: &str =
    "Confirmations cannot be checked at the moment (the server's shared store is away)";
const STALE: &str = "The confirmation does not fit";
/// Longer than a process takes to notice that Redis is back.
const BACK: Duration = Duration::from_secs(10);

// What the tests run on.

/// A Redis of its own, which ends with the test.
struct RedisServer {
    port: u16,
    process: Child,
}

impl RedisServer {
    async fn start() -> Self {
        for _ in 0..10 {
            // None that the system gives to whoever asks for any: it has to be free after a pause as well.
            let port = 10_000 + uuid::Uuid::new_v4().as_u128().rem_euclid(20_000) as u16;
            if let Some(process) = Self::process(port).await {
                return Self { port, process };
            }
        }
        panic!("redis-server ends as soon as it is started")
    }

    /// Starts it at this port; nothing if it ends at once, as where the port is taken.
    async fn process(port: u16) -> Option<Child> {
        let mut process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "these tests need redis-server in the PATH (Debian: apt-get install redis-server): {error}"
                )
            });
        let began = Instant::now();
        while !answers(port).await {
            if process.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(began.elapsed() < PATIENCE, "redis-server does not answer");
            sleep(Duration::from_millis(20)).await;
        }
        // Somebody else's Redis would have answered as well.
        let ended = process.try_wait().unwrap().is_some();
        (!ended).then_some(process)
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Lets it run and answer nothing, or answer again.
    async fn signal(&self, signal: &str) {
        send(&self.process, signal).await;
    }

    /// Starts it again at the same port: it remembers nothing.
    async fn start_again(&mut self) {
        self.process = Self::process(self.port).await.expect("a free port");
    }

    async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

async fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return false;
    };
    let mut answer = [0; 5];
    stream.write_all(b"PING\r\n").await.is_ok()
        && stream.read_exact(&mut answer).await.is_ok()
        && answer == *b"+PONG"
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap().port()
}

/// One process of the server.
struct Process {
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    _child: Child,
}

impl Process {
    async fn start(sandbox: &Sandbox, redis: &str, arguments: &[&str]) -> Self {
        let mut command = server(sandbox, redis);
        let mut child = command.args(arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let address = loop {
            let line = timeout(PATIENCE, lines.next_line()).await;
            let line = line.expect("a start in time").unwrap();
            let line = line.unwrap_or_else(|| panic!("no start: {}", log.lock().unwrap()));
            log.lock().unwrap().push_str(&format!("{line}\n"));
            if let Some((_, address)) = line.split_once("address=") {
                break address.trim().parse().unwrap();
            }
        };
        let logging = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                logging.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self {
            address,
            log,
            _child: child,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The binary as a server for whoever brings a key, with what every process of a team has in common.
fn server(sandbox: &Sandbox, redis: &str) -> Command {
    let mut command = binary(&["http", "--bind", "127.0.0.1:0", "--redis", redis]);
    command
        .env("POSTHOG_HOST", sandbox.url())
        .env("POSTHOG_PROJECT_ID", Sandbox::PROJECT.to_string())
        .env("POSTHOG_MCP_STATE_KEY", STATE_KEY);
    command
}

/// Gives every connection to the other process in turn.
struct Proxy {
    address: SocketAddr,
    given: Arc<AtomicUsize>,
}

impl Proxy {
    async fn start(processes: [SocketAddr; 2]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let given = Arc::new(AtomicUsize::new(0));
        let giving = Arc::clone(&given);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let turn = giving.fetch_add(1, Ordering::SeqCst) % processes.len();
                tokio::spawn(async move {
                    let mut process = TcpStream::connect(processes[turn]).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut process).await;
                });
            }
        });
        Self { address, given }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections there were.
    fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }
}

/// Everything together.
struct Team {
    redis: RedisServer,
    sandbox: Sandbox,
    processes: [Process; 2],
    proxy: Proxy,
    http: reqwest::Client,
}

impl Team {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(arguments: &[&str]) -> Self {
        let redis = RedisServer::start().await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let options = SandboxOptions {
            clock: Clock::Manual,
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(listener, options).await.unwrap();
        let processes = [
            Process::start(&sandbox, &redis.url(), arguments).await,
            Process::start(&sandbox, &redis.url(), arguments).await,
        ];
        let proxy = Proxy::start([processes[0].address, processes[1].address]).await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A connection for each request, so that each goes to the other process.
        let http = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        let team = Self {
            redis,
            sandbox,
            processes,
            proxy,
            http,
        };
        team.both_know_that_redis_is("reachable").await;
        team
    }

    fn one(&self) -> String {
        self.processes[0].url()
    }

    fn other(&self) -> String {
        self.processes[1].url()
    }

    /// Waits until both processes know that Redis is there, or that it is away.
    async fn both_know_that_redis_is(&self, state: &str) {
        for process in &self.processes {
            soon("noticed", || async {
                let log = process.log.lock().unwrap();
                let last = log.lines().rfind(|line| line.contains("Redis is "));
                last.is_some_and(|line| line.contains(&format!("Redis is {state}")))
            })
            .await;
        }
    }

    /// The bodies of the deletions that reached PostHog since the last look.
    fn deletions(&self) -> Vec<Value> {
        assert_eq!(self.sandbox.violations(), Vec::<String>::new());
        let requests = self.sandbox.requests();
        self.sandbox.clear_requests();
        let deletions = requests
            .into_iter()
            .filter(|request| request.path.ends_with("/bulk_delete/"));
        deletions.map(|request| request.body).collect()
    }

    /// Sends a message, on behalf of a key and in a session if there is one.
    async fn send(&self, to: &str, key: &str, session: Option<&str>, message: &Value) -> Response {
        let mut request = self
            .http
            .post(format!("{to}/mcp"))
            .bearer_auth(key)
            .header("accept", "application/json, text/event-stream")
            .json(message);
        if let Some(session) = session {
            request = request
                .header("mcp-session-id", session)
                .header("mcp-protocol-version", VERSION);
        }
        if message["params"]["_meta"].is_object() {
            request = request
                .header("mcp-protocol-version", WITHOUT_HANDSHAKE)
                .header("mcp-method", message["method"].as_str().unwrap());
            if let Some(name) = message["params"]["name"].as_str() {
                request = request.header("mcp-name", name);
            }
        }
        request.send().await.unwrap()
    }

    /// A session, begun at one address and acknowledged at another.
    async fn session(&self, begin: &str, acknowledge: &str) -> Session<'_> {
        let client = json!({"name": "by hand", "version": "0"});
        let capabilities = json!({"elicitation": {}});
        let params =
            json!({"protocolVersion": VERSION, "capabilities": capabilities, "clientInfo": client});
        let initialize =
            json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let response = self.send(begin, Sandbox::KEY, None, &initialize).await;
        assert_eq!(response.status(), 200);
        let id = response.headers()["mcp-session-id"].to_str().unwrap();
        let id = id.to_owned();
        let answer = Answers::of(response).last().await;
        assert_eq!(answer["result"]["protocolVersion"], VERSION, "{answer}");
        let session = Session { team: self, id };
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let response = session.send(acknowledge, &initialized).await;
        assert_eq!(response.status(), 202);
        session
    }

    /// A call of 2026-07-28 by a client that can ask, and its result.
    async fn modern(&self, to: &str, tool: &str, arguments: Value, more: Value) -> Value {
        let mut params = more;
        params["name"] = json!(tool);
        params["arguments"] = arguments;
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": WITHOUT_HANDSHAKE,
            "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "0"},
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
        });
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let response = self.send(to, Sandbox::KEY, None, &call).await;
        assert_eq!(response.status(), 200);
        let answer: Value = response.json().await.unwrap();
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].clone()
    }

    /// Asks for a deletion, on 2026-07-28; the state that the yes has to bring.
    async fn asked(&self, to: &str, person: &str) -> Value {
        let asked = self.modern(to, TOOL, deletion(person), json!({})).await;
        assert_eq!(asked["resultType"], "input_required", "{asked}");
        asked["requestState"].clone()
    }

    /// The same call with a yes.
    async fn agreed(&self, to: &str, person: &str, state: &Value) -> Value {
        let yes = json!({"confirm": {"action": "accept", "content": {"confirm": true}}});
        let more = json!({"requestState": state, "inputResponses": yes});
        self.modern(to, TOOL, deletion(person), more).await
    }
}

fn deletion(person: &str) -> Value {
    json!({"ids": [person]})
}

fn call(id: u64, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

fn said(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

fn refused(result: &Value, says: &str) {
    assert_eq!(result["isError"], true, "{result}");
    assert!(said(result).contains(says), "{result}");
}

fn queued(result: &Value) {
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(result["structuredContent"]["status"], "queued", "{result}");
}

/// A session of the older protocol.
struct Session<'a> {
    team: &'a Team,
    id: String,
}

impl Session<'_> {
    async fn send(&self, to: &str, message: &Value) -> Response {
        let session = Some(self.id.as_str());
        self.team.send(to, Sandbox::KEY, session, message).await
    }

    /// The answer to a request.
    async fn ask(&self, to: &str, message: &Value) -> Value {
        let response = self.send(to, message).await;
        assert_eq!(response.status(), 200);
        Answers::of(response).last().await
    }

    /// Lists the tools, which is the least that a session is good for.
    async fn list(&self, to: &str) -> Value {
        self.list_as(7, to).await
    }

    async fn list_as(&self, id: u64, to: &str) -> Value {
        let list = json!({"jsonrpc": "2.0", "id": id, "method": "tools/list", "params": {}});
        let answer = self.ask(to, &list).await;
        assert!(answer["result"]["tools"].is_array(), "{answer}");
        answer
    }

    async fn read(&self, to: &str) {
        let reading = call(8, "persons-retrieve", json!({"id": ADA}));
        let answer = self.ask(to, &reading).await;
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }

    /// Asks for a deletion; the stream of the call, and the question that it begins with.
    async fn question(&self, to: &str, id: u64, person: &str) -> (Answers, Value) {
        let response = self.send(to, &call(id, TOOL, deletion(person))).await;
        assert_eq!(response.status(), 200);
        let mut answers = Answers::of(response);
        let question = answers.next().await.expect("a question");
        assert_eq!(question["method"], "elicitation/create", "{question}");
        (answers, question)
    }

    /// Sends the answer to a question.
    async fn answer(&self, to: &str, question: &Value, result: Value) -> Response {
        let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
        self.send(to, &answer).await
    }

    async fn tick(&self, to: &str, question: &Value) {
        let answered = self.answer(to, question, tick(question)).await;
        assert_eq!(answered.status(), 202);
    }
}

/// The form of a question with its one box ticked.
fn tick(question: &Value) -> Value {
    let boxes = &question["params"]["requestedSchema"]["properties"];
    let boxes: Vec<&String> = boxes.as_object().unwrap().keys().collect();
    let [only] = boxes[..] else {
        panic!("not one box: {question}")
    };
    json!({"action": "accept", "content": {only: true}})
}

/// The messages of an event stream, as they come.
struct Answers {
    response: Response,
    text: String,
}

impl Answers {
    fn of(response: Response) -> Self {
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next message; nothing once the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((line, rest)) = self.text.split_once('\n') {
                let data = line.strip_prefix("data:").unwrap_or_default().trim();
                let message = (!data.is_empty()).then(|| serde_json::from_str(data).unwrap());
                self.text = rest.to_owned();
                if message.is_some() {
                    return message;
                }
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("a message in time").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The answer that ends the stream.
    async fn last(mut self) -> Value {
        let mut last = None;
        while let Some(message) = self.next().await {
            last = Some(message);
        }
        last.expect("an answer")
    }

    /// The result that ends the stream.
    async fn result(self) -> Value {
        let answer = self.last().await;
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].clone()
    }
}

/// Asks until the answer is as wanted: Redis comes and goes in its own time.
async fn soon<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < BACK, "not {what} in time");
        sleep(Duration::from_millis(100)).await;
    }
}

// Sessions.

#[tokio::test]
async fn a_session_works_though_every_request_lands_on_the_other_process() {
    let team = Team::start().await;
    let proxy = team.proxy.url();
    let session = team.session(&proxy, &proxy).await;
    for _ in 0..3 {
        session.list(&proxy).await;
        session.read(&proxy).await;
        // An odd number in all: what was asked of one process is now asked of the other.
        let ping = json!({"jsonrpc": "2.0", "id": 9, "method": "ping"});
        assert!(session.ask(&proxy, &ping).await["result"].is_object());
    }
    assert_eq!(team.proxy.given(), 2 + 3 * 3);
    for process in &team.processes {
        let log = process.log.lock().unwrap();
        assert!(log.contains("called"), "{log}");
    }
}

#[tokio::test]
async fn a_session_that_a_process_does_not_know_yet_may_be_used_by_many_requests_at_once() {
    let team = Team::start().await;
    for _ in 0..5 {
        let session = team.session(&team.one(), &team.one()).await;
        let other = team.other();
        join_all((1..=8).map(|id| session.list_as(id, &other))).await;
    }
}

#[tokio::test]
async fn a_session_is_nobody_elses_on_either_process() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let session = team.session(&one, &one).await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    let answer = json!({"jsonrpc": "2.0", "id": 0, "result": {"action": "cancel"}});
    // The other process has never heard of the session; later it has.
    for _ in 0..2 {
        for to in [&other, &one] {
            for message in [&list, &answer] {
                let id = Some(session.id.as_str());
                let response = team.send(to, Sandbox::LEGACY_KEY, id, message).await;
                assert_eq!(response.status(), 404);
                let response = team.send(to, Sandbox::KEY, Some("nobody"), message).await;
                assert_eq!(response.status(), 404, "{message}");
            }
        }
        session.list(&other).await;
    }
    for to in [&one, &other] {
        for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
            let request = team.http.request(method, format!("{to}/mcp"));
            let request = request
                .bearer_auth(Sandbox::LEGACY_KEY)
                .header("accept", "text/event-stream")
                .header("mcp-protocol-version", VERSION)
                .header("mcp-session-id", &session.id);
            assert_eq!(request.send().await.unwrap().status(), 404);
        }
        session.list(to).await;
    }
}

/// A handshake that was stored without its owner is nobody's.
#[tokio::test]
async fn a_session_of_which_the_owner_is_not_known_is_not_taken_over() {
    let team = Team::start().await;
    let session = team.session(&team.one(), &team.one()).await;
    let mut redis = team.redis.connection().await;
    let key = format!("posthog-persons-mcp:owner:{}", session.id);
    let deleted: usize = redis.del(key).await.unwrap();
    assert_eq!(deleted, 1);
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    for key in [Sandbox::LEGACY_KEY, Sandbox::KEY] {
        let id = Some(session.id.as_str());
        let response = team.send(&team.other(), key, id, &list).await;
        assert_eq!(response.status(), 404);
    }
    session.list(&team.one()).await;
}

#[tokio::test]
async fn a_session_that_is_ended_at_one_process_is_ended_at_the_other() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let session = team.session(&one, &other).await;
    session.list(&one).await;
    session.list(&other).await;
    let end = team
        .http
        .delete(format!("{one}/mcp"))
        .bearer_auth(Sandbox::KEY)
        .header("mcp-protocol-version", VERSION)
        .header("mcp-session-id", &session.id);
    assert!(end.send().await.unwrap().status().is_success());
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    for to in [&one, &other] {
        soon("ended", || async {
            session.send(to, &list).await.status() == 404
        })
        .await;
    }
}

#[tokio::test]
async fn a_session_in_use_is_not_forgotten() {
    let team = Team::start().await;
    let session = team.session(&team.one(), &team.other()).await;
    let mut redis = team.redis.connection().await;
    let keys =
        ["session", "owner"].map(|kind| format!("posthog-persons-mcp:{kind}:{}", session.id));
    for key in &keys {
        let forgotten_soon: bool = redis.expire(key, 100).await.unwrap();
        assert!(forgotten_soon, "{key}");
    }
    session.list(&team.one()).await;
    for key in &keys {
        let seconds: i64 = redis.ttl(key).await.unwrap();
        assert!(seconds > 100, "{key}: {seconds}");
    }
}

/// Sessions that came from elsewhere take places as well.
#[tokio::test]
async fn there_are_only_so_many_sessions_on_either_process() {
    let team = Team::start_with(&["--max-sessions", "2"]).await;
    let (one, other) = (team.one(), team.other());
    for _ in 0..5 {
        let session = team.session(&one, &one).await;
        session.list(&other).await;
    }
    for to in [&one, &other] {
        let metrics = team.http.get(format!("{to}/metrics")).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(metrics.contains("\nmcp_sessions 2\n"), "{metrics}");
    }
}

// Confirmations while a call waits.

#[tokio::test]
async fn an_answer_reaches_the_process_that_asked() {
    let team = Team::start().await;
    let proxy = team.proxy.url();
    let session = team.session(&proxy, &proxy).await;
    for (id, person) in [(1, QA[0]), (2, QA[1])] {
        let before = team.proxy.given();
        let (answers, question) = session.question(&proxy, id, person).await;
        assert_eq!(team.deletions(), Vec::<Value>::new());
        session.tick(&proxy, &question).await;
        assert_eq!(team.proxy.given(), before + 2);
        queued(&answers.result().await);
        let deletions = team.deletions();
        assert_eq!(deletions.len(), 1);
        assert_eq!(deletions[0]["ids"], json!([person]));
        // The next question comes from the other process.
        session.list(&proxy).await;
    }
}

#[tokio::test]
async fn a_no_reaches_the_process_that_asked_as_well() {
    let team = Team::start().await;
    let session = team.session(&team.one(), &team.other()).await;
    for (from, to) in [(team.one(), team.other()), (team.other(), team.one())] {
        let (answers, question) = session.question(&from, 1, QA[0]).await;
        let answered = session.answer(&to, &question, json!({"action": "decline"}));
        assert_eq!(answered.await.status(), 202);
        refused(&answers.result().await, "the user declined");
        assert_eq!(team.deletions(), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn there_is_one_open_question_in_a_session() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let session = team.session(&one, &other).await;
    let (answers, question) = session.question(&one, 1, QA[0]).await;
    for to in [&one, &other] {
        let answer = session.ask(to, &call(2, TOOL, deletion(QA[1]))).await;
        refused(&answer["result"], "another question to the user is open");
    }
    // Another session is free to ask, and its answer is for it alone.
    let another = team.session(&other, &one).await;
    let (others_answers, others_question) = another.question(&other, 1, QA[2]).await;
    another.tick(&one, &others_question).await;
    queued(&others_answers.result().await);
    assert_eq!(team.deletions().len(), 1);

    session.tick(&other, &question).await;
    queued(&answers.result().await);
    let deletions = team.deletions();
    assert_eq!(deletions.len(), 1);
    assert_eq!(deletions[0]["ids"], json!([QA[0]]));
    // Now there is room for the next.
    let (answers, question) = session.question(&other, 3, QA[1]).await;
    session.tick(&one, &question).await;
    queued(&answers.result().await);
}

/// Each process numbers its questions by itself, and an answer says only the number.
#[tokio::test]
async fn a_late_yes_to_a_question_of_one_process_is_no_yes_to_the_others() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let session = team.session(&one, &other).await;
    let (_answers, first) = session.question(&one, 1, QA[0]).await;
    let params = json!({"requestId": 1});
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    assert_eq!(session.send(&one, &cancelled).await.status(), 202);
    // A cancelled call leaves no open question behind.
    let again = call(2, TOOL, deletion(QA[1]));
    let began = Instant::now();
    let (answers, second) = loop {
        let mut answers = Answers::of(session.send(&other, &again).await);
        let answer = answers.next().await.unwrap();
        if answer["method"] == "elicitation/create" {
            break (answers, answer);
        }
        refused(&answer["result"], "another question");
        assert!(began.elapsed() < BACK, "{answer}");
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(first["id"], second["id"]);
    session.tick(&one, &first).await;
    refused(&answers.result().await, "Nothing was sent");
    assert_eq!(team.deletions(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_cancellation_reaches_the_process_that_works_on_the_call() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let session = team.session(&one, &other).await;
    for (from, to, id) in [(&one, &other, 1), (&other, &one, 2), (&one, &one, 3)] {
        team.sandbox.clear_requests();
        team.sandbox
            .inject(Fault::once("/persons/", FaultKind::Stall));
        let reading = call(id, "persons-retrieve", json!({"id": ADA}));
        let response = session.send(from, &reading).await;
        assert_eq!(response.status(), 200);
        soon("asked", || async { !team.sandbox.requests().is_empty() }).await;
        let params = json!({"requestId": id});
        let cancelled =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
        assert_eq!(session.send(to, &cancelled).await.status(), 202);
        let process = &team.processes[usize::from(from == &other)];
        soon("cancelled", || async {
            let log = process.log.lock().unwrap();
            log.contains("outcome=\"cancelled\"")
        })
        .await;
        process.log.lock().unwrap().clear();
        team.sandbox.clear_faults();
        // The session goes on.
        session.read(from).await;
    }
}

// Confirmations between two calls.

#[tokio::test]
async fn a_yes_to_one_process_is_taken_by_the_other_once() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    for (asks, takes, person) in [(&one, &other, QA[0]), (&other, &one, QA[1])] {
        let state = team.asked(asks, person).await;
        assert_eq!(team.deletions(), Vec::<Value>::new());
        queued(&team.agreed(takes, person, &state).await);
        let deletions = team.deletions();
        assert_eq!(deletions.len(), 1);
        assert_eq!(deletions[0]["ids"], json!([person]));
        for to in [asks, takes, asks] {
            refused(&team.agreed(to, person, &state).await, STALE);
        }
        assert_eq!(team.deletions(), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn a_yes_to_both_at_once_is_one() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let state = team.asked(&one, QA[0]).await;
    let both = [&one, &other, &one, &other];
    let results = join_all(both.map(|to| team.agreed(to, QA[0], &state))).await;
    let done = results.iter().filter(|result| result["isError"] == false);
    assert_eq!(done.count(), 1, "{results:?}");
    for result in results.iter().filter(|result| result["isError"] == true) {
        refused(result, STALE);
    }
    assert_eq!(team.deletions().len(), 1);
}

#[tokio::test]
async fn a_no_to_one_process_is_no_yes_at_the_other() {
    let team = Team::start().await;
    let state = team.asked(&team.one(), QA[0]).await;
    let no = json!({"confirm": {"action": "decline"}});
    let more = json!({"requestState": state, "inputResponses": no});
    let result = team.modern(&team.one(), TOOL, deletion(QA[0]), more).await;
    refused(&result, "the user declined");
    refused(&team.agreed(&team.other(), QA[0], &state).await, STALE);
    assert_eq!(team.deletions(), Vec::<Value>::new());
}

// Limits.

#[tokio::test]
async fn requests_of_a_credential_are_counted_over_all_processes() {
    let team = Team::start_with(&["--max-requests-per-minute", "6"]).await;
    // The count begins anew with the clock's minute, which must not turn meanwhile.
    let second = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        % 60;
    if second > 50 {
        sleep(Duration::from_secs(61 - second)).await;
    }
    let discover = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": WITHOUT_HANDSHAKE,
        "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }}});
    for count in 1..=8 {
        let response = team
            .send(&team.proxy.url(), Sandbox::KEY, None, &discover)
            .await;
        let expected = if count <= 6 { 200 } else { 429 };
        assert_eq!(response.status(), expected, "{count}");
        if expected == 429 {
            assert!(response.headers().contains_key("retry-after"));
        }
    }
    for to in [team.one(), team.other()] {
        let response = team.send(&to, Sandbox::KEY, None, &discover).await;
        assert_eq!(response.status(), 429);
        let response = team.send(&to, Sandbox::LEGACY_KEY, None, &discover).await;
        assert_eq!(response.status(), 200);
    }
}

// Redis comes and goes.

#[tokio::test]
async fn without_redis_reads_go_on_and_nothing_is_deleted() {
    let mut team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let state = team.asked(&one, QA[0]).await;
    let session_id = {
        let session = team.session(&one, &one).await;
        session.read(&one).await;
        session.id
    };
    team.redis.kill().await;

    // Reads go on: in the session where it lives, in new ones, and without any.
    let session = Session {
        team: &team,
        id: session_id.clone(),
    };
    for _ in 0..3 {
        session.read(&one).await;
    }
    for to in [&one, &other] {
        let fresh = team.session(to, to).await;
        fresh.read(to).await;
        let read = team.modern(to, "persons-retrieve", json!({"id": ADA}), json!({}));
        assert_eq!(read.await["isError"], false);
        // Nobody can be asked, or nobody can say whether it was asked before.
        for session in [&fresh, &session] {
            let asking = call(5, TOOL, deletion(QA[1]));
            let at = if session.id == session_id { &one } else { to };
            let answer = session.ask(at, &asking).await;
            refused(&answer["result"], AWAY);
        }
        refused(&team.agreed(to, QA[0], &state).await, AWAY);
    }
    assert_eq!(team.deletions(), Vec::<Value>::new());
    // The other process cannot know whose the session is.
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    assert_eq!(session.send(&other, &list).await.status(), 404);
    for process in &team.processes {
        assert!(!process.log.lock().unwrap().contains("panic"));
    }
    drop(session);

    // When it is back, so are the confirmations.
    team.redis.start_again().await;
    team.both_know_that_redis_is("reachable").await;
    queued(&team.agreed(&other, QA[0], &state).await);
    assert_eq!(team.deletions().len(), 1);
    let state = team.asked(&other, QA[1]).await;
    queued(&team.agreed(&one, QA[1], &state).await);
    refused(&team.agreed(&other, QA[1], &state).await, STALE);
    assert_eq!(team.deletions().len(), 1);
    let session = team.session(&one, &other).await;
    let (answers, question) = session.question(&one, 1, QA[2]).await;
    session.tick(&other, &question).await;
    queued(&answers.result().await);
    assert_eq!(team.deletions().len(), 1);
}

#[tokio::test]
async fn a_question_that_is_open_when_redis_goes_away_brings_no_deletion() {
    let mut team = Team::start().await;
    let id = {
        let session = team.session(&team.one(), &team.one()).await;
        session.id
    };
    let (answers, question) = {
        let session = Session {
            team: &team,
            id: id.clone(),
        };
        session.question(&team.one(), 1, QA[0]).await
    };
    team.redis.kill().await;
    refused(&answers.result().await, AWAY);
    let session = Session { team: &team, id };
    let late = session
        .answer(&team.one(), &question, tick(&question))
        .await;
    assert_eq!(late.status(), 503);
    assert_eq!(team.deletions(), Vec::<Value>::new());
}

/// What one process knows to be used stays used, though Redis has lost its memory.
#[tokio::test]
async fn a_yes_does_not_serve_twice_because_redis_began_anew() {
    let mut team = Team::start().await;
    let one = team.one();
    let state = team.asked(&one, QA[0]).await;
    queued(&team.agreed(&one, QA[0], &state).await);
    team.redis.kill().await;
    team.both_know_that_redis_is("unreachable").await;
    team.redis.start_again().await;
    team.both_know_that_redis_is("reachable").await;
    refused(&team.agreed(&one, QA[0], &state).await, STALE);
    assert_eq!(team.deletions().len(), 1);
}

/// A Redis that accepts connections and answers nothing is as good as none.
#[tokio::test]
async fn a_redis_that_hangs_does_not_hold_up_reads() {
    let team = Team::start().await;
    let one = team.one();
    let session = team.session(&one, &one).await;
    let state = team.asked(&one, QA[0]).await;
    team.redis.signal("-STOP").await;
    team.both_know_that_redis_is("unreachable").await;
    for _ in 0..3 {
        let began = Instant::now();
        session.read(&one).await;
        let read = team.modern(&one, "persons-retrieve", json!({"id": ADA}), json!({}));
        assert_eq!(read.await["isError"], false);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    refused(&team.agreed(&one, QA[0], &state).await, AWAY);
    assert_eq!(team.deletions(), Vec::<Value>::new());
    team.redis.signal("-CONT").await;
    let fresh = team.asked(&one, QA[1]).await;
    soon("confirmed", || async {
        team.agreed(&one, QA[1], &fresh).await["isError"] == false
    })
    .await;
    assert_eq!(team.deletions().len(), 1);
}

// The start.

#[tokio::test]
async fn a_redis_that_is_not_there_stops_the_start_and_its_password_is_not_shown() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let sandbox = Sandbox::start(listener, SandboxOptions::default())
        .await
        .unwrap();
    let nobody = free_port().await;
    for url in [
        format!("redis://somebody:hunter2@127.0.0.1:{nobody}"),
        "redis://somebody:hunter2@127.0.0.1:notaport".to_owned(),
        "http://somebody:hunter2@127.0.0.1".to_owned(),
        "hunter2".to_owned(),
    ] {
        let ended = run(server(&sandbox, &url), "").await;
        let refusal = ended.refusal();
        assert!(refusal.contains("--redis"), "{url}: {refusal}");
        assert!(!refusal.contains("hunter2"), "{url}: {refusal}");
        assert!(!refusal.contains("somebody"), "{url}: {refusal}");
    }
}

#[tokio::test]
async fn a_redis_that_refuses_the_password_stops_the_start() {
    let mut redis = RedisServer::start().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let sandbox = Sandbox::start(listener, SandboxOptions::default())
        .await
        .unwrap();
    let url = format!("redis://:hunter2@127.0.0.1:{}", redis.port);
    let ended = run(server(&sandbox, &url), "").await;
    let refusal = ended.refusal();
    assert!(refusal.contains("--redis"), "{refusal}");
    assert!(!refusal.contains("hunter2"), "{refusal}");
    redis.kill().await;
}
