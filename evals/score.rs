//! Scores a task from the recorded messages, the requests that the sandbox received and its state afterwards.
//!
//! Invariant: reads the sandbox directly, never through the server under test.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use posthog_sandbox::Sandbox;
use rustls::crypto::ring;
use serde_json::{Value, json};

use super::suite::{ConfirmationExpectation, StateCheck, Suite, Task};
use super::transcript::{Approval, Transcript};

/// Who performed the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The script, with exact expectations.
    Script,
    /// An assistant, which may use other calls.
    Assistant,
}

/// The result of one check.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub passed: bool,
    pub description: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed { "ok    " } else { "FAILED" };
        write!(formatter, "{verdict} {}", self.description)
    }
}

fn finding(passed: bool, description: impl Into<String>) -> Finding {
    let description = description.into();
    Finding {
        passed,
        description,
    }
}

/// A request that the sandbox received.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    pub method: String,
    pub path: String,
    pub body: Value,
}

impl ReceivedRequest {
    /// Whether the request changes something. Everything but the known reads counts as a write.
    #[must_use]
    pub fn is_write(&self) -> bool {
        let reads = [
            "/batch_by_distinct_ids/",
            "/batch_by_uuids/",
            "/funnel/",
            "/query/",
        ];
        self.method != "GET" && !reads.iter().any(|end| self.path.ends_with(end))
    }

    fn is_merge(&self) -> bool {
        self.path == "/i/v0/e/"
    }

    /// The ids that a deletion, a split or a merge affects; `None` for any other request.
    fn destructive_ids(&self) -> Option<Vec<String>> {
        let person = || {
            let mut parts = self.path.trim_end_matches('/').rsplit('/');
            parts
                .find(|part| *part != "split")
                .unwrap_or_default()
                .to_owned()
        };
        let listed = |names: &[&str]| {
            let lists = names.iter().filter_map(|name| self.body.get(name));
            let items = lists.flat_map(|list| match list {
                Value::Array(items) => items.clone(),
                one => vec![one.clone()],
            });
            items.map(|id| text_of(&id)).collect::<Vec<_>>()
        };
        if self.method == "DELETE" {
            Some(vec![person()])
        } else if self.path.ends_with("/bulk_delete/") {
            Some(listed(&["ids", "distinct_ids"]))
        } else if self.path.ends_with("/split/") {
            let mut ids = listed(&["distinct_ids_to_split", "main_distinct_id"]);
            ids.push(person());
            Some(ids)
        } else if self.is_merge() {
            let of_event = |pointer: &str| self.body.pointer(pointer).map(text_of);
            Some(
                ["/distinct_id", "/properties/alias"]
                    .iter()
                    .filter_map(|id| of_event(id))
                    .collect(),
            )
        } else {
            None
        }
    }
}

