//! The admin endpoints below `/sandbox/`, which control the sandbox from another process. PostHog has no such
//! endpoints: they need no key, and their requests are not recorded.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::dispatch::SandboxState;
use crate::faults::Fault;
use crate::handlers::rejection;
use crate::http::{Body, RecordedRequest, Request, Response};
use crate::model::Capture;
use crate::model::dates::format_time;

/// `None` for requests outside `/sandbox/`.
pub(crate) fn respond(state: &mut SandboxState, request: &Request) -> Option<Response> {
    let path = request.path().strip_prefix("/sandbox/")?;
    let body = match &request.body {
        Body::Json(body) => body.clone(),
        Body::Empty | Body::Malformed => Value::Null,
    };
    let response = match (request.method(), path) {
        ("POST", "advance") => advance(state, &body),
        ("POST", "capture") => capture(state, &body),
        ("GET", "requests") => {
            let requests: Vec<Value> = state.requests.iter().map(recorded_request).collect();
            Response::json(200, json!({"requests": requests}))
        }
        ("DELETE", "requests") => {
            state.requests.clear();
            Response::empty(204)
        }
        ("POST", "faults") => inject(state, &body),
        ("DELETE", "faults") => {
            state.faults.clear();
            Response::empty(204)
        }
        ("GET", "violations") => Response::json(200, json!({"violations": state.violations})),
        _ => rejection("unknown admin endpoint"),
    };
    Some(response)
}

/// `{"seconds": n}`: moves the virtual clock.
fn advance(state: &mut SandboxState, body: &Value) -> Response {
    let Some(seconds) = body.get("seconds").and_then(Value::as_f64) else {
        return rejection("advance expects {\"seconds\": n}");
    };
    let Ok(by) = Duration::try_from_secs_f64(seconds) else {
        return rejection("seconds must be a number that is not negative");
    };
    let now = state.advance(by);
    Response::json(200, json!({"now": format_time(now)}))
}

/// A [`Fault`] as JSON, for the next requests that it matches.
fn inject(state: &mut SandboxState, body: &Value) -> Response {
    match Fault::deserialize(body) {
        Ok(fault) => {
            state.faults.inject(fault);
            Response::json(200, json!({"status": "Ok"}))
        }
        Err(error) => rejection(&format!("invalid fault: {error}")),
    }
}

/// `{"distinct_id", "event", "properties"}`: captures an event at this moment, with `$set` and `$set_once` among its
/// properties.
fn capture(state: &mut SandboxState, body: &Value) -> Response {
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let (Some(distinct_id), Some(event)) = (field("distinct_id"), field("event")) else {
        return rejection("capture expects {\"distinct_id\": text, \"event\": text}");
    };
    let properties = body.get("properties").and_then(Value::as_object);
    let capture = Capture::read(distinct_id, event, properties.cloned().unwrap_or_default());
    let (project, now) = state.current_project();
    project.capture(now, capture);
    Response::json(200, json!({"status": "Ok"}))
}

fn recorded_request(recorded: &RecordedRequest) -> Value {
    json!({
        "method": recorded.method,
        "path": recorded.path,
        "query": recorded.query,
        "headers": recorded.headers,
        "body": recorded.body,
    })
}
