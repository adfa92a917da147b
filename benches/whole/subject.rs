//! What is measured: a server behind standard input and output, a server behind HTTP, and the request alone. Each takes
//! calls, one after the other or many at once.

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

/// With a handshake, as most clients of a local server speak today.
const STDIO_VERSION: &str = "2025-11-25";
/// Without: each request over HTTP stands for itself.
const HTTP_VERSION: &str = "2026-07-28";
/// Users among whom calls over HTTP are divided: a server for a team admits only so many calls of one.
const USERS: usize = 8;
const CONNECTIONS: usize = 64;

/// A call that is made again and again.
#[derive(Clone)]
pub struct Call {
    pub tool: &'static str,
    pub arguments: Value,
    /// What stands in each answer: one that went wrong is not to be counted.
    pub answer: &'static str,
}

impl Call {
    fn params(&self) -> Value {
        json!({"name": self.tool, "arguments": self.arguments})
    }

    fn check(&self, answer: &str) {
        assert!(answer.contains(self.answer), "{}: {answer}", self.tool);
    }
}

/// Takes calls.
pub trait Subject {
    fn process(&self) -> &Process;

    /// Makes so many calls, so many of them at the same time.
    fn run(&mut self, call: &Call, count: usize, in_flight: usize);
}

/// How a server began.
pub struct Start {
    /// From the start of the process to the answer to `tools/list`.
    pub took: Duration,
    /// Bytes of that answer's result.
    pub list: usize,
}

/// A server behind standard input and output.
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
        let answer = server.receive();
        let took = started.elapsed();
        let list = result_bytes(&answer);
        (server, Start { took, list })
    }

    /// The result of one call.
    pub fn call(&mut self, call: &Call) -> Value {
        self.send(&request("tools/call", "2", &call.params()));
        let answer = self.receive();
        call.check(&answer);
        let mut answer: Value = serde_json::from_str(&answer).expect("a message");
        answer["result"].take()
    }

    fn send(&mut self, line: &str) {
        self.process
            .input
            .write_all(line.as_bytes())
            .expect("a reader");
    }

    fn receive(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        line
    }
}

impl Subject for Stdio {
    fn process(&self) -> &Process {
        &self.process
    }

    fn run(&mut self, call: &Call, count: usize, in_flight: usize) {
        let line = request("tools/call", "#", &call.params());
        let (before, after) = line.split_once('#').expect("the id's place");
        let mut waiting = (0..count).map(|id| format!("{before}{id}{after}"));
        let first: String = waiting.by_ref().take(in_flight).collect();
        self.send(&first);
        let mut answer = String::new();
        for _ in 0..count {
            answer.clear();
            self.output.read_line(&mut answer).expect("an answer");
            call.check(&answer);
            if let Some(next) = waiting.next() {
                self.send(&next);
            }
        }
    }
}

/// A server behind HTTP.
pub struct Http {
    process: Process,
    runtime: Runtime,
    address: SocketAddr,
    connections: Vec<SendRequest<Full<Bytes>>>,
}

impl Http {
    /// Starts a server that listens on the address that it is given.
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
        let answer = runtime.block_on(ask(&mut connection, &list));
        let took = started.elapsed();
        let list = result_bytes(&answer);
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
        (server, Start { took, list })
    }
}

impl Subject for Http {
    fn process(&self) -> &Process {
        &self.process
    }

    fn run(&mut self, call: &Call, count: usize, in_flight: usize) {
        let left = Cell::new(count);
        let (left, address) = (&left, self.address);
        let connections = self.connections.iter_mut().take(in_flight).enumerate();
        let loops = connections.map(|(number, connection)| async move {
            let request = post(address, number, "tools/call", call.params());
            while left.get() > 0 {
                left.set(left.get() - 1);
                call.check(&ask(connection, &request).await);
            }
        });
        self.runtime.block_on(join_all(loops));
    }
}

/// The request that a tool makes, made without a server. A call's argument `url` says which.
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
        writeln!(self.process.input, "{count} {in_flight} {url}").expect("a reader");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        assert_eq!(line, "done\n", "the requests failed");
    }
}

/// A request as a line.
fn request(method: &str, id: &str, params: &Value) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n")
}

fn result_bytes(answer: &str) -> usize {
    let answer: Value = serde_json::from_str(answer).expect("a message");
    answer["result"]["tools"]
        .as_array()
        .expect("a list of tools");
    answer["result"].to_string().len()
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address")
}

/// Connects as soon as the server listens.
async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let patience = Instant::now() + Duration::from_secs(20);
    let stream = loop {
        match TcpStream::connect(address).await {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < patience, "{error}"),
        }
        // Nothing else has to run meanwhile, and the runtime's clock ticks too slowly for this.
        std::thread::sleep(Duration::from_micros(100));
    };
    stream.set_nodelay(true).expect("an option");
    let (requests, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
    // It ends with the server, which is no failure.
    tokio::spawn(async move { drop(connection.await) });
    requests
}

/// A request over HTTP by one of the users.
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

async fn ask(connection: &mut SendRequest<Full<Bytes>>, request: &http::Request<Bytes>) -> String {
    connection.ready().await.expect("an open connection");
    let request = request.clone().map(Full::new);
    let answer = connection.send_request(request).await.expect("an answer");
    let body = answer.into_body().collect().await.expect("a whole answer");
    String::from_utf8(body.to_bytes().into()).expect("text")
}
