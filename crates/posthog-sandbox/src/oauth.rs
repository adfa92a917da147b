//! What a token of OAuth says about itself (contract section 2.3, step 2).

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::strict_answer;
use super::incoming::{Body, Incoming};
use super::keys::{Key, authenticate};

/// Not below `/api/`, and without a slash at the end.
pub(super) const INTROSPECT: &str = "/oauth/introspect";

/// Contract 2.1.
pub(super) fn is_token(key: &Key) -> bool {
    key.value.starts_with("pha_")
}

pub(super) fn introspect(incoming: &Incoming, keys: &[Key]) -> Result<Answer, Answer> {
    let key = authenticate(incoming, keys)?;
    let token = match &incoming.body {
        Body::Json(body) => body.get("token").and_then(Value::as_str),
        Body::Empty | Body::Malformed => None,
    };
    if incoming.method() != "POST" || token != Some(key.value.as_str()) || !is_token(&key) {
        return Err(strict_answer(
            "a token is introspected by itself, in a POST",
        ));
    }
    Ok(Answer::json(
        200,
        json!({
            "active": true,
            "scope": key.scopes.unwrap_or_default().join(" "),
            "scoped_teams": key.scoped_teams,
            "scoped_organizations": key.scoped_organizations,
        }),
    ))
}
