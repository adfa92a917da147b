//! MCP clients over each HTTP transport.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{Caller, Events, NAMES_ITSELF, SESSION};
use crate::wire::{WITHOUT_HANDSHAKE, beginning, request};

/// A client of any protocol version at `/mcp`: in a session for versions with a handshake, stateless otherwise.
pub(super) struct Conversation {
    pub(super) caller: Caller,
    pub(super) version: &'static str,
    pub(super) session: Option<String>,
    pub(super) last_id: u64,
}

impl Conversation {
    pub(super) async fn begin(caller: &Caller, version: &'static str) -> Self {
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

    pub(super) fn session(&self) -> &str {
        self.session.as_deref().unwrap()
    }

    /// A request in this session.
    pub(super) fn request(&self, method: Method) -> RequestBuilder {
        let mut request = self.caller.request(method, "/mcp");
        if let Some(session) = &self.session {
            request = request.header(SESSION, session);
            if self.version >= NAMES_ITSELF {
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
    pub(super) fn taken_over_by(&self, caller: &Caller) -> Self {
        Self {
            caller: caller.clone(),
            version: self.version,
            session: self.session.clone(),
            last_id: self.last_id,
        }
    }

    /// Sends a request in a session; returns its id and the stream with its response.
    pub(super) async fn open(&mut self, method: &str, params: Value) -> (u64, Events) {
        self.last_id += 1;
        let message = request(self.version, self.last_id, method, params);
        (self.last_id, Events::of(self.post(&message).await))
    }

    /// Sends a request and returns its response, a result or an error.
    pub(super) async fn ask(&mut self, method: &str, params: Value) -> Value {
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
        // The stream of a request ends after its response.
        events.end().await;
        answer
    }

    /// The result of a tool.
    pub(super) async fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let answer = self.ask("tools/call", params).await;
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].clone()
    }
}

/// A client of the legacy HTTP+SSE transport.
pub(super) struct Older {
    pub(super) caller: Caller,
    pub(super) events: Events,
    pub(super) messages: String,
    pub(super) last_id: u64,
}

impl Older {
    pub(super) async fn begin(caller: &Caller) -> Self {
        Self::begin_with(caller, "2024-11-05").await
    }

    pub(super) async fn begin_with(caller: &Caller, version: &str) -> Self {
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

    pub(super) async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.open(method, params).await;
        let answer = self.events.message().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// The result of a tool.
    pub(super) async fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let answer = self.ask("tools/call", params).await;
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].clone()
    }
}
