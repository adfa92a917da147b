//! The form of a recording, and how its requests are sent again.

use std::collections::BTreeMap;

use posthog_sandbox::{Key, Sandbox};
use reqwest::{Client, Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
pub(super) struct Recording {
    pub(super) pairs: Vec<Pair>,
}

#[derive(Deserialize)]
pub(super) struct Pair {
    pub(super) id: String,
    pub(super) request: Request,
    pub(super) response: Response,
    #[serde(default)]
    pub(super) changes_state: bool,
}

#[derive(Deserialize)]
pub(super) struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    key: String,
    body: Option<Value>,
    #[serde(default)]
    body_is_text: bool,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    content_type: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
}

/// The keys of a recording that every sandbox has under another name.
const BUILT_IN: [(&str, &str); 5] = [
    ("all scopes", Sandbox::KEY),
    ("unscoped", Sandbox::LEGACY_KEY),
    ("read only", Sandbox::READ_KEY),
    ("project token", Sandbox::PROJECT_TOKEN),
    ("wrong", "phx_wrong"),
];

impl Recording {
    /// Reads a recording, in which `@current` stands for the organization of the key owner.
    pub(super) fn read(json: &str) -> Self {
        let recording: Value = serde_json::from_str(json).unwrap();
        let pairs = recording["pairs"].as_array().unwrap();
        let own = pairs.iter().find(|pair| pair["id"] == "project-1").unwrap();
        let own = own["response"]["body"]["organization"].as_str().unwrap();
        let path = format!("/organizations/{own}/");
        serde_json::from_str(&json.replace(&path, "/organizations/@current/")).unwrap()
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        let mut names: Vec<&str> = self.pairs.iter().map(|pair| &*pair.request.key).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| *name != "none" && BUILT_IN.iter().all(|(known, _)| known != name));
        names.into_iter().map(key).collect()
    }
}

/// A key by its description: its scopes, or what it is limited to.
fn key(name: &str) -> Key {
    let every = Key::scoped(name, &["*"]);
    let in_parentheses = name
        .split_once('(')
        .map(|(_, scopes)| scopes.trim_end_matches(')'));
    let scopes = match in_parentheses.unwrap_or(name) {
        "all scopes" => "*",
        "write only" => "person:write",
        "other org" => {
            return Key {
                is_outsider: true,
                ..every
            };
        }
        "all scopes, limited to project 3" => {
            return Key {
                scoped_teams: Some(vec![3]),
                ..every
            };
        }
        "all scopes, limited to another organisation" => {
            return Key {
                scoped_organizations: Some(vec!["another".to_owned()]),
                ..every
            };
        }
        scopes => scopes.trim_end_matches(" only"),
    };
    Key::scoped(name, &scopes.split(" + ").collect::<Vec<_>>())
}

impl Request {
    pub(super) fn is_query(&self) -> bool {
        self.path.contains("/query/")
    }

    pub(super) fn is_throttled(&self) -> bool {
        self.key.starts_with("throttle key")
    }

    pub(super) fn builder(&self, client: &Client, host: &str) -> RequestBuilder {
        let method = Method::from_bytes(self.method.as_bytes()).unwrap();
        let mut request = client.request(method, format!("{host}{}", self.path));
        if !self.query.is_empty() {
            request = request.query(&self.query);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if self.key != "none" {
            let known = BUILT_IN.iter().find(|(name, _)| *name == self.key);
            request = request.bearer_auth(known.map_or(&*self.key, |(_, value)| value));
        }
        let kind = self.content_type.as_deref().unwrap_or("application/json");
        match &self.body {
            None => request,
            Some(Value::String(text)) if self.body_is_text => {
                request.header("content-type", kind).body(text.clone())
            }
            Some(body) => request
                .header("content-type", kind)
                .body(described(body).to_string()),
        }
    }
}

/// The body with its descriptions replaced by what they describe.
fn described(body: &Value) -> Value {
    match body {
        Value::Object(fields) => match fields.get("$what").and_then(Value::as_str) {
            Some(description) => from_description(description),
            None => fields
                .iter()
                .map(|(name, value)| (name.clone(), described(value)))
                .collect(),
        },
        other => other.clone(),
    }
}

fn from_description(description: &str) -> Value {
    let numbered = |prefix: &str, count: usize| -> Vec<String> {
        (0..count)
            .map(|number| format!("{prefix}{number}"))
            .collect()
    };
    match description {
        "x0 .. x199, then ada" => {
            let mut ids = numbered("x", 200);
            ids.push("ada".to_owned());
            json!(ids)
        }
        "nope0 .. nope1000" => json!(numbered("nope", 1001)),
        "1001 times 00000000-0000-0000-0000-000000000000" => {
            json!(vec!["00000000-0000-0000-0000-000000000000"; 1001])
        }
        other => json!(other),
    }
}
