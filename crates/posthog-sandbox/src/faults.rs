//! Misfortunes on request: single faults for the next matching requests, and lasting behaviors
//! (contract section 9).

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::answer::{Answer, HTML, JSON};
use super::distortion::ResponseFault;
use super::incoming::Incoming;

/// A fault for the next requests whose path contains a text.
///
/// As JSON, for the controls: `{"path_contains": "split", "times": 2, "what": {"server_error":
/// {"status": 502}}}`; without `times` it strikes once, and times in `what` are seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Sought in the method and the path as they were sent: `split` fits, and so does
    /// `PATCH /api/projects/1/`. The empty text fits every request.
    #[serde(default)]
    pub path_contains: String,
    /// How many requests it strikes; `usize::MAX` for all of them.
    #[serde(default = "once")]
    pub times: usize,
    pub what: FaultKind,
}

fn once() -> usize {
    1
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// This answer instead of the real one; nothing takes effect.
    Response {
        status: u16,
        content_type: String,
        body: String,
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// The API's own 429 with a `Retry-After` in seconds.
    Throttle { retry_after: u64 },
    /// The API's own 500, or ClickHouse's 503, 504 and 512.
    ServerError { status: u16 },
    /// The request is accepted and never answered; nothing takes effect.
    Stall,
    /// The request takes effect, and is answered after this long in real time.
    Delay(#[serde(deserialize_with = "seconds")] Duration),
    /// The connection closes without an answer, and nothing has happened.
    DropBeforeEffect,
    /// The connection closes without an answer, and the request has taken effect.
    DropAfterEffect,
    /// The request takes effect, and the connection closes after this many bytes of the answer,
    /// the head included.
    CutResponse { after_bytes: usize },
    /// The request takes effect, and its answer arrives changed.
    AlterResponse(ResponseFault),
}

/// A time as a number of seconds.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
}

impl Fault {
    /// A fault for the next request whose path contains this text.
    pub fn once(path_contains: &str, what: FaultKind) -> Self {
        Self {
            path_contains: path_contains.to_owned(),
            times: once(),
            what,
        }
    }

    /// A fault for every request whose path contains this text.
    pub fn always(path_contains: &str, what: FaultKind) -> Self {
        Self {
            times: usize::MAX,
            ..Self::once(path_contains, what)
        }
    }
}

impl FaultKind {
    /// A JSON answer of any status.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Response {
            status,
            content_type: JSON.to_owned(),
            body: body.to_string(),
            headers: Vec::new(),
        }
    }

    /// The page of a load balancer in place of any answer.
    pub fn page(status: u16) -> Self {
        Self::Response {
            status,
            content_type: HTML.to_owned(),
            body: "<!doctype html>\n<html><body><h1>Sign in</h1></body></html>\n".to_owned(),
            headers: Vec::new(),
        }
    }

    /// An answer that points to another address.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Response {
            status,
            content_type: HTML.to_owned(),
            body: String::new(),
            headers: vec![("location".to_owned(), location.to_owned())],
        }
    }

    /// The true answer with each field of this name, at any depth, holding this JSON instead.
    pub fn replace_field(field: &str, json: impl Into<String>) -> Self {
        Self::AlterResponse(ResponseFault::ReplaceField {
            field: field.to_owned(),
            json: json.into(),
        })
    }
}

/// Lasting states of the imitated server, all off at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaviors {
    /// Ingestion takes no events: PATCH, PUT and `update_property` still say 202 and change
    /// nothing, `delete_property` says 502.
    pub capture_down: bool,
    /// Splits are answered and logged, and never happen.
    pub split_task_lost: bool,
    /// Queued deletions are accepted, and given up later without a word.
    pub queued_delete_fails: bool,
    /// The deletion of the first person fails at this step, as `deletion_errors` of a bulk delete
    /// and as a 503 of the single one.
    pub deletion_fails_at: Option<String>,
    /// Properties that access control hides from the caller and does not let it write.
    pub restricted_properties: Vec<String>,
    /// The key owner's current project is another one: `@current` leads there, and cohorts of
    /// persons of this project come out empty.
    pub foreign_current_project: bool,
}

/// The faults still to come, in the order of their injection.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn strike(&mut self, incoming: &Incoming) -> Option<FaultKind> {
        let line = format!("{} {}", incoming.method(), incoming.path());
        self.0.retain(|fault| fault.times > 0);
        let mut faults = self.0.iter_mut();
        let fault = faults.find(|fault| line.contains(&fault.path_contains))?;
        if fault.times != usize::MAX {
            fault.times -= 1;
        }
        Some(fault.what.clone())
    }
}

impl FaultKind {
    /// The answer that a fault gives in place of the handler, for those that are answers.
    pub(super) fn canned(&self) -> Option<Answer> {
        match self {
            Self::Response {
                status,
                content_type,
                body,
                headers,
            } => {
                let mut answer = Answer::text(*status, content_type, body.clone());
                answer.headers.clone_from(headers);
                Some(answer)
            }
            Self::Throttle { retry_after } => Some(Answer::throttled(*retry_after)),
            Self::ServerError { status } => Some(Answer::server_error(*status)),
            _ => None,
        }
    }
}
