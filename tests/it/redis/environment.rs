//! Two server processes with one Redis, behind a proxy that alternates between them.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthog_sandbox::{Clock, Sandbox, SandboxOptions};
use reqwest::Response;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::{EventStream, Session, deletion, poll_until};
use crate::process::{binary, send};
use crate::wire::{TIMEOUT, WITHOUT_HANDSHAKE};
use crate::writing::QA;

pub(super) const STATE_KEY: &str = "0123456789abcdef0123456789abcdef";
pub(super) const VERSION: &str = "2025-11-25";
pub(super) const TOOL: &str = "persons-bulk-delete";
pub(super) const UNAVAILABLE: &str = "Confirmation state is unavailable (shared store unreachable)";
pub(super) const STALE: &str = "Invalid confirmation";
/// Longer than a process takes to reconnect to Redis.
pub(super) const RECONNECT_TIMEOUT: Duration = Duration::from_secs(10);

// Processes.

/// A Redis server, stopped at the end of the test.
pub(super) struct RedisServer {
    pub(super) port: u16,
    pub(super) process: Child,
}

impl RedisServer {
    pub(super) async fn start() -> Self {
        for _ in 0..10 {
            // Outside the ephemeral range: the port must still be free after a restart.
            let port = 10_000 + uuid::Uuid::new_v4().as_u128().rem_euclid(20_000) as u16;
            if let Some(process) = Self::process(port).await {
                return Self { port, process };
            }
        }
        panic!("redis-server ends as soon as it is started")
    }

    /// Starts it on this port; `None` if it exits immediately, as with a port in use.
    pub(super) async fn process(port: u16) -> Option<Child> {
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
        while !responds(port).await {
            if process.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(began.elapsed() < TIMEOUT, "redis-server does not respond");
            sleep(Duration::from_millis(20)).await;
        }
        // Another Redis on this port would have responded as well.
        let ended = process.try_wait().unwrap().is_some();
        (!ended).then_some(process)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Suspends or resumes it.
    pub(super) async fn signal(&self, signal: &str) {
        send(&self.process, signal).await;
    }

    /// Restarts it on the same port, without its data.
    pub(super) async fn restart(&mut self) {
        self.process = Self::process(self.port).await.expect("a free port");
    }

    pub(super) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

pub(super) async fn responds(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return false;
    };
    let mut received = [0; 5];
    stream.write_all(b"PING\r\n").await.is_ok()
        && stream.read_exact(&mut received).await.is_ok()
        && received == *b"+PONG"
}

pub(super) async fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap().port()
}

/// One process of the server.
pub(super) struct Process {
    pub(super) address: SocketAddr,
    pub(super) log: Arc<Mutex<String>>,
    child: Child,
}

impl Process {
    pub(super) async fn start(sandbox: &Sandbox, redis: &str, arguments: &[&str]) -> Self {
        let mut command = server(sandbox, redis);
        command.args(arguments);
        Self::spawn(command).await
    }

    pub(super) async fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let address = loop {
            let line = timeout(TIMEOUT, lines.next_line()).await;
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
            child,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The binary as a server with per-request keys and the settings that all processes share.
pub(super) fn server(sandbox: &Sandbox, redis: &str) -> Command {
    server_with_key(sandbox, redis, STATE_KEY)
}

/// The same with another state key, or with none where it is empty.
pub(super) fn server_with_key(sandbox: &Sandbox, redis: &str, state_key: &str) -> Command {
    let mut command = binary(&["http", "--bind", "127.0.0.1:0", "--redis", redis]);
    command
        .env("POSTHOG_HOST", sandbox.url())
        .env("POSTHOG_PROJECT_ID", Sandbox::PROJECT.to_string())
        .env("POSTHOG_MCP_STATE_KEY", state_key);
    command
}

/// Passes connections to the processes in turn.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
}

impl Proxy {
    pub(super) async fn start(processes: [SocketAddr; 2]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for turn in (0..processes.len()).cycle() {
                let Ok((mut client, _)) = listener.accept().await else {
                    break;
                };
                tokio::spawn(async move {
                    let mut process = TcpStream::connect(processes[turn]).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut process).await;
                });
            }
        });
        Self { address }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Redis, the sandbox, two processes and the proxy.
