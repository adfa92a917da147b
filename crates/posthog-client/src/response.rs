//! What an unsuccessful response means: the status, the headers and the shapes in which PostHog gives its reasons.
//!
//! Two refusals have one code for both, so that only PostHog's sentence distinguishes them: a missing scope, and an
//! endpoint that supports no scoped keys. Nothing else depends on a sentence.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Unsupported};
use crate::retry::retry_after;
use crate::untrusted::Untrusted;

/// Longer reasons are truncated.
const MAX_REASON_CHARS: usize = 300;

/// The status and the headers that matter.
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) html: bool,
}

impl ResponseHead {
    pub(crate) fn new(response: &reqwest::Response) -> Self {
        let headers = response.headers();
        Self {
            status: response.status(),
            retry_after: retry_after(headers),
            html: headers
                .get(CONTENT_TYPE)
                .is_some_and(|value| value.as_bytes().starts_with(b"text/html")),
        }
    }
}

pub(crate) fn looks_like_html(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// Whether a write with this response may have been performed: a proxy that sends it did not wait for PostHog. A redirect
/// to the same method says that nothing was done here.
fn leaves_write_open(status: u16, envelope: Option<&Envelope>) -> bool {
    match (status, envelope) {
        (_, Some(envelope)) if envelope.failed => false,
        (303 | 408 | 423 | 425 | 499, _) => true,
        (300..=399, _) => false,
        (_, envelope) => envelope.is_none(),
    }
}

/// Turns an unsuccessful response into an error. `is_write` is whether the request changes anything.
pub(crate) fn classify(
    head: &ResponseHead,
    body: &[u8],
    last_segment: &str,
    is_write: bool,
) -> Error {
    let envelope = Envelope::read(body);
    let status = head.status.as_u16();
    let page = head.html || looks_like_html(body);
    let not_posthogs = || {
        let what = if page { "a web page" } else { "no reason" };
        Error::new(ErrorKind::InvalidResponse).with_reason(format!("status {status} with {what}"))
    };
    if is_write && leaves_write_open(status, envelope.as_ref()) {
        let error = Error::new(ErrorKind::Server { status });
        return match envelope.map(|envelope| envelope.reason) {
            None if status < 500 => not_posthogs(),
            Some(Some(reason)) => error.with_reason(reason),
            _ => error,
        };
    }
    if envelope.is_none() && (400..500).contains(&status) && status != 429 {
        // Without an envelope, a client error comes from a load balancer or another web server. The exceptions are the
        // empty errors of the CSV endpoint.
        return match status {
            401 => Error::new(ErrorKind::Authentication),
            400 if !page => Error::new(ErrorKind::Invalid { argument: None }),
            403 if body.trim_ascii().is_empty() => Error::new(ErrorKind::Forbidden),
            _ => not_posthogs(),
        };
    }
    let envelope = envelope.unwrap_or_default();
    let unsupported = || {
        let endpoint = last_segment.to_owned();
        ErrorKind::Unsupported(Unsupported::Endpoint { endpoint })
    };
    let kind = match status {
        _ if envelope.failed => ErrorKind::NotPerformed,
        300..=399 => ErrorKind::Redirected,
        401 => ErrorKind::Authentication,
        403 => envelope.forbidden_kind(),
        404 if envelope.reason.as_deref() == Some("Project not found.") => {
            ErrorKind::ProjectNotFound
        }
        404 if envelope.reason.as_deref() == Some("Endpoint not found.") => unsupported(),
        404 => ErrorKind::NotFound,
        // Every method that is sent exists where the endpoint does.
        405 => unsupported(),
        503 if envelope.code == "person_lookup_unavailable" => ErrorKind::LookupUnavailable,
        429 => ErrorKind::RateLimited {
            retry_after: head.retry_after,
        },
        500.. => ErrorKind::Server { status },
        _ => ErrorKind::Invalid {
            argument: envelope.argument.clone().map(Untrusted::from),
        },
    };
    // An older PostHog takes the name of an endpoint that it does not have for the id of a person.
    let kind = match kind {
        ErrorKind::Invalid { .. } if envelope.is_about_id(last_segment) => unsupported(),
        kind => kind,
    };
    let error = Error::new(kind).with_code(!envelope.code.is_empty());
    match envelope.reason {
        Some(reason) => error.quoting(reason),
        None => error,
    }
}

/// PostHog's description of a failure, from any of the shapes that it uses.
#[derive(Default)]
struct Envelope {
    code: String,
    reason: Option<String>,
    argument: Option<String>,
    /// `{"success": false}`: PostHog did not perform the request.
    failed: bool,
}

impl Envelope {
    fn read(body: &[u8]) -> Option<Self> {
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
            return None;
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let code = text("code").unwrap_or_default();
        let detail = text("detail");
        let reason = match detail {
            // Missing fields of PATCH and update_property: `code` contains the sentence, `detail` the code.
            Some("required") if code.contains(' ') => Some(code),
            // properties_at_time has `error`; lifecycle and cohorts have `message`, with or without `detail`.
            _ => text("message").or(detail).or_else(|| text("error")),
        };
        Some(Self {
            code: code.to_owned(),
            reason: reason.map(truncate),
            argument: text("attr").map(truncate),
            failed: fields.get("success") == Some(&Value::Bool(false)),
        })
    }

    /// Whether PostHog complains that this part of the path is no id of a person, though it is the name of an endpoint.
    fn is_about_id(&self, segment: &str) -> bool {
        let reason = self.reason.as_deref().unwrap_or_default();
        reason.contains("does not look like a personID")
            && reason.contains(&format!("distinct_id={segment} "))
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    }

    /// The kind of a 403.
    ///
    /// An invalid key is a 403 where the first authenticator offers no challenge.
    fn forbidden_kind(&self) -> ErrorKind {
        if matches!(
            self.code.as_str(),
            "authentication_failed" | "not_authenticated"
        ) {
            return ErrorKind::Authentication;
        }
        let reason = self.reason.as_deref().unwrap_or_default();
        if let Some((_, rest)) = reason.split_once("missing required scope")
            && let Some(scope) = rest.split(['\'', '"', '`']).nth(1)
        {
            return ErrorKind::MissingScope(scope.to_owned().into());
        }
        let lower = reason.to_lowercase();
        if lower.contains("does not support")
            && (lower.contains("api key") || lower.contains("oauth"))
        {
            return ErrorKind::ScopedKeysUnsupported;
        }
        ErrorKind::Forbidden
    }
}

fn truncate(text: &str) -> String {
    // ClickHouse appends the whole query.
    let text = text.split(" In scope ").next().unwrap_or(text);
    match text.char_indices().nth(MAX_REASON_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind_of(status: u16, body: &Value) -> ErrorKind {
        error(status, body).kind().clone()
    }

    fn error(status: u16, body: &Value) -> Error {
        let head = ResponseHead {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            html: false,
        };
        classify(&head, body.to_string().as_bytes(), "values", false)
    }

    fn envelope(kind: &str, code: &str, detail: &str) -> Value {
        json!({"type": kind, "code": code, "detail": detail, "attr": null})
    }

    #[test]
    fn invalid_key_is_one_kind_with_either_status() {
        for code in ["authentication_failed", "not_authenticated"] {
            for status in [401, 403] {
                let body = envelope("authentication_error", code, "Invalid key");
                assert_eq!(kind_of(status, &body), ErrorKind::Authentication);
            }
        }
    }

    #[test]
    fn kinds_of_403_are_distinguished() {
        let denied = |detail| {
            kind_of(
                403,
                &envelope("authentication_error", "permission_denied", detail),
            )
        };
        assert_eq!(
            denied("API key missing required scope 'cohort:read'"),
            ErrorKind::MissingScope("cohort:read".to_owned().into())
        );
        assert_eq!(
            denied("This action does not support personal API key access"),
            ErrorKind::ScopedKeysUnsupported
        );
        assert_eq!(
            denied("This action does not support Personal API Key access"),
            ErrorKind::ScopedKeysUnsupported
        );
        assert_eq!(
            denied("You don't have access to the project."),
            ErrorKind::Forbidden
        );
    }

    #[test]
    fn reason_is_read_from_every_shape() {
        let reason = |body| {
            error(400, &body)
                .reason()
                .map(|reason| reason.expose_untrusted().clone())
        };
        assert_eq!(
            reason(
                json!({"attr": "properties", "code": "You must give properties", "detail": "required"})
            ),
            Some("You must give properties".into())
        );
        assert_eq!(
            reason(json!({"error": "no timestamp"})),
            Some("no timestamp".into())
        );
        assert_eq!(
            reason(json!({"success": false, "detail": "not sent"})),
            Some("not sent".into())
        );
        assert_eq!(
            reason(json!({"message": "pick a type", "detail": "lifecycle_type"})),
            Some("pick a type".into())
        );
    }

    #[test]
    fn outcome_is_known_where_posthog_reports_failure() {
        let body = json!({"success": false, "detail": "capture is down"});
        for status in [400, 500, 502] {
            assert_eq!(kind_of(status, &body), ErrorKind::NotPerformed);
        }
        assert!(!ErrorKind::NotPerformed.outcome_unknown());
        assert!(ErrorKind::Server { status: 502 }.outcome_unknown());
    }

    #[test]
    fn missing_endpoints_and_projects_are_no_missing_persons() {
        let not_found = |detail| kind_of(404, &envelope("invalid_request", "not_found", detail));
        assert_eq!(not_found("Project not found."), ErrorKind::ProjectNotFound);
        let missing = || {
            let endpoint = "values".to_owned();
            ErrorKind::Unsupported(Unsupported::Endpoint { endpoint })
        };
        assert_eq!(not_found("Endpoint not found."), missing());
        assert_eq!(not_found("Not found."), ErrorKind::NotFound);
        let method = envelope(
            "invalid_request",
            "method_not_allowed",
            "Method \"POST\" not allowed.",
        );
        assert_eq!(kind_of(405, &method), missing());
        let no_id = |segment: &str| {
            let detail = format!(
                "The ID provided does not look like a personID. If you are using a distinctId, please use \
                 /persons?distinct_id={segment} instead."
            );
            kind_of(400, &envelope("validation_error", "invalid_input", &detail))
        };
        assert_eq!(no_id("values"), missing());
        assert_eq!(no_id("zzz"), ErrorKind::Invalid { argument: None });
        let lookup = envelope("server_error", "person_lookup_unavailable", "Try again.");
        assert_eq!(kind_of(503, &lookup), ErrorKind::LookupUnavailable);
    }

    #[test]
    fn web_page_is_an_invalid_response_with_any_status() {
        for status in [400, 403, 404] {
            let head = ResponseHead {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: None,
                html: true,
            };
            assert_eq!(
                classify(&head, b"<html>no</html>", "values", false).kind(),
                &ErrorKind::InvalidResponse
            );
        }
    }

    #[test]
    fn write_is_known_not_to_be_done_only_where_posthog_says_so() {
        let outcome_unknown = |status: u16, body: &str| {
            let head = ResponseHead {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: None,
                html: false,
            };
            let error = classify(&head, body.as_bytes(), "split", true);
            error.kind().outcome_unknown()
        };
        let reason = envelope("invalid_request", "error", "No.").to_string();
        let failed = json!({"success": false}).to_string();
        for status in [303, 408, 423, 425, 499, 500, 502] {
            assert!(outcome_unknown(status, &reason), "{status}");
            assert!(!outcome_unknown(status, &failed), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 413, 429] {
            assert!(!outcome_unknown(status, &reason), "{status}");
            for body in ["", "<html>", "no", "[]", "\"no\"", "null"] {
                assert!(outcome_unknown(status, body), "{status} {body}");
            }
        }
        for status in [301, 302, 307, 308] {
            assert!(!outcome_unknown(status, ""), "{status}");
        }
    }
}
