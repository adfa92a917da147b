//! Responses in which PostHog quotes an e-mail address.

use posthog_sandbox::FaultKind;
use serde_json::{Value, json};

/// Errors and invalid responses that quote an address.
pub(super) fn quoting() -> Vec<FaultKind> {
    const QUOTE: &str =
        "nothing is known of ada@example.com, ada%40example.com or <Ada.Lovelace@Example.com>";
    let error = |status, attr: Value| {
        let body =
            json!({"type": "validation_error", "code": "invalid", "detail": QUOTE, "attr": attr});
        FaultKind::json(status, &body)
    };
    let text = |status, content_type: &str, body: &str| FaultKind::Response {
        status,
        content_type: content_type.to_owned(),
        body: body.to_owned(),
        headers: Vec::new(),
    };
    vec![
        error(400, Value::Null),
        error(400, json!("ada@example.com")),
        error(401, Value::Null),
        error(403, Value::Null),
        error(404, Value::Null),
        error(500, Value::Null),
        FaultKind::json(
            403,
            &json!({"detail": "API key missing required scope 'ada@example.com'"}),
        ),
        FaultKind::json(400, &json!({"ada@example.com": [QUOTE]})),
        FaultKind::json(200, &json!("ada@example.com")),
        FaultKind::json(
            200,
            &json!({"results": "ada@example.com", "uuid": 1, "properties": "ada@example.com"}),
        ),
        FaultKind::json(
            200,
            &json!({"results": [{"uuid": 1, "properties": "ada@example.com"}], "ada@example.com": 1}),
        ),
        text(200, "application/json", QUOTE),
        text(500, "text/plain", QUOTE),
        text(200, "text/html; charset=utf-8", "<h1>ada@example.com</h1>"),
    ]
}
