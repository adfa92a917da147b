//! An HTTP client at the level of requests, headers and events.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response};
use rustls::crypto::ring;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::wire::{TIMEOUT, WITHOUT_HANDSHAKE, parse_message, request};

/// An HTTP client of a server, with or without a credential.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) http: reqwest::Client,
    pub(super) address: SocketAddr,
    pub(super) bearer: Option<String>,
    pub(super) headers: Vec<(&'static str, String)>,
    /// The declared client capabilities.
    pub(super) capabilities: Value,
}

/// A client with its own connections.
pub(super) fn caller(address: SocketAddr, bearer: Option<&str>) -> Caller {
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
    /// The same client with an additional header.
    pub(super) fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut caller = self.clone();
        caller.headers.push((name, value.to_owned()));
        caller
    }

    /// The same client with form elicitation.
    pub(super) fn with_elicitation(&self) -> Self {
        Self {
            capabilities: json!({"elicitation": {"form": {}}}),
            ..self.clone()
        }
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self
            .http
            .request(method.clone(), format!("http://{}{path}", self.address));
        // As the protocol requires for each method.
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

    /// A response up to its headers.
    pub(super) async fn send(&self, request: RequestBuilder) -> Response {
        let response = timeout(TIMEOUT, request.send()).await;
        response.expect("a response in time").unwrap()
    }

    pub(super) async fn read(&self, request: RequestBuilder) -> FullResponse {
        FullResponse::of(self.send(request).await).await
    }

    pub(super) async fn get(&self, path: &str) -> FullResponse {
        self.read(self.request(Method::GET, path)).await
    }

    /// A stateless request.
    pub(super) fn stateless(&self, method: &str, params: Value) -> RequestBuilder {
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

    pub(super) fn calling(&self, tool: &str, arguments: &Value) -> RequestBuilder {
        let params = json!({"name": tool, "arguments": arguments});
        self.stateless("tools/call", params)
    }

    /// The result of a tool.
    pub(super) async fn call(&self, tool: &str, arguments: &Value) -> Value {
        let reply = self.read(self.calling(tool, arguments)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()["result"].clone()
    }

    /// The names of the tools that are offered.
    pub(super) async fn tool_names(&self) -> Vec<String> {
        let list = self.stateless("tools/list", json!({}));
        let list = self.read(list).await;
        assert_eq!(list.status, 200, "{}", list.text);
        crate::process::tool_names(&list.json())
    }
}

/// A complete response.
pub(super) struct FullResponse {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl FullResponse {
    pub(super) async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = timeout(TIMEOUT, response.text()).await;
        let text = text.expect("the whole response in time").unwrap();
        Self {
            status,
            headers,
            text,
        }
    }

    pub(super) fn json(&self) -> Value {
        let json = serde_json::from_str(&self.text);
        json.unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default()
    }

    /// The challenge of a 401.
    pub(super) fn challenge(&self) -> &str {
        assert_eq!(self.status, 401, "{}", self.text);
        self.header(WWW_AUTHENTICATE.as_str())
    }
}

/// A stream of events.
pub(super) struct EventStream {
    pub(super) response: Response,
    pub(super) unread: String,
}

impl EventStream {
    pub(super) fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self {
            response,
            unread: String::new(),
        }
    }

    /// The next non-empty event, as its type and data; `None` after the end of the stream.
    pub(super) async fn next(&mut self) -> Option<(String, String)> {
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
            let chunk = timeout(TIMEOUT, self.response.chunk()).await;
            let chunk = chunk.expect("an event in time").unwrap()?;
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next request or response, skipping notifications.
    pub(super) async fn next_message(&mut self) -> Value {
        loop {
            let (_, data) = self.next().await.expect("a message before the end");
            let message = parse_message(&data);
            let notes = message["method"]
                .as_str()
                .is_some_and(|method| method.starts_with("notifications/"));
            if !notes {
                return message;
            }
        }
    }

    /// Reads on until the server ends the stream.
    pub(super) async fn end(mut self) {
        while self.next().await.is_some() {}
    }
}
