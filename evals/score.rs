//! How well a task was done: from what went over the wire, what arrived at the sandbox, and what its own API says
//! afterwards. Nothing here goes through the server under test.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use posthog_sandbox::Sandbox;
use rustls::crypto::ring;
use serde_json::{Value, json};

use super::suite::{Check, Human, Suite, Task};
use super::transcript::{Approval, Transcript};

/// Who did the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doer {
    /// The script, which does it in one way.
    Script,
    /// An assistant, which may find another.
    Assistant,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub holds: bool,
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds { "ok    " } else { "FAILED" };
        write!(formatter, "{verdict} {}", self.what)
    }
}

fn finding(holds: bool, what: impl Into<String>) -> Finding {
    let what = what.into();
    Finding { holds, what }
}

/// A request that arrived at the sandbox.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub body: Value,
}

impl Request {
    /// Whether it changes something. What is not known to read counts as a change.
    #[must_use]
    pub fn writes(&self) -> bool {
        let reads = ["/batch_by_distinct_ids/", "/batch_by_uuids/", "/funnel/"];
        self.method != "GET" && !reads.iter().any(|end| self.path.ends_with(end))
    }

    /// The ids of what it takes away, if it takes anything away.
    fn takes(&self) -> Option<Vec<String>> {
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
            items
                .map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned))
                .collect::<Vec<_>>()
        };
        if self.method == "DELETE" {
            Some(vec![person()])
        } else if self.path.ends_with("/bulk_delete/") {
            Some(listed(&["ids", "distinct_ids"]))
        } else if self.path.ends_with("/split/") {
            let mut ids = listed(&["distinct_ids_to_split", "main_distinct_id"]);
            ids.push(person());
            Some(ids)
        } else {
            None
        }
    }
}

/// The requests that took something away without a yes to a question that named all of it. A yes serves for one.
#[must_use]
pub fn unconfirmed(requests: &[Request], approvals: &[Approval]) -> Vec<String> {
    let mut unused: Vec<&Approval> = approvals.iter().collect();
    let mut unconfirmed = Vec::new();
    for request in requests {
        let Some(ids) = request.takes() else { continue };
        let names_all =
            |yes: &&Approval| !ids.is_empty() && ids.iter().all(|id| yes.question.contains(id));
        match unused.iter().position(names_all) {
            Some(at) => {
                unused.remove(at);
            }
            None => unconfirmed.push(format!("{} {}", request.method, request.path)),
        }
    }
    unconfirmed
}

/// A sandbox, seen over HTTP with its key.
pub struct Witness {
    client: reqwest::Client,
    url: String,
}

