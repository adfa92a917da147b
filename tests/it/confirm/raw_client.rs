//! A client at the level of JSON-RPC messages.

use crate::Session;
use crate::wire::{TIMEOUT, WITHOUT_HANDSHAKE, parse_message, request};
use posthog_client::{Client, Connection, ConnectionOptions, Project};
use posthog_persons_mcp::output::OutputOptions;
use posthog_persons_mcp::policy::Confirm;
use posthog_persons_mcp::server::confirmation::Confirmer;
use posthog_persons_mcp::server::{Server, WriteGuards};
use posthog_persons_mcp::stdio;
use posthog_persons_mcp::tools::{Context, ToolDefinition, catalog};
use posthog_sandbox::Sandbox;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A client at the level of JSON-RPC messages, with form elicitation by default.
pub(super) struct RawClient {
    pub(super) version: &'static str,
    pub(super) capabilities: Value,
    pub(super) lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    pub(super) writer: WriteHalf<DuplexStream>,
    pub(super) last_id: u64,
    pub(super) served: JoinHandle<()>,
}

pub(super) fn forms() -> Value {
    json!({"elicitation": {"form": {}}})
}

pub(super) fn confirmer() -> Confirmer {
    Confirmer::new(Confirm::Auto, None).with_min_reading_time(Duration::ZERO)
}

pub(super) fn token_confirmer() -> Confirmer {
    Confirmer::new(Confirm::Token, None)
}

/// A server on the sandbox of a session, with its own confirmer.
pub(super) fn server(session: &Session, confirmer: Confirmer) -> Server {
    server_of(catalog(), session, confirmer)
}

pub(super) fn server_of(
    tools: Vec<ToolDefinition>,
    session: &Session,
    confirmer: Confirmer,
) -> Server {
    let mut options = ConnectionOptions::new(session.sandbox.url().parse().unwrap());
    options.assume_current = true;
    let connection = Arc::new(Connection::new(&options).unwrap());
    let project = Project::Number(Sandbox::PROJECT);
    let context = Context {
        posthog: Client::new(connection, SecretString::from(Sandbox::KEY), project),
        exports: None,
        limits: OutputOptions {
            structured: true,
            ..OutputOptions::default()
        },
    };
    Server::new(
        tools,
        context,
        WriteGuards {
            confirmer,
            audit: None,
        },
    )
}

impl RawClient {
    pub(super) async fn begin(server: &Server, version: &'static str, capabilities: Value) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(theirs);
        let server = server.clone();
        let served = tokio::spawn(async move {
            stdio::serve(server, reader, writer).await.unwrap();
        });
        let (reader, writer) = tokio::io::split(ours);
        let mut client = Self {
            version,
            capabilities,
            lines: BufReader::new(reader).lines(),
            writer,
            last_id: 0,
            served,
        };
        if version != WITHOUT_HANDSHAKE {
            let who = json!({"name": "by hand", "version": "0"});
            let params = json!({"protocolVersion": version, "capabilities": client.capabilities, "clientInfo": who});
            client
                .send(&request(version, 0, "initialize", params))
                .await;
            assert_eq!(client.receive().await["result"]["protocolVersion"], version);
            client
                .send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
                .await;
        }
        client
    }

    pub(super) async fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.writer.write_all(line.as_bytes()).await.unwrap();
    }

    /// The next request or response, skipping notifications.
    pub(super) async fn receive(&mut self) -> Value {
        loop {
            let line = timeout(TIMEOUT, self.lines.next_line()).await;
            let line = line.expect("a message in time").unwrap();
            let message = parse_message(&line.expect("a message before the end"));
            let notes = message["method"]
                .as_str()
                .is_some_and(|method| method.starts_with("notifications/"));
            if !notes {
                return message;
            }
        }
    }

    /// Sends a call and returns its request id.
    pub(super) async fn call(&mut self, tool: &str, arguments: &Value) -> u64 {
        self.call_with(tool, arguments, json!({})).await
    }

    /// Sends a call with additional parameters.
    pub(super) async fn call_with(
        &mut self,
        tool: &str,
        arguments: &Value,
        mut params: Value,
    ) -> u64 {
        self.last_id += 1;
        params["name"] = json!(tool);
        params["arguments"] = arguments.clone();
        let mut call = request(self.version, self.last_id, "tools/call", params);
        if self.version == WITHOUT_HANDSHAKE {
            let meta = &mut call["params"]["_meta"];
            meta["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        }
        self.send(&call).await;
        self.last_id
    }

    /// The result of a call.
    pub(super) async fn result(&mut self, id: u64) -> Value {
        let response = self.receive().await;
        assert_eq!(response["id"], id, "{response}");
        assert!(response["result"].is_object(), "{response}");
        response["result"].clone()
    }

    /// The elicitation request of a call.
    pub(super) async fn elicitation(&mut self) -> Value {
        let question = self.receive().await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        question
    }

    /// Sends the reply to it.
    pub(super) async fn reply(&mut self, question: &Value, result: Value) {
        let response = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
        self.send(&response).await;
    }

    /// Repeats a call of 2026-07-28 with its state and the reply.
    pub(super) async fn repeat(
        &mut self,
        tool: &str,
        arguments: &Value,
        state: &Value,
        reply: Value,
    ) -> Value {
        let mut params = json!({"requestState": state});
        if !reply.is_null() {
            params["inputResponses"] = json!({"confirm": reply});
        }
        let id = self.call_with(tool, arguments, params).await;
        self.result(id).await
    }

    /// Closes the input and returns the remaining messages until the server ends.
    pub(super) async fn end(self) -> Vec<Value> {
        let Self {
            mut lines,
            mut writer,
            served,
            ..
        } = self;
        writer.shutdown().await.unwrap();
        drop(writer);
        let mut rest = Vec::new();
        while let Some(line) = timeout(TIMEOUT, lines.next_line())
            .await
            .expect("an end in time")
            .unwrap()
        {
            rest.push(parse_message(&line));
        }
        timeout(TIMEOUT, served)
            .await
            .expect("the server ends")
            .unwrap();
        rest
    }
}

pub(super) fn confirming_reply() -> Value {
    json!({"action": "accept", "content": {"confirm": true}})
}

pub(super) fn result_text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

/// The state of an input-required result.
pub(super) fn state(result: &Value) -> Value {
    assert_eq!(result["resultType"], "input_required", "{result}");
    assert!(result["requestState"].is_string(), "{result}");
    result["requestState"].clone()
}

pub(super) fn assert_rejected(result: &Value, says: &str) {
    assert_eq!(result["isError"], true, "{result}");
    assert!(result_text(result).starts_with(says), "{result}");
}

/// Replies that do not confirm.
pub(super) fn non_confirming_replies() -> [Value; 12] {
    [
        json!({"action": "accept"}),
        json!({"action": "accept", "content": null}),
        json!({"action": "accept", "content": {}}),
        json!({"action": "accept", "content": {"confirm": false}}),
        json!({"action": "accept", "content": {"confirm": "true"}}),
        json!({"action": "accept", "content": {"confirm": 1}}),
        json!({"action": "accept", "content": {"Confirm": true}}),
        json!({"action": "accept", "content": true}),
        json!({"action": "decline", "content": {"confirm": true}}),
        json!({"action": "cancel", "content": {"confirm": true}}),
        json!({"action": "yes", "content": {"confirm": true}}),
        json!({"content": {"confirm": true}}),
    ]
}
