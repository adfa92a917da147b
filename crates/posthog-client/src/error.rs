//! What went wrong with a request, as PostHog means it.
//!
//! Branch on [`Error::kind`]. A reason is PostHog's own sentence, for a reader; nothing decides by it except the two
//! refusals that PostHog tells apart in no other way.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

/// A PostHog sentence longer than this is cut.
const MAX_REASON_CHARS: usize = 300;

/// A failed request. Holds no key, no address and no body.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.kind.name())]
pub struct Error {
    kind: ErrorKind,
    reason: Option<String>,
    subject: Option<String>,
}

/// What a failure means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// The key is wrong, revoked, of another region, or no personal key at all.
    Authentication,
    /// The key lacks this scope.
    MissingScope(String),
    /// The endpoint does not serve scoped keys, whatever their scopes.
    ScopedKeysUnsupported,
    /// The key may not do this for another reason.
    Forbidden,
    /// There is no such person, project or page.
    NotFound,
    /// PostHog refuses an argument, which it may name.
    Invalid {
        /// The argument's name in the API.
        argument: Option<String>,
    },
    /// Too many requests.
    RateLimited {
        /// How long PostHog asks to wait.
        retry_after: Option<Duration>,
    },
    /// PostHog failed.
    Server {
        /// The HTTP status.
        status: u16,
    },
    /// PostHog points to another address, which is not followed.
    Redirected,
    /// The answer is not what the endpoint gives: a web page, cut off, of another shape.
    InvalidResponse,
    /// The answer is longer than is read.
    ResponseTooLarge {
        /// Bytes that are read at most.
        most: usize,
    },
    /// PostHog's limit for the key would be passed; nothing was sent.
    RateLimitedLocally {
        /// Until one more request would be taken.
        wait: Duration,
    },
    /// The requests of this key that are under way take too long; nothing was sent.
    QueueTimeout,
    /// No whole answer in time.
    Timeout,
    /// No connection; nothing was sent.
    Connect,
    /// No connection that is secure: a certificate that nobody trusts, or no TLS at all. Nothing was sent.
    Tls,
    /// The connection broke after the request began; it may have arrived.
    ConnectionLost,
    /// PostHog says that it did not do what was asked.
    NotPerformed,
    /// The request could not be made; nothing was sent.
    InvalidRequest,
    /// Which project to work on cannot be found out.
    Project,
}

impl ErrorKind {
    /// Whether the request may have arrived and done its work all the same.
    ///
    /// False only where PostHog says so, or nothing can have been sent.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Server { .. }
            | Self::InvalidResponse
            | Self::ResponseTooLarge { .. }
            | Self::Timeout
            | Self::ConnectionLost => true,
            Self::Authentication
            | Self::MissingScope(_)
            | Self::ScopedKeysUnsupported
            | Self::Forbidden
            | Self::NotFound
            | Self::Invalid { .. }
            | Self::RateLimited { .. }
            | Self::Redirected
            | Self::RateLimitedLocally { .. }
            | Self::QueueTimeout
            | Self::Connect
            | Self::Tls
            | Self::NotPerformed
            | Self::InvalidRequest
            | Self::Project => false,
        }
    }

    /// A word for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::MissingScope(_) => "missing_scope",
            Self::ScopedKeysUnsupported => "closed_to_keys",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Invalid { .. } => "invalid",
            Self::RateLimited { .. } => "rate_limited",
            Self::Server { .. } => "server_error",
            Self::Redirected => "redirected",
            Self::InvalidResponse => "unreadable",
            Self::ResponseTooLarge { .. } => "too_long",
            Self::RateLimitedLocally { .. } => "held_back",
            Self::QueueTimeout => "busy",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::ConnectionLost => "dropped",
            Self::NotPerformed => "failed",
            Self::InvalidRequest => "request",
            Self::Project => "project",
        }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self {
            kind,
            reason: None,
            subject: None,
        }
    }

    pub(crate) fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Takes the key out of PostHog's words, should it ever stand in them.
    pub(crate) fn redact_key(mut self, key: &str) -> Self {
        self.reason = self.reason.map(|reason| reason.replace(key, "[key]"));
        self
    }

    pub(crate) fn with_subject(mut self, subject: Option<&str>) -> Self {
        self.subject = self.subject.or_else(|| subject.map(str::to_owned));
        self
    }

    /// What the failure means.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The reason in PostHog's words, or in those of the network.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The identifier that the request was about.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// A failure below HTTP. The innermost cause is kept: it names no address, which may hold an e-mail.
    pub(crate) fn from_transport(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let kind = if error.is_connect() && is_of_tls(&error) {
            ErrorKind::Tls
        } else if error.is_connect() {
            ErrorKind::Connect
        } else if error.is_timeout() {
            ErrorKind::Timeout
        } else if error.is_builder() {
            ErrorKind::InvalidRequest
        } else {
            ErrorKind::ConnectionLost
        };
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Self::new(kind).with_reason(cause.to_string())
    }
}