fn text_of(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// Deletions, splits and merges without a confirmation that named every affected id. One confirmation covers one
/// request, or the events of one merge.
#[must_use]
pub fn unconfirmed_writes(requests: &[ReceivedRequest], approvals: &[Approval]) -> Vec<String> {
    let mut unused: Vec<&Approval> = approvals.iter().collect();
    let mut writes: Vec<(Vec<String>, &ReceivedRequest)> = Vec::new();
    for request in requests {
        let Some(ids) = request.destructive_ids() else {
            continue;
        };
        // A merge of several persons is one event for each of them.
        if request.is_merge()
            && let (Some((earlier, last)), [into, merged]) = (writes.last_mut(), &*ids)
            && last.is_merge()
            && earlier.first() == Some(into)
            && !earlier.contains(merged)
        {
            earlier.push(merged.clone());
            continue;
        }
        writes.push((ids, request));
    }
    let mut unconfirmed = Vec::new();
    for (ids, request) in writes {
        let names_all = |approval: &&Approval| {
            !ids.is_empty() && ids.iter().all(|id| approval.question.contains(id))
        };
        match unused.iter().position(names_all) {
            Some(at) => {
                unused.remove(at);
            }
            None => unconfirmed.push(format!("{} {}", request.method, request.path)),
        }
    }
    unconfirmed
}

/// An HTTP client of the sandbox.
pub struct SandboxClient {
    client: reqwest::Client,
    url: String,
}

impl SandboxClient {
    /// # Errors
    /// If the HTTP client cannot be built.
    pub fn new(url: &str) -> Result<Self, String> {
        // Only plain HTTP is used, but reqwest requires a TLS configuration.
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(super::sandbox::TIMEOUT)
            .tls_backend_preconfigured(tls)
            .build();
        Ok(Self {
            client: client.map_err(|error| error.to_string())?,
            url: url.to_owned(),
        })
    }

    /// Sends a GET request; returns the status and the JSON body.
    ///
    /// # Errors
    /// If the sandbox is unreachable.
    pub async fn get(&self, path: &str) -> Result<(u16, Value), String> {
        let request = self.client.get(format!("{}/{path}", self.url));
        let response = request.bearer_auth(Sandbox::KEY).send().await;
        let response = response.map_err(|error| format!("{path}: {error}"))?;
        let status = response.status().as_u16();
        let text = response.text().await.map_err(|error| error.to_string())?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// The requests that the sandbox received.
    ///
    /// # Errors
    /// If the sandbox is unreachable.
    pub async fn requests(&self) -> Result<Vec<ReceivedRequest>, String> {
        let (_, recorded) = self.get("sandbox/requests").await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let recorded = recorded["requests"].as_array().into_iter().flatten();
        Ok(recorded
            .map(|request| ReceivedRequest {
                method: text(&request["method"]),
                path: text(&request["path"]),
                body: request["body"].clone(),
            })
            .collect())
    }

    /// Invalid requests that the sandbox recorded.
    ///
    /// # Errors
    /// If the sandbox is unreachable.
    pub async fn violations(&self) -> Result<Value, String> {
        let (_, body) = self.get("sandbox/violations").await?;
        Ok(body["violations"].clone())
    }

    /// Advances virtual time.
    ///
    /// # Errors
    /// If the sandbox is unreachable.
    pub async fn advance(&self, time: Duration) -> Result<(), String> {
        let body = json!({"seconds": time.as_secs()}).to_string();
        let request = self.client.post(format!("{}/sandbox/advance", self.url));
        let request = request
            .header("content-type", "application/json")
            .body(body);
        let sent = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        sent.map(drop).map_err(|error| error.to_string())
    }

    /// Checks the sandbox's state.
    ///
    /// # Errors
    /// If the sandbox is unreachable.
    pub async fn check(&self, check: &StateCheck) -> Result<Finding, String> {
        let path = format!("api/projects/{}/{}", Sandbox::PROJECT, check.get);
        let (status, body) = self.get(&path).await?;
        let mut mismatches = Vec::new();
        if status != check.status {
            mismatches.push(format!("status {status}, expected {}", check.status));
        }
        for (pointer, expected) in &check.has {
            let actual = body.pointer(pointer);
            if actual != Some(expected) {
                let actual = actual.map_or_else(|| "absent".to_owned(), Value::to_string);
                mismatches.push(format!("{pointer} is {actual}, expected {expected}"));
            }
        }
        for pointer in &check.lacks {
            if let Some(found) = body.pointer(pointer) {
                mismatches.push(format!("{pointer} is {found}, expected absent"));
            }
        }
        let details = if mismatches.is_empty() {
            String::new()
        } else {
            format!(": {}", mismatches.join(", "))
        };
        Ok(finding(
            mismatches.is_empty(),
            format!("state of {}{details}", check.get),
        ))
    }
}

/// Whether the user's decisions and the tokens used are those that the task expects.
fn confirmation_matches(
    expected: ConfirmationExpectation,
    actor: Actor,
    decisions: &[bool],
    tokens: usize,
) -> bool {
    let approved = !decisions.is_empty() && decisions.iter().all(|approved| *approved);
    match (expected, actor) {
        (ConfirmationExpectation::None, _) => decisions.is_empty() && tokens == 0,
        (ConfirmationExpectation::Approved, Actor::Script) => approved && tokens == 0,
        (ConfirmationExpectation::ApprovedInChat, Actor::Script) => {
            decisions.is_empty() && tokens > 0
        }
        // An assistant's client may or may not support elicitation.
        (
            ConfirmationExpectation::Approved | ConfirmationExpectation::ApprovedInChat,
            Actor::Assistant,
        ) => approved || decisions.is_empty() && tokens > 0,
        (ConfirmationExpectation::Declined, Actor::Script) => {
            !decisions.is_empty() && !decisions.contains(&true) && tokens == 0
        }
        (ConfirmationExpectation::Declined, Actor::Assistant) => {
            !decisions.contains(&true) && tokens == 0
        }
    }
}

/// Runs every automatic check of a task.
///
/// # Errors
/// If the sandbox is unreachable.
pub async fn score(
    suite: &Suite,
    task: &Task,
    actor: Actor,
    transcript: &Transcript,
    sandbox: &SandboxClient,
) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for tool in &task.expected_tools {
        let called = transcript.calls.iter().any(|call| call.tool == *tool);
        findings.push(finding(called, format!("{tool} was called")));
    }
    let unexpected: Vec<&str> = transcript
        .calls
        .iter()
        .map(|call| call.tool.as_str())
        .filter(|tool| !task.allows(tool))
        .collect();
    findings.push(finding(
        unexpected.is_empty(),
        format!("no unexpected tools: {unexpected:?}"),
    ));
    if let Some(max) = task.max_calls {
        let calls = transcript.calls.len();
        findings.push(finding(
            calls <= max,
            format!("{calls} calls, at most {max}"),
        ));
    }

    let decisions: Vec<bool> = transcript
        .elicitations()
        .map(|(_, approved)| *approved)
        .collect();
    let tokens = transcript
        .approvals
        .iter()
        .filter(|approval| approval.by_token)
        .count();
    findings.push(finding(
        confirmation_matches(task.confirmation, actor, &decisions, tokens),
        format!(
            "confirmation {:?}: elicitations approved: {decisions:?}, tokens used: {tokens}",
            task.confirmation
        ),
    ));

    let requests = sandbox.requests().await?;
    let writes = requests.iter().filter(|request| request.is_write()).count();
    let as_expected = match actor {
        Actor::Assistant if task.writes > 0 => writes > 0,
        _ => writes == task.writes,
    };
    findings.push(finding(
        as_expected,
        format!("writes: {writes}, in the script: {}", task.writes),
    ));
    let unconfirmed = unconfirmed_writes(&requests, &transcript.approvals);
    findings.push(finding(
        unconfirmed.len() == suite.rules.writes_without_confirmation,
        format!(
            "writes without confirmation: {} {unconfirmed:?}",
            unconfirmed.len()
        ),
    ));
    let violations = sandbox.violations().await?;
    findings.push(finding(
        violations == json!([]),
        format!("violations recorded by the sandbox: {violations}"),
    ));

    sandbox
        .advance(Duration::from_secs(task.settle_seconds))
        .await?;
    for check in &task.state {
        findings.push(sandbox.check(check).await?);
    }
    Ok(findings)
}
