//! A client at the level of HTTP and JSON-RPC messages.

use std::time::Duration;

use posthog_sandbox::Sandbox;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{RECONNECT_TIMEOUT, TOOL, Team};
use crate::ADA;
use crate::wire::{TIMEOUT, WITHOUT_HANDSHAKE};

pub(super) fn deletion(person: &str) -> Value {
    json!({"ids": [person]})
}

pub(super) fn call(id: u64, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

/// A request of 2026-07-28 that needs no PostHog.
pub(super) fn discover() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": WITHOUT_HANDSHAKE,
        "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }}})
}

pub(super) fn result_text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

pub(super) fn assert_rejected(result: &Value, says: &str) {
    assert_eq!(result["isError"], true, "{result}");
    assert!(result_text(result).contains(says), "{result}");
}

pub(super) fn assert_queued(result: &Value) {
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(result["structuredContent"]["status"], "queued", "{result}");
}

/// A session of a protocol version with a handshake.
pub(super) struct Session<'a> {
    pub(super) team: &'a Team,
    pub(super) id: String,
}

impl Session<'_> {
    pub(super) async fn send(&self, to: &str, message: &Value) -> Response {
        let session = Some(self.id.as_str());
        self.team.send(to, Sandbox::KEY, session, message).await
    }

    /// The response to a request.
    pub(super) async fn send_request(&self, to: &str, message: &Value) -> Value {
        let response = self.send(to, message).await;
        assert_eq!(response.status(), 200);
        EventStream::of(response).last().await
    }

    /// Lists the tools, the cheapest request that needs a session.
    pub(super) async fn list(&self, to: &str) -> Value {
        self.list_as(7, to).await
    }

    pub(super) async fn list_as(&self, id: u64, to: &str) -> Value {
        let list = json!({"jsonrpc": "2.0", "id": id, "method": "tools/list", "params": {}});
        let response = self.send_request(to, &list).await;
        assert!(response["result"]["tools"].is_array(), "{response}");
        response
    }

    pub(super) async fn read(&self, to: &str) {
        let reading = call(8, "persons-retrieve", json!({"id": ADA}));
        let response = self.send_request(to, &reading).await;
        assert_eq!(response["result"]["isError"], false, "{response}");
    }

    /// Calls the deletion; returns the stream of the call and the elicitation on it.
    pub(super) async fn elicit(&self, to: &str, id: u64, person: &str) -> (EventStream, Value) {
        let response = self.send(to, &call(id, TOOL, deletion(person))).await;
        assert_eq!(response.status(), 200);
        let mut events = EventStream::of(response);
        let question = events.next().await.expect("a question");
        assert_eq!(question["method"], "elicitation/create", "{question}");
        (events, question)
    }

    /// Sends the reply to an elicitation.
    pub(super) async fn reply(&self, to: &str, question: &Value, result: Value) -> Response {
        let reply = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
        self.send(to, &reply).await
    }

    pub(super) async fn confirm(&self, to: &str, question: &Value) {
        let answered = self.reply(to, question, confirming_reply(question)).await;
        assert_eq!(answered.status(), 202);
    }
}

/// An accepted form with its checkbox ticked.
pub(super) fn confirming_reply(question: &Value) -> Value {
    let boxes = &question["params"]["requestedSchema"]["properties"];
    let boxes: Vec<&String> = boxes.as_object().unwrap().keys().collect();
    let [only] = boxes[..] else {
        panic!("not one box: {question}")
    };
    json!({"action": "accept", "content": {only: true}})
}

/// The messages of an event stream.
pub(super) struct EventStream {
    pub(super) response: Response,
    pub(super) text: String,
}

impl EventStream {
    pub(super) fn of(response: Response) -> Self {
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next message; `None` after the end of the stream.
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((line, rest)) = self.text.split_once('\n') {
                let data = line.strip_prefix("data:").unwrap_or_default().trim();
                let message = (!data.is_empty()).then(|| serde_json::from_str(data).unwrap());
                self.text = rest.to_owned();
                if message.is_some() {
                    return message;
                }
            }
            let chunk = timeout(TIMEOUT, self.response.chunk()).await;
            let chunk = chunk.expect("a message in time").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The response at the end of the stream.
    pub(super) async fn last(mut self) -> Value {
        let mut last = None;
        while let Some(message) = self.next().await {
            last = Some(message);
        }
        last.expect("a response")
    }

    /// The result at the end of the stream.
    pub(super) async fn result(self) -> Value {
        let response = self.last().await;
        assert!(response["result"].is_object(), "{response}");
        response["result"].clone()
    }
}

/// Polls until a condition holds: the state of Redis changes asynchronously.
pub(super) async fn poll_until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < RECONNECT_TIMEOUT, "not {what} in time");
        sleep(Duration::from_millis(100)).await;
    }
}
