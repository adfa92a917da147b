//! Reads request bodies within a size, a time and a memory limit, after the headers were authenticated.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;

use super::limits::BodyMemory;
use super::message_kind::MessageKind;

/// No MCP request needs more: a thousand ids are 40 KB.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// A session keeps the names and capabilities that its client declares; no client needs more.
const MAX_HANDSHAKE_BYTES: usize = 16 * 1024;
/// Values of JSON in a body: far more than any call needs.
const MAX_VALUES: usize = 20_000;
/// What a value takes while a message is read and its call runs, besides its text: an empty list of two bytes becomes a
/// hundred times as much.
const VALUE_BYTES: usize = 200;
/// How long a body may take to arrive.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(15);

/// Reads the whole body, and attaches the kind of its message.
pub(super) async fn read(request: Request, memory: &mut BodyMemory) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    let declared = parts.headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(too_large());
    }
    let body = match tokio::time::timeout(BODY_READ_TIMEOUT, collect(body, memory)).await {
        Ok(body) => body?,
        Err(_) => {
            let why = "Request body not received in time\n";
            return Err((StatusCode::REQUEST_TIMEOUT, why).into_response());
        }
    };
    // Before anything reads it as JSON.
    let values = values(&body);
    if values > MAX_VALUES {
        let why = "The request has too many values; send fewer at a time\n";
        return Err((StatusCode::PAYLOAD_TOO_LARGE, why).into_response());
    }
    memory
        .grow(values * VALUE_BYTES)
        .map_err(IntoResponse::into_response)?;
    let kind = MessageKind::of(&body);
    if kind == MessageKind::Initialize && body.len() > MAX_HANDSHAKE_BYTES {
        let why = "The initialize request is too large\n";
        return Err((StatusCode::PAYLOAD_TOO_LARGE, why).into_response());
    }
    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(kind);
    Ok(request)
}

async fn collect(body: Body, memory: &mut BodyMemory) -> Result<Vec<u8>, Response> {
    let mut stream = body.into_data_stream();
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| too_large())?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        memory
            .grow(chunk.len())
            .map_err(IntoResponse::into_response)?;
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// How many values a body can become: what begins or separates them, also inside texts, because arguments can be JSON as text.
fn values(body: &[u8]) -> usize {
    let begins = |byte: &&u8| matches!(byte, b'[' | b'{' | b',');
    body.iter().filter(begins).count()
}

fn too_large() -> Response {
    let why = "Request body too large or incomplete\n";
    (StatusCode::PAYLOAD_TOO_LARGE, why).into_response()
}
