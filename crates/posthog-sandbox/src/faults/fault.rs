//! Faults, and which requests they apply to.

use std::time::Duration;

use serde::Deserialize;

use super::response_faults::{ResponseFault, seconds};
use crate::http::{HTML, JSON, Request, Response};

/// A fault for the next requests whose path contains a text.
///
/// As JSON, for the admin endpoint: `{"path_contains": "split", "times": 2, "kind": {"server_error": {"status": 502}}}`;
/// `times` defaults to 1, and durations in `kind` are in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// A substring of the method and the path as sent: `split`, or `PATCH /api/projects/1/`. The empty text matches every
    /// request.
    #[serde(default)]
    pub path_contains: String,
    /// How many requests it applies to; `usize::MAX` for all of them.
    #[serde(default = "once")]
    pub times: usize,
    pub kind: FaultKind,
}

fn once() -> usize {
    1
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// Responds with this; the request has no effect.
    Response {
        status: u16,
        content_type: String,
        body: String,
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// The API's own 429 with a `Retry-After` in seconds.
    Throttle { retry_after: u64 },
    /// The API's own 429 when other queries of the project are running, without a `Retry-After`.
    ConcurrencyLimit,
    /// The API's own 500, or ClickHouse's 503, 504 and 512.
    ServerError { status: u16 },
    /// Accepts the request and never responds; the request has no effect.
    Stall,
    /// The request takes effect, and the response is sent after this much real time.
    Delay(#[serde(deserialize_with = "seconds")] Duration),
    /// Closes the connection without a response; the request has no effect.
    DropBeforeEffect,
    /// Closes the connection without a response after the request has taken effect.
    DropAfterEffect,
    /// The request takes effect, and the connection closes after this many bytes of the response, including its head.
    CutResponse { after_bytes: usize },
    /// The request takes effect, and its response is altered.
    AlterResponse(ResponseFault),
}

impl Fault {
    /// A fault for the next request whose path contains this text.
    pub fn once(path_contains: &str, kind: FaultKind) -> Self {
        Self {
            path_contains: path_contains.to_owned(),
            times: once(),
            kind,
        }
    }

    /// A fault for every request whose path contains this text.
    pub fn always(path_contains: &str, kind: FaultKind) -> Self {
        Self {
            times: usize::MAX,
            ..Self::once(path_contains, kind)
        }
    }
}

impl FaultKind {
    /// Responds with JSON, with any status.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Response {
            status,
            content_type: JSON.to_owned(),
            body: body.to_string(),
            headers: Vec::new(),
        }
    }

    /// Responds with an HTML page, as a load balancer or a login page would.
    pub fn page(status: u16) -> Self {
        Self::Response {
            status,
            content_type: HTML.to_owned(),
            body: "<!doctype html>\n<html><body><h1>Sign in</h1></body></html>\n".to_owned(),
            headers: Vec::new(),
        }
    }

    /// Responds with a redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Response {
            status,
            content_type: HTML.to_owned(),
            body: String::new(),
            headers: vec![("location".to_owned(), location.to_owned())],
        }
    }

    /// Replaces the value of each field of this name in the response; see [`ResponseFault::ReplaceField`].
    pub fn replace_field(field: &str, json: impl Into<String>) -> Self {
        Self::AlterResponse(ResponseFault::ReplaceField {
            field: field.to_owned(),
            json: json.into(),
        })
    }
}

/// The faults that are not used up, in order of injection.
#[derive(Default)]
pub(crate) struct FaultQueue(Vec<Fault>);

impl FaultQueue {
    pub(crate) fn inject(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn take_matching(&mut self, request: &Request) -> Option<FaultKind> {
        let target = format!("{} {}", request.method(), request.path());
        self.0.retain(|fault| fault.times > 0);
        let mut faults = self.0.iter_mut();
        let fault = faults.find(|fault| target.contains(&fault.path_contains))?;
        if fault.times != usize::MAX {
            fault.times -= 1;
        }
        Some(fault.kind.clone())
    }
}

impl FaultKind {
    /// The response of a fault that replaces the handler.
    pub(crate) fn response(&self) -> Option<Response> {
        match self {
            Self::Response {
                status,
                content_type,
                body,
                headers,
            } => {
                let mut response = Response::text(*status, content_type, body.clone());
                response.headers.clone_from(headers);
                Some(response)
            }
            Self::Throttle { retry_after } => Some(Response::throttled(*retry_after)),
            Self::ConcurrencyLimit => Some(Response::concurrency_limit()),
            Self::ServerError { status } => Some(Response::server_error(*status)),
            _ => None,
        }
    }
}
