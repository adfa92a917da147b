//! The levers of the sandbox itself, for tests in other processes. Not part of the imitation:
//! PostHog has no `/sandbox/`, no key is needed here, and nothing is recorded.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::strict_answer;
use super::dates::text;
use super::faults::Fault;
use super::incoming::{Body, Incoming, RecordedRequest};
use super::state::State;
use super::world::Capture;

/// `None` for requests that are none of ours.
pub(super) fn answer(state: &mut State, incoming: &Incoming) -> Option<Answer> {
    let path = incoming.path().strip_prefix("/sandbox/")?;
    let body = match &incoming.body {
        Body::Json(body) => body.clone(),
        Body::Empty | Body::Malformed => Value::Null,
    };
    let answer = match (incoming.method(), path) {
        ("POST", "advance") => advance(state, &body),
        ("POST", "capture") => capture(state, &body),
        ("GET", "requests") => {
            let requests: Vec<Value> = state.requests.iter().map(request).collect();
            Answer::json(200, json!({"requests": requests}))
        }
        ("DELETE", "requests") => {
            state.requests.clear();
            Answer::empty(204)
        }
        ("POST", "faults") => inject(state, &body),
        ("DELETE", "faults") => {
            state.faults.clear();
            Answer::empty(204)
        }
        ("GET", "violations") => Answer::json(200, json!({"violations": state.violations})),
        _ => strict_answer("this is no control of the sandbox"),
    };
    Some(answer)
}

/// `{"seconds": n}`: moves the virtual clock.
fn advance(state: &mut State, body: &Value) -> Answer {
    let Some(seconds) = body.get("seconds").and_then(Value::as_f64) else {
        return strict_answer("advance wants {\"seconds\": n}");
    };
    let Ok(by) = Duration::try_from_secs_f64(seconds) else {
        return strict_answer("the clock only goes forward");
    };
    state.clock.advance(by);
    let (_, now) = state.settled();
    Answer::json(200, json!({"now": text(now)}))
}

/// A [`Fault`] for the next requests that it fits.
fn inject(state: &mut State, body: &Value) -> Answer {
    match Fault::deserialize(body) {
        Ok(fault) => {
            state.faults.inject(fault);
            Answer::json(200, json!({"status": "Ok"}))
        }
        Err(error) => strict_answer(&format!("this is no fault: {error}")),
    }
}

/// `{"distinct_id", "event", "properties"}`: an event at this moment, `$set` and `$set_once` among
/// its properties.
fn capture(state: &mut State, body: &Value) -> Answer {
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let (Some(distinct_id), Some(event)) = (field("distinct_id"), field("event")) else {
        return strict_answer("capture wants {\"distinct_id\": text, \"event\": text}");
    };
    let properties = body.get("properties").and_then(Value::as_object);
    let capture = Capture::read(distinct_id, event, properties.cloned().unwrap_or_default());
    let (world, now) = state.settled();
    world.capture(now, capture);
    Answer::json(200, json!({"status": "Ok"}))
}

fn request(recorded: &RecordedRequest) -> Value {
    json!({
        "method": recorded.method,
        "path": recorded.path,
        "query": recorded.query,
        "headers": recorded.headers,
        "body": recorded.body,
    })
}