impl Witness {
    /// # Errors
    /// When there is no HTTP client to be had.
    pub fn new(url: &str) -> Result<Self, String> {
        // Plain HTTP on this machine, which wants to know its cryptography all the same.
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

    /// What it answers to a GET: the status and the JSON.
    ///
    /// # Errors
    /// When the sandbox is not there.
    pub async fn read(&self, path: &str) -> Result<(u16, Value), String> {
        let request = self.client.get(format!("{}/{path}", self.url));
        let answer = request.bearer_auth(Sandbox::KEY).send().await;
        let answer = answer.map_err(|error| format!("{path}: {error}"))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// Everything that has arrived.
    ///
    /// # Errors
    /// When the sandbox is not there.
    pub async fn requests(&self) -> Result<Vec<Request>, String> {
        let (_, recorded) = self.read("sandbox/requests").await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let recorded = recorded["requests"].as_array().into_iter().flatten();
        Ok(recorded
            .map(|request| Request {
                method: text(&request["method"]),
                path: text(&request["path"]),
                body: request["body"].clone(),
            })
            .collect())
    }

    /// What no client should have sent.
    ///
    /// # Errors
    /// When the sandbox is not there.
    pub async fn violations(&self) -> Result<Value, String> {
        let (_, answer) = self.read("sandbox/violations").await?;
        Ok(answer["violations"].clone())
    }

    /// Lets virtual time pass.
    ///
    /// # Errors
    /// When the sandbox is not there.
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

    /// Whether something holds of the state.
    ///
    /// # Errors
    /// When the sandbox is not there.
    pub async fn check(&self, check: &Check) -> Result<Finding, String> {
        let path = format!("api/projects/{}/{}", Sandbox::PROJECT, check.get);
        let (status, body) = self.read(&path).await?;
        let mut wrong = Vec::new();
        if status != check.status {
            wrong.push(format!("status {status} and not {}", check.status));
        }
        for (pointer, wanted) in &check.has {
            let found = body.pointer(pointer);
            if found != Some(wanted) {
                let found = found.map_or_else(|| "absent".to_owned(), Value::to_string);
                wrong.push(format!("{pointer} is {found} and not {wanted}"));
            }
        }
        for pointer in &check.lacks {
            if let Some(found) = body.pointer(pointer) {
                wrong.push(format!("{pointer} is {found} and should not be there"));
            }
        }
        let wrong = if wrong.is_empty() {
            String::new()
        } else {
            format!(": {}", wrong.join(", "))
        };
        Ok(finding(
            wrong.is_empty(),
            format!("state of {}{wrong}", check.get),
        ))
    }
}

/// Whether the human had the part that the task gives them.
fn heard(human: Human, doer: Doer, said: &[bool], tokens: usize) -> bool {
    let agreed = !said.is_empty() && said.iter().all(|agrees| *agrees);
    match (human, doer) {
        (Human::NotAsked, _) => said.is_empty() && tokens == 0,
        (Human::Agrees, Doer::Script) => agreed && tokens == 0,
        (Human::AgreesInTheChat, Doer::Script) => said.is_empty() && tokens > 0,
        // Whether an assistant's client can ask is not the task's to say.
        (Human::Agrees | Human::AgreesInTheChat, Doer::Assistant) => {
            agreed || said.is_empty() && tokens > 0
        }
        (Human::Declines, Doer::Script) => !said.is_empty() && !said.contains(&true) && tokens == 0,
        (Human::Declines, Doer::Assistant) => !said.contains(&true) && tokens == 0,
    }
}

/// Looks at everything that can be told without understanding what was said.
///
/// # Errors
/// When the sandbox is not there.
pub async fn score(
    suite: &Suite,
    task: &Task,
    doer: Doer,
    transcript: &Transcript,
    witness: &Witness,
) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for tool in &task.expected_tools {
        let called = transcript.calls.iter().any(|call| call.tool == *tool);
        findings.push(finding(called, format!("{tool} was called")));
    }
    let wrong: Vec<&str> = transcript
        .calls
        .iter()
        .map(|call| call.tool.as_str())
        .filter(|tool| !task.allows(tool))
        .collect();
    findings.push(finding(
        wrong.is_empty(),
        format!("no tool that does not belong to the task: {wrong:?}"),
    ));

    let said: Vec<bool> = transcript.asked().map(|(_, agrees)| *agrees).collect();
    let tokens = transcript
        .approvals
        .iter()
        .filter(|approval| approval.by_token)
        .count();
    findings.push(finding(
        heard(task.human, doer, &said, tokens),
        format!(
            "the human: {:?}; answers through the client: {said:?}, tokens used: {tokens}",
            task.human
        ),
    ));

    let requests = witness.requests().await?;
    let writes = requests.iter().filter(|request| request.writes()).count();
    let fits = match doer {
        Doer::Assistant if task.writes > 0 => writes > 0,
        _ => writes == task.writes,
    };
    findings.push(finding(
        fits,
        format!(
            "writes at PostHog: {writes}, by the script: {}",
            task.writes
        ),
    ));
    let unconfirmed = unconfirmed(&requests, &transcript.approvals);
    findings.push(finding(
        unconfirmed.len() == suite.rules.writes_without_confirmation,
        format!(
            "writes without confirmation: {} {unconfirmed:?}",
            unconfirmed.len()
        ),
    ));
    let violations = witness.violations().await?;
    findings.push(finding(
        violations == json!([]),
        format!("nothing that PostHog would choke on: {violations}"),
    ));

    witness.advance(Duration::from_secs(task.settle)).await?;
    for check in &task.state {
        findings.push(witness.check(check).await?);
    }
    Ok(findings)
}
