//! The API key in responses that quote it.

use memchr::memmem;
use reqwest::StatusCode;
use serde_json::Value;

/// Replacing a shorter key could damage a body that does not quote it. No key of PostHog is shorter.
const MIN_KEY_BYTES: usize = 8;

/// A body in which the API key is replaced, should PostHog quote it, before anything is taken from the body: a part of it
/// would no longer be recognized.
pub(crate) fn without_key(body: Vec<u8>, status: StatusCode, key: &str) -> Vec<u8> {
    if key.len() < MIN_KEY_BYTES {
        return body;
    }
    // JSON can spell every character as an escape.
    let body = if !status.is_success() && body.contains(&b'\\') {
        serde_json::from_slice::<Value>(&body).map_or(body, |json| json.to_string().into_bytes())
    } else {
        body
    };
    let mut found = memmem::find_iter(&body, key).peekable();
    if found.peek().is_none() {
        drop(found);
        return body;
    }
    let mut replaced = Vec::with_capacity(body.len());
    let mut from = 0;
    for at in found {
        replaced.extend_from_slice(body.get(from..at).unwrap_or_default());
        replaced.extend_from_slice(b"[key]");
        from = at + key.len();
    }
    replaced.extend_from_slice(body.get(from..).unwrap_or_default());
    replaced
}
