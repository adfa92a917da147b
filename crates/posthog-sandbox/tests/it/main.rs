//! The sandbox over real HTTP.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails should stop where it fails"
)]

mod citations;
mod control;
mod credentials;
mod deletions;
mod eras;
mod faults;
mod history;
mod insights;
mod lists;
mod merging;
mod persons;
mod query;
mod recordings;
mod response_faults;
mod session_recordings;
mod violations;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use posthog_sandbox::{Clock, Sandbox, SandboxOptions};
use reqwest::{Client, Method, Response};
use rustls::crypto::ring;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

/// The UUID of Ada, a seeded person.
const ADA: &str = "ada0ada0-1815-4852-8000-000000000101";
const GHOST: &str = "90057000-0000-4000-8000-000000000130";

/// An HTTP client with one key, and the sandbox that it calls.
struct ReferenceClient {
    sandbox: Sandbox,
    client: Client,
    key: &'static str,
}

struct Reply {
    status: u16,
    body: Value,
    text: String,
    headers: reqwest::header::HeaderMap,
}

async fn start(options: SandboxOptions) -> ReferenceClient {
    start_in(options, Clock::Manual).await
}

async fn start_in(options: SandboxOptions, clock: Clock) -> ReferenceClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = SandboxOptions { clock, ..options };
    ReferenceClient {
        sandbox: Sandbox::start(listener, options).await.unwrap(),
        client: client(),
        key: Sandbox::KEY,
    }
}

/// reqwest needs a TLS provider even for plain HTTP. It is set for this client and not for the process, so that it does
/// not affect other code.
fn client() -> Client {
    let provider = Arc::new(ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(tls);
    client.build().unwrap()
}

async fn api() -> ReferenceClient {
    start(SandboxOptions::default()).await
}

impl ReferenceClient {
    fn with(&self, key: &'static str) -> ReferenceClient {
        ReferenceClient {
            sandbox: self.sandbox.clone(),
            client: self.client.clone(),
            key,
        }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.sandbox.url());
        self.client.request(method, url).bearer_auth(self.key)
    }

    /// A path below the persons of the seeded project.
    async fn get(&self, path: &str) -> Reply {
        self.get_path(&format!("/api/projects/1/persons/{path}"))
            .await
    }

    async fn get_with(&self, path: &str, query: &[(&str, &str)]) -> Reply {
        let path = format!("/api/projects/1/persons/{path}");
        let request = self.request(Method::GET, &path).query(query);
        read(request.send().await.unwrap()).await
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Reply {
        let path = format!("/api/projects/1/persons/{path}");
        let request = self.request(method, &path).json(&body);
        read(request.send().await.unwrap()).await
    }

    /// Any path of the server.
    async fn get_path(&self, path: &str) -> Reply {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PATCH, path, body).await
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, body).await
    }

    async fn uuid_of(&self, distinct_id: &str) -> String {
        let found = self
            .post(
                "batch_by_distinct_ids/",
                json!({"distinct_ids": [distinct_id]}),
            )
            .await;
        found.body["results"][distinct_id]["uuid"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn advance(&self, seconds: u64) {
        self.sandbox.advance(Duration::from_secs(seconds));
    }

    fn capture(&self, distinct_id: &str, event: &str, properties: Value) {
        let properties: Map<String, Value> = properties.as_object().unwrap().clone();
        self.sandbox.capture(distinct_id, event, properties);
    }

    #[track_caller]
    fn assert_no_violations(&self) {
        assert_eq!(self.sandbox.violations(), Vec::<String>::new());
    }
}

async fn read(response: Response) -> Reply {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    Reply {
        status,
        body: serde_json::from_str(&text).unwrap_or_default(),
        text,
        headers,
    }
}

fn results(reply: &Reply) -> &Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.body["results"].as_array().unwrap()
}

fn names(reply: &Reply) -> Vec<String> {
    let name = |person: &Value| person["name"].as_str().unwrap().to_owned();
    results(reply).iter().map(name).collect()
}

/// The names of the persons of an insight, sorted. `count` is the size of the page.
fn people(reply: &Reply) -> Vec<String> {
    let people = results(reply)[0]["people"].as_array().unwrap();
    assert_eq!(results(reply)[0]["count"], people.len());
    let mut names: Vec<String> = people
        .iter()
        .map(|person| person["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn assert_error(reply: &Reply, status: u16, kind: &str, code: &str, attr: Value) {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert_eq!(reply.body["type"], kind, "{}", reply.text);
    assert_eq!(reply.body["code"], code, "{}", reply.text);
    assert_eq!(reply.body["attr"], attr, "{}", reply.text);
    assert!(reply.body["detail"].is_string());
}

#[track_caller]
fn assert_invalid(reply: &Reply) {
    assert_error(reply, 400, "validation_error", "invalid_input", Value::Null);
}

#[track_caller]
fn assert_not_found(reply: &Reply) {
    assert_error(reply, 404, "invalid_request", "not_found", Value::Null);
}

/// PostHog's 500.
#[track_caller]
fn assert_server_error(reply: &Reply) {
    assert_error(reply, 500, "server_error", "error", Value::Null);
}

/// The sandbox's own error, for requests to which PostHog's response is not known.
#[track_caller]
fn assert_rejected_by_sandbox(reply: &Reply) {
    assert_error(
        reply,
        400,
        "validation_error",
        "sandbox_strict",
        Value::Null,
    );
}

#[track_caller]
fn assert_forbidden(reply: &Reply) {
    assert_error(
        reply,
        403,
        "authentication_error",
        "permission_denied",
        Value::Null,
    );
}

#[track_caller]
fn assert_unauthenticated(reply: &Reply) {
    assert_error(
        reply,
        401,
        "authentication_error",
        "authentication_failed",
        Value::Null,
    );
}

#[track_caller]
fn assert_method_not_allowed(reply: &Reply) {
    assert_error(
        reply,
        405,
        "invalid_request",
        "method_not_allowed",
        Value::Null,
    );
}
