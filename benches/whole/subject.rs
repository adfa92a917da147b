//! The measured subjects: a server over stdio, a server over HTTP, and the request only. Each runs calls sequentially or
//! concurrently.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{ChildStdout, Command};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::process::Process;

/// The version with a handshake, which most clients of local servers use.
const STDIO_VERSION: &str = "2025-11-25";
/// The version without a handshake: every HTTP request is self-contained.
const HTTP_VERSION: &str = "2026-07-28";
/// Number of users that HTTP calls are divided among, because the server limits concurrent calls per credential.
const USERS: usize = 8;
const CONNECTIONS: usize = 64;

/// A tool call to measure.
#[derive(Clone)]
pub struct Call {
    pub tool: &'static str,
    pub arguments: Value,
    /// A substring of every successful response; any other response fails the benchmark.
    pub expected: &'static str,
}

impl Call {
    fn params(&self) -> Value {
        json!({"name": self.tool, "arguments": self.arguments})
    }

    fn check(&self, response: &str) {
        assert!(
            response.contains(self.expected),
            "{}: {response}",
            self.tool
        );
    }
}

/// A process that runs calls.
pub trait Subject {
    fn process(&self) -> &Process;

    /// Runs `count` calls with up to `in_flight` of them concurrently.
    fn run(&mut self, call: &Call, count: usize, in_flight: usize);
}

/// The startup of a server.
pub struct Start {
    /// From the start of the process to the response to `tools/list`.
    pub duration: Duration,
    /// Size of the `tools/list` result in bytes.
    pub list_bytes: usize,
}

/// A server over stdio.
pub struct Stdio {
    process: Process,
    output: BufReader<ChildStdout>,
}

impl Stdio {
    pub fn start(mut command: Command) -> (Self, Start) {
        let started = Instant::now();
        let (process, output) = Process::start(&mut command);
        let mut server = Self { process, output };
        let client = json!({"name": "bench", "version": "0"});
        let params =
            json!({"protocolVersion": STDIO_VERSION, "capabilities": {}, "clientInfo": client});
        server.send(&request("initialize", "0", &params));
        server.receive();
        server.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
        server.send(&request("tools/list", "1", &json!({})));
        let response = server.receive();
        let duration = started.elapsed();
        let list_bytes = result_bytes(&response);
        (
            server,
            Start {
                duration,
                list_bytes,
            },
        )
    }

    /// The result of one call.
    pub fn call(&mut self, call: &Call) -> Value {
        self.send(&request("tools/call", "2", &call.params()));
        let response = self.receive();
        call.check(&response);
        let mut response: Value = serde_json::from_str(&response).expect("a message");
        response["result"].take()
    }

    fn send(&mut self, line: &str) {
        self.process
            .input
            .write_all(line.as_bytes())
            .expect("standard input is open");
    }

    fn receive(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an response");
        line
    }
}

impl Subject for Stdio {
    fn process(&self) -> &Process {
        &self.process
    }

    fn run(&mut self, call: &Call, count: usize, in_flight: usize) {
        let line = request("tools/call", "#", &call.params());
        let (before, after) = line.split_once('#').expect("a placeholder for the id");
        let mut pending = (0..count).map(|id| format!("{before}{id}{after}"));
        let first: String = pending.by_ref().take(in_flight).collect();
        self.send(&first);
        let mut response = String::new();
        for _ in 0..count {
            response.clear();
            self.output.read_line(&mut response).expect("an response");
            call.check(&response);
            if let Some(next) = pending.next() {
                self.send(&next);
            }
        }
    }
}

/// A server over HTTP.
pub struct Http {
    process: Process,
    runtime: Runtime,
    address: SocketAddr,
    connections: Vec<SendRequest<Full<Bytes>>>,
}