/// Whether the two sides could not agree on TLS, or on who the other is.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    // The error of an input or output hides what it is made of from those who ask for its source.
    let inner = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>()
        || inner.is_some_and(|inner| is_of_tls(inner))
        || error.source().is_some_and(is_of_tls)
}

/// What is kept of an answer besides its body.
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    retry_after: Option<Duration>,
    html: bool,
}

impl Head {
    pub(crate) fn of(response: &reqwest::Response) -> Self {
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

/// Whole seconds only, as PostHog sends them: a date or a negative number counts as missing.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

pub(crate) fn looks_like_html(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// Turns an unsuccessful answer into an error.
pub(crate) fn classify(head: &Head, body: &[u8]) -> Error {
    let envelope = Envelope::read(body);
    let status = head.status.as_u16();
    if envelope.is_none() && (400..500).contains(&status) && status != 429 {
        // Only a load balancer or another web server answers a refusal without an envelope. The CSV endpoint's
        // empty 400 is the exception.
        let page = head.html || looks_like_html(body);
        return match status {
            401 => Error::new(ErrorKind::Authentication),
            400 if !page => Error::new(ErrorKind::Invalid { argument: None }),
            _ => {
                let what = if page { "a web page" } else { "no reason" };
                Error::new(ErrorKind::InvalidResponse)
                    .with_reason(format!("status {status} with {what}"))
            }
        };
    }
    let envelope = envelope.unwrap_or_default();
    let kind = match status {
        _ if envelope.failed => ErrorKind::NotPerformed,
        300..=399 => ErrorKind::Redirected,
        401 => ErrorKind::Authentication,
        403 => envelope.refusal(),
        404 => ErrorKind::NotFound,
        429 => ErrorKind::RateLimited {
            retry_after: head.retry_after,
        },
        500.. => ErrorKind::Server { status },
        _ => ErrorKind::Invalid {
            argument: envelope.argument.clone(),
        },
    };
    let error = Error::new(kind);
    match envelope.reason {
        Some(reason) => error.with_reason(reason),
        None => error,
    }
}

/// PostHog's words about a failure, from any of the shapes that it uses.
#[derive(Default)]
struct Envelope {
    code: String,
    reason: Option<String>,
    argument: Option<String>,
    /// `{"success": false}`: PostHog knows that it did not do it.
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
            // Missing fields of PATCH and update_property: the sentence stands in `code`, the code in `detail`.
            Some("required") if code.contains(' ') => Some(code),
            // properties_at_time has `error`; lifecycle and cohorts have `message`, with or without `detail`.
            _ => text("message").or(detail).or_else(|| text("error")),
        };
        Some(Self {
            code: code.to_owned(),
            reason: reason.map(shortened),
            argument: text("attr").map(shortened),
            failed: fields.get("success") == Some(&Value::Bool(false)),
        })
    }

    /// Which of PostHog's refusals a 403 is.
    ///
    /// A bad key comes as 403 where the first authenticator offers no challenge. A missing scope and a closed
    /// endpoint have one code for both, so that only the sentence tells them apart.
    fn refusal(&self) -> ErrorKind {
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
            return ErrorKind::MissingScope(scope.to_owned());
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

fn shortened(text: &str) -> String {
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
        let head = Head {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            html: false,
        };
        classify(&head, body.to_string().as_bytes())
    }

    fn envelope(kind: &str, code: &str, detail: &str) -> Value {
        json!({"type": kind, "code": code, "detail": detail, "attr": null})
    }

    #[test]
    fn a_bad_key_is_one_kind_with_either_status() {
        for code in ["authentication_failed", "not_authenticated"] {
            for status in [401, 403] {
                let body = envelope("authentication_error", code, "Invalid key");
                assert_eq!(kind_of(status, &body), ErrorKind::Authentication);
            }
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        let denied = |detail| {
            kind_of(
                403,
                &envelope("authentication_error", "permission_denied", detail),
            )
        };
        assert_eq!(
            denied("API key missing required scope 'cohort:read'"),
            ErrorKind::MissingScope("cohort:read".into())
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
    fn every_shape_of_a_reason_is_read() {
        let reason = |body| error(400, &body).reason().map(str::to_owned);
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
    fn what_posthog_says_it_did_not_do_is_not_open() {
        let body = json!({"success": false, "detail": "capture is down"});
        for status in [400, 500, 502] {
            assert_eq!(kind_of(status, &body), ErrorKind::NotPerformed);
        }
        assert!(!ErrorKind::NotPerformed.outcome_unknown());
        assert!(ErrorKind::Server { status: 502 }.outcome_unknown());
    }

    #[test]
    fn a_web_page_is_unreadable_whatever_its_status() {
        for status in [400, 403, 404] {
            let head = Head {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: None,
                html: true,
            };
            assert_eq!(
                classify(&head, b"<html>no</html>").kind(),
                &ErrorKind::InvalidResponse
            );
        }
    }
}