pub(super) struct Team {
    pub(super) redis: RedisServer,
    pub(super) sandbox: Sandbox,
    pub(super) processes: [Process; 2],
    pub(super) proxy: Proxy,
    pub(super) http: reqwest::Client,
}

impl Team {
    pub(super) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(super) async fn start_with(arguments: &[&str]) -> Self {
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
        // One connection per request, so that requests alternate between the processes.
        let http = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .unwrap();
        Self {
            redis,
            sandbox,
            processes,
            proxy,
            http,
        }
    }

    pub(super) fn one(&self) -> String {
        self.processes[0].url()
    }

    pub(super) fn other(&self) -> String {
        self.processes[1].url()
    }

    /// Kills a process.
    pub(super) async fn kill(&mut self, number: usize) {
        self.processes[number].child.kill().await.unwrap();
    }

    /// Waits until both processes reach Redis again.
    pub(super) async fn wait_for_redis(&self) {
        for to in [self.one(), self.other()] {
            poll_until("Redis is reached", || async {
                let metrics = self.http.get(format!("{to}/metrics")).send().await.unwrap();
                let up = metrics.text().await.unwrap().contains("mcp_redis_up 1");
                let asked = self.call_stateless(&to, TOOL, deletion(QA[2]), json!({}));
                asked.await["resultType"] == "input_required" && up
            })
            .await;
        }
    }

    /// The bodies of the deletions that reached PostHog since the last call.
    pub(super) fn deletions(&self) -> Vec<Value> {
        assert_eq!(self.sandbox.violations(), Vec::<String>::new());
        let requests = self.sandbox.requests();
        self.sandbox.clear_requests();
        let deletions = requests
            .into_iter()
            .filter(|request| request.path.ends_with("/bulk_delete/"));
        deletions.map(|request| request.body).collect()
    }

    /// Sends a message with an API key, and with a session id if given.
    pub(super) async fn send(
        &self,
        to: &str,
        key: &str,
        session: Option<&str>,
        message: &Value,
    ) -> Response {
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

    /// A session, initialized at one address and acknowledged at another.
    pub(super) async fn session(&self, begin: &str, acknowledge: &str) -> Session<'_> {
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
        let received = EventStream::of(response).last().await;
        assert_eq!(received["result"]["protocolVersion"], VERSION, "{received}");
        let session = Session { team: self, id };
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let response = session.send(acknowledge, &initialized).await;
        assert_eq!(response.status(), 202);
        session
    }

    /// The result of a call of 2026-07-28 by a client with elicitation.
    pub(super) async fn call_stateless(
        &self,
        to: &str,
        tool: &str,
        arguments: Value,
        more: Value,
    ) -> Value {
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
        let received: Value = response.json().await.unwrap();
        assert!(received["result"].is_object(), "{received}");
        received["result"].clone()
    }

    /// Calls the deletion on 2026-07-28; returns the state for its confirmation.
    pub(super) async fn elicit_stateless(&self, to: &str, person: &str) -> Value {
        let result = self
            .call_stateless(to, TOOL, deletion(person), json!({}))
            .await;
        assert_eq!(result["resultType"], "input_required", "{result}");
        result["requestState"].clone()
    }

    /// Repeats the call with a confirming reply.
    pub(super) async fn confirm_stateless(&self, to: &str, person: &str, state: &Value) -> Value {
        let yes = json!({"confirm": {"action": "accept", "content": {"confirm": true}}});
        let more = json!({"requestState": state, "inputResponses": yes});
        self.call_stateless(to, TOOL, deletion(person), more).await
    }
}