impl Http {
    /// Starts a server on a free address, which `command` gets.
    pub fn start(command: impl FnOnce(SocketAddr) -> Command) -> (Self, Start) {
        let address = free_address();
        let mut command = command(address);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let started = Instant::now();
        let (process, _) = Process::start(&mut command);
        let mut connection = runtime.block_on(connect(address));
        let list = post(address, 0, "tools/list", json!({}));
        let response = runtime.block_on(send(&mut connection, &list));
        let duration = started.elapsed();
        let list_bytes = result_bytes(&response);
        let mut connections = vec![connection];
        while connections.len() < CONNECTIONS {
            connections.push(runtime.block_on(connect(address)));
        }
        let server = Self {
            process,
            runtime,
            address,
            connections,
        };
        (
            server,
            Start {
                duration,
                list_bytes,
            },
        )
    }
}

impl Subject for Http {
    fn process(&self) -> &Process {
        &self.process
    }

    fn run(&mut self, call: &Call, count: usize, in_flight: usize) {
        let remaining = Cell::new(count);
        let (remaining, address) = (&remaining, self.address);
        let connections = self.connections.iter_mut().take(in_flight).enumerate();
        let loops = connections.map(|(number, connection)| async move {
            let request = post(address, number, "tools/call", call.params());
            while remaining.get() > 0 {
                remaining.set(remaining.get() - 1);
                call.check(&send(connection, &request).await);
            }
        });
        self.runtime.block_on(join_all(loops));
    }
}

/// The HTTP request of a tool without a server: gets the call's argument `url`.
pub struct Direct {
    process: Process,
    output: BufReader<ChildStdout>,
}

impl Direct {
    pub fn start(mut command: Command) -> Self {
        let (process, output) = Process::start(&mut command);
        Self { process, output }
    }
}

impl Subject for Direct {
    fn process(&self) -> &Process {
        &self.process
    }

    fn run(&mut self, call: &Call, count: usize, in_flight: usize) {
        let url = call.arguments["url"].as_str().expect("an address");
        writeln!(self.process.input, "{count} {in_flight} {url}").expect("standard input is open");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an response");
        assert_eq!(line, "done\n", "the requests failed");
    }
}

/// A JSON-RPC request as a line.
fn request(method: &str, id: &str, params: &Value) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n")
}

fn result_bytes(response: &str) -> usize {
    let response: Value = serde_json::from_str(response).expect("a message");
    response["result"]["tools"]
        .as_array()
        .expect("a list of tools");
    response["result"].to_string().len()
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address")
}

/// Connects, retrying until the server listens.
async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let stream = loop {
        match TcpStream::connect(address).await {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        // Blocks deliberately: the runtime's timer is too coarse, and nothing else has to run.
        std::thread::sleep(Duration::from_micros(100));
    };
    stream.set_nodelay(true).expect("an option");
    let (requests, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
    // Fails when the server exits, which is expected.
    tokio::spawn(async move { drop(connection.await) });
    requests
}

/// An HTTP request with the API key of one of the users.
fn post(
    address: SocketAddr,
    number: usize,
    method: &str,
    mut params: Value,
) -> http::Request<Bytes> {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": HTTP_VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mut post = http::Request::post("/mcp")
        .header("host", address.to_string())
        .header(
            "authorization",
            format!("Bearer phx_bench_{}", number % USERS),
        )
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", HTTP_VERSION)
        .header("mcp-method", method);
    if let Some(name) = params["name"].as_str() {
        post = post.header("mcp-name", name);
    }
    post.body(request(method, "1", &params).into())
        .expect("a request")
}

async fn send(connection: &mut SendRequest<Full<Bytes>>, request: &http::Request<Bytes>) -> String {
    connection.ready().await.expect("an open connection");
    let request = request.clone().map(Full::new);
    let response = connection.send_request(request).await.expect("an response");
    let body = response
        .into_body()
        .collect()
        .await
        .expect("a whole response");
    String::from_utf8(body.to_bytes().into()).expect("text")
}
