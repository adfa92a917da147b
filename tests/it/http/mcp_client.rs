//! MCP clients over each HTTP transport.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{Caller, EventStream, SESSION, VERSION_HEADER_SINCE};
use crate::wire::{WITHOUT_HANDSHAKE, opening_messages, request};

/// A client of any protocol version at `/mcp`: in a session for versions with a handshake, stateless otherwise.
pub(super) struct McpClient {
    pub(super) caller: Caller,
    pub(super) version: &'static str,
    pub(super) session: Option<String>,
    pub(super) last_id: u64,
}

impl McpClient {
    pub(super) async fn begin(caller: &Caller, version: &'static str) -> Self {
        let mut client = Self {
            caller: caller.clone(),
            version,
            session: None,
            last_id: 0,
        };
        if version == WITHOUT_HANDSHAKE {
            return client;
        }
        let mut messages = opening_messages(version).into_iter();
        let mut hello = messages.next().unwrap();
        hello["params"]["capabilities"] = caller.capabilities.clone();
        let response = client.post(&hello).await;
        let session = response.headers()[SESSION].to_str().unwrap().to_owned();
        let received = EventStream::of(response).next_message().await;
        assert_eq!(received["result"]["protocolVersion"], version, "{received}");
        client.session = Some(session);
        for message in messages {
            assert_eq!(client.post(&message).await.status(), 202);
        }
        client
    }

    pub(super) fn session(&self) -> &str {
        self.session.as_deref().unwrap()
    }

    /// A request in this session.
    pub(super) fn request(&self, method: Method) -> RequestBuilder {
        let mut request = self.caller.request(method, "/mcp");
        if let Some(session) = &self.session {
            request = request.header(SESSION, session);
            if self.version >= VERSION_HEADER_SINCE {
                request = request.header("mcp-protocol-version", self.version);
            }
        }
        request
    }

    pub(super) async fn post(&self, message: &Value) -> Response {
        let request = self.request(Method::POST).json(message);
        self.caller.send(request).await
    }

    /// The same session, used by another caller.
    pub(super) fn used_by(&self, caller: &Caller) -> Self {
        Self {
            caller: caller.clone(),
            version: self.version,
            session: self.session.clone(),
            last_id: self.last_id,
        }
    }

    /// Sends a request in a session; returns its id and the stream with its response.
    pub(super) async fn open(&mut self, method: &str, params: Value) -> (u64, EventStream) {
        self.last_id += 1;
        let message = request(self.version, self.last_id, method, params);
        (self.last_id, EventStream::of(self.post(&message).await))
    }

    /// Sends a request and returns its response, a result or an error.
    pub(super) async fn send_request(&mut self, method: &str, params: Value) -> Value {
        if self.version == WITHOUT_HANDSHAKE {
            let reply = self
                .caller
                .read(self.caller.stateless(method, params))
                .await;
            return reply.json();
        }
        let (id, mut events) = self.open(method, params).await;
        let received = events.next_message().await;
        assert_eq!(received["id"], id, "{received}");
        // The stream of a request ends after its response.
        events.end().await;
        received
    }

    /// The result of a tool.
    pub(super) async fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let received = self.send_request("tools/call", params).await;
        assert!(received["result"].is_object(), "{received}");
        received["result"].clone()
    }
}

/// A client of the legacy HTTP+SSE transport.
pub(super) struct LegacyClient {
    pub(super) caller: Caller,
    pub(super) events: EventStream,
    pub(super) messages: String,
    pub(super) last_id: u64,
}

impl LegacyClient {
    pub(super) async fn begin(caller: &Caller) -> Self {
        Self::begin_with(caller, "2024-11-05").await
    }

    pub(super) async fn begin_with(caller: &Caller, version: &str) -> Self {
        let opened = caller.send(caller.request(Method::GET, "/sse")).await;
        let mut events = EventStream::of(opened);
        let (kind, messages) = events.next().await.unwrap();
        assert_eq!(kind, "endpoint");
        let mut legacy = Self {
            caller: caller.clone(),
            events,
            messages,
            last_id: 0,
        };
        let mut handshake = opening_messages(version).into_iter();
        let mut hello = handshake.next().unwrap();
        hello["params"]["capabilities"] = caller.capabilities.clone();
        legacy.post(&hello).await;
        let received = legacy.events.next_message().await;
        assert_eq!(received["result"]["protocolVersion"], version, "{received}");
        for message in handshake {
            legacy.post(&message).await;
        }
        legacy
    }

    pub(super) fn posting(&self, message: &Value) -> RequestBuilder {
        let request = self.caller.request(Method::POST, &self.messages);
        request.json(message)
    }

    pub(super) async fn post(&self, message: &Value) {
        let reply = self.caller.read(self.posting(message)).await;
        assert_eq!(reply.status, 202, "{}", reply.text);
    }

    /// Sends a request and returns its id.
    pub(super) async fn open(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let message = request("2024-11-05", self.last_id, method, params);
        self.post(&message).await;
        self.last_id
    }

    pub(super) async fn send_request(&mut self, method: &str, params: Value) -> Value {
        let id = self.open(method, params).await;
        let received = self.events.next_message().await;
        assert_eq!(received["id"], id, "{received}");
        received
    }

    /// The result of a tool.
    pub(super) async fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let received = self.send_request("tools/call", params).await;
        assert!(received["result"].is_object(), "{received}");
        received["result"].clone()
    }
}
