//! The capture endpoints: events of a project, by its token (Persons API, Merging).

use chrono::Duration;
use serde_json::{Value, json};

use super::context::Context;
use super::discovery::project_token;
use crate::http::{Body, Request, Response};
use crate::model::{Capture, Effect, PropertyMap};

/// How long ingestion takes.
const INGESTION_SECONDS: i64 = 2;
/// Capture cuts longer ids.
const MAX_CAPTURED_CHARS: usize = 200;

const FIELDS: &[&str] = &[
    "api_key",
    "token",
    "event",
    "distinct_id",
    "properties",
    "timestamp",
    "uuid",
];

/// Whether this is a path of the capture endpoints.
pub(crate) fn serves(path: &str) -> bool {
    matches!(path, "/i/v0/e/" | "/capture/" | "/batch/")
}

/// Whether the events are of this project.
pub(crate) fn is_of(request: &Request, project: u64) -> bool {
    let Body::Json(body) = &request.body else {
        return false;
    };
    let token = body.get("api_key").or_else(|| body.get("token"));
    token.and_then(Value::as_str) == Some(project_token(project))
}

/// Accepts events. What becomes of them is not reported.
pub(crate) fn capture(context: &mut Context<'_>) -> Result<Response, Response> {
    if context.request.method() != "POST" {
        return Err(refusal(405, "method not allowed"));
    }
    for header in ["authorization", "cookie"] {
        if context.request.recorded.header(header).is_some() {
            return Err(context.reject(format!("{header} at the capture host")));
        }
    }
    let events = events(context)?;
    if !is_of(context.request, context.project.id) {
        return Err(refusal(401, "API key is not valid"));
    }
    if context.behaviors.capture_down {
        return Err(refusal(
            context.behaviors.capture_status,
            "transient error, please retry",
        ));
    }
    if context.behaviors.events_over_quota {
        let body = json!({"status": "Ok", "quota_limited": ["events"]});
        return Ok(Response::json(200, body));
    }
    let due = context.now + Duration::seconds(INGESTION_SECONDS);
    for event in events {
        context.project.schedule(due, Effect::Capture(event));
    }
    Ok(Response::json(200, json!({"status": "Ok"})))
}

/// Errors of the capture service are plain text.
fn refusal(status: u16, sentence: &str) -> Response {
    Response::text(status, "text/plain; charset=utf-8", sentence.to_owned())
}

fn events(context: &mut Context<'_>) -> Result<Vec<Capture>, Response> {
    let body = match &context.request.body {
        Body::Json(Value::Object(body)) => body.clone(),
        _ => {
            context.record_violation("body is not a JSON object");
            return Err(refusal(400, "failed to parse request"));
        }
    };
    if context.request.path() != "/batch/" {
        return Ok(vec![event(context, &body)?]);
    }
    let batch = body.get("batch").and_then(Value::as_array);
    let Some(batch) = batch.filter(|batch| !batch.is_empty()) else {
        context.record_violation("request without events");
        return Err(refusal(400, "request holds no event"));
    };
    let mut events = Vec::new();
    for one in batch {
        let one = one.as_object().cloned().unwrap_or_default();
        events.push(event(context, &one)?);
    }
    Ok(events)
}

fn event(context: &mut Context<'_>, fields: &PropertyMap) -> Result<Capture, Response> {
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(context.reject(format!("unknown field {unknown:?} of an event")));
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let named = text("event").filter(|name| !name.is_empty());
    let (Some(name), Some(distinct_id)) = (named, text("distinct_id")) else {
        context.record_violation("event without a name or a distinct id");
        return Err(refusal(400, "event submitted without a distinct_id"));
    };
    let properties = fields.get("properties").and_then(Value::as_object);
    let properties = properties.cloned().unwrap_or_default();
    // The location of the sender would become the person's.
    if properties.get("$geoip_disable") != Some(&Value::Bool(true)) {
        context.record_violation("event of a server without $geoip_disable");
    }
    let distinct_id: String = distinct_id
        .replace('\0', "\u{fffd}")
        .chars()
        .take(MAX_CAPTURED_CHARS)
        .collect();
    if distinct_id.is_empty() {
        return Err(refusal(400, "event submitted without a distinct_id"));
    }
    Ok(Capture {
        move_limit: context.behaviors.merge_move_limit,
        ..Capture::read(&distinct_id, name, properties)
    })
}
