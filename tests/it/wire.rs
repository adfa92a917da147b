//! A client over stdio at the level of JSON-RPC messages.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines};
use tokio::time::timeout;

/// Versions that begin with a handshake.
pub const WITH_HANDSHAKE: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// The stateless version, in which every request carries what the handshake did before.
pub const WITHOUT_HANDSHAKE: &str = "2026-07-28";

/// Longer than any intended wait.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// All versions, oldest first.
pub fn versions() -> impl Iterator<Item = &'static str> {
    WITH_HANDSHAKE.into_iter().chain([WITHOUT_HANDSHAKE])
}

/// A request of this version.
pub fn request(version: &str, id: u64, method: &str, mut params: Value) -> Value {
    if version == WITHOUT_HANDSHAKE {
        let meta = &mut params["_meta"];
        meta["io.modelcontextprotocol/protocolVersion"] = json!(version);
        meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "by hand", "version": "0"});
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    }
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// The first messages of a client of this version: request 0, and the notification after its response.
pub fn opening_messages(version: &str) -> Vec<Value> {
    if version == WITHOUT_HANDSHAKE {
        return vec![request(version, 0, "server/discover", json!({}))];
    }
    let client = json!({"name": "by hand", "version": "0"});
    let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
    vec![
        request(version, 0, "initialize", params),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
    ]
}

/// Parses one line of server output.
pub fn parse_message(line: &str) -> Value {
    let message: Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: not a message: {line}"));
    assert_eq!(message["jsonrpc"], "2.0", "{line}");
    message
}

/// A session with a server.
pub struct JsonRpcClient<R, W> {
    version: &'static str,
    reader: Lines<BufReader<R>>,
    writer: W,
    last_id: u64,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> JsonRpcClient<R, W> {
    /// Opens a session; also returns the result of the first request.
    pub async fn begin(version: &'static str, reader: R, writer: W) -> (Self, Value) {
        let mut wire = Self {
            version,
            reader: BufReader::new(reader).lines(),
            writer,
            last_id: 0,
        };
        let mut messages = opening_messages(version).into_iter();
        wire.send(&messages.next().unwrap()).await;
        let response = wire.receive().await.unwrap();
        assert_eq!(response["id"], 0, "{response}");
        for message in messages {
            wire.send(&message).await;
        }
        (wire, response["result"].clone())
    }

    pub async fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.writer.write_all(line.as_bytes()).await.unwrap();
        self.writer.flush().await.unwrap();
    }

    /// The next message; `None` after the server has closed its output.
    pub async fn receive(&mut self) -> Option<Value> {
        let line = timeout(TIMEOUT, self.reader.next_line()).await;
        let line = line.expect("a response in time").unwrap();
        line.map(|line| parse_message(&line))
    }

    /// Sends a request and returns its response, a result or an error.
    pub async fn send_request(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let request = request(self.version, self.last_id, method, params);
        self.send(&request).await;
        let response = self.receive().await.expect("a response");
        assert_eq!(response["id"], self.last_id, "{response}");
        response
    }

    /// Closes the input and returns the remaining messages.
    pub async fn end(mut self) -> Vec<Value> {
        self.writer.shutdown().await.unwrap();
        let Self {
            mut reader, writer, ..
        } = self;
        drop(writer);
        let mut rest = Vec::new();
        while let Some(line) = timeout(TIMEOUT, reader.next_line())
            .await
            .expect("an end in time")
            .unwrap()
        {
            rest.push(parse_message(&line));
        }
        rest
    }
}
