//! Errors of requests.
//!
//! Code branches on [`Error::kind`]; a reason is PostHog's sentence or the network's, for readers.

use std::time::Duration;

use crate::feature::Feature;
use crate::key_state::KeyRejection;
use crate::property_types::TypeMismatch;
use crate::untrusted::Untrusted;

/// A failed request. Contains no key, no URL and no body.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.kind.name())]
pub struct Error {
    kind: ErrorKind,
    reason: Option<Untrusted<String>>,
    quotes_posthog: bool,
    /// The identifier that the request was about; of an error of the capture host, the host. One field, as errors stay small.
    subject: Option<Box<str>>,
    of_capture: bool,
    of_query: bool,
    /// Whether it has the form of PostHog's own errors, with a code.
    has_code: bool,
}

/// The kind of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// The key is invalid, revoked, from another region, or not a personal API key.
    Authentication,
    /// The capture host does not know the project's token.
    TokenRejected,
    /// The caller's key is rejected; nothing was sent with it.
    KeyRejected(KeyRejection),
    /// The key lacks this scope.
    MissingScope(Untrusted<String>),
    /// The endpoint does not support keys with scopes.
    ScopedKeysUnsupported,
    /// The key has no access for another reason.
    Forbidden,
    /// There is no such person, project or page.
    NotFound,
    /// PostHog rejected an argument, which it may name.
    Invalid {
        /// The argument's name in the API.
        argument: Option<Untrusted<String>>,
    },
    /// Too many requests.
    RateLimited {
        /// The value of `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// PostHog failed.
    Server {
        /// The HTTP status.
        status: u16,
    },
    /// PostHog redirected, which is not followed.
    Redirected,
    /// The response is not what the endpoint returns: a web page, truncated, of another shape.
    InvalidResponse,
    /// The response exceeds the size limit.
    ResponseTooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// The request would exceed PostHog's rate limit for the key; nothing was sent.
    RateLimitedLocally {
        /// Until the next request is allowed.
        wait: Duration,
    },
    /// The concurrency limit of the key is reached for too long; nothing was sent.
    QueueTimeout,
    /// No complete response in time.
    Timeout,
    /// No connection; nothing was sent.
    Connect,
    /// No TLS connection, for example because the certificate is not trusted; nothing was sent.
    Tls,
    /// The connection was lost after the request began; PostHog may have received it.
    ConnectionLost,
    /// PostHog reports that it did not perform the request.
    NotPerformed,
    /// The request could not be built; nothing was sent.
    InvalidRequest,
    /// `@current` could not be resolved to a project.
    Project,
    /// There is no project with this number, or the key cannot see it.
    ProjectNotFound,
    /// This PostHog cannot do it, and a newer one can. Nothing was done.
    Unsupported(Unsupported),
    /// The service that looks persons up is down for the moment.
    LookupUnavailable,
}

/// What this PostHog cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsupported {
    /// It does not have the endpoint.
    Endpoint {
        /// The last part of the path.
        endpoint: String,
    },
    /// It has the endpoint, which fails on every request.
    FailingEndpoint {
        /// The last part of the path.
        endpoint: &'static str,
    },
    /// It ignores a field of the request, and would do something else; nothing was sent.
    Feature {
        /// The field.
        feature: Feature,
        /// Whether that is known. If not, the instance's schema could not be read.
        known: bool,
    },
    /// It could ignore a filter on a cohort that does not exist; the list was not requested.
    UnknownCohort {
        /// The cohort's number.
        cohort: u64,
    },
    /// It would compare dates with this property as text; the list was not requested.
    NotADate {
        /// The property's name.
        property: String,
    },
    /// It fails on a filter that does not suit the type of its property; the list was not requested.
    FilterType {
        /// The filter, without its value.
        filter: String,
        /// Why.
        mismatch: TypeMismatch,
    },
    /// It ignores filters on static cohorts; the list was not requested.
    StaticCohort {
        /// The cohort's number.
        cohort: u64,
    },
}

impl ErrorKind {
    /// Whether PostHog may have performed the request despite the failure.
    ///
    /// False only where PostHog says that it did not, or where nothing was sent.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Server { .. }
            | Self::InvalidResponse
            | Self::ResponseTooLarge { .. }
            | Self::Timeout
            | Self::LookupUnavailable
            | Self::ConnectionLost => true,
            Self::Authentication
            | Self::TokenRejected
            | Self::KeyRejected(_)
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
            | Self::Project
            | Self::ProjectNotFound
            | Self::Unsupported(_) => false,
        }
    }

    /// A name for logs and reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::TokenRejected => "token_rejected",
            Self::KeyRejected(_) => "key_rejected",
            Self::MissingScope(_) => "missing_scope",
            Self::ScopedKeysUnsupported => "scoped_keys_unsupported",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Invalid { .. } => "invalid",
            Self::RateLimited { .. } => "rate_limited",
            Self::Server { .. } => "server_error",
            Self::Redirected => "redirected",
            Self::InvalidResponse => "invalid_response",
            Self::ResponseTooLarge { .. } => "response_too_large",
            Self::RateLimitedLocally { .. } => "rate_limited_locally",
            Self::QueueTimeout => "queue_timeout",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::ConnectionLost => "connection_lost",
            Self::NotPerformed => "not_performed",
            Self::InvalidRequest => "invalid_request",
            Self::Project => "project",
            Self::ProjectNotFound => "project_not_found",
            Self::Unsupported(_) => "unsupported",
            Self::LookupUnavailable => "lookup_unavailable",
        }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self {
            kind,
            reason: None,
            quotes_posthog: false,
            subject: None,
            of_query: false,
            has_code: false,
            of_capture: false,
        }
    }

    pub(crate) fn with_code(mut self, has_code: bool) -> Self {
        self.has_code = has_code;
        self
    }

    /// Whether PostHog's API sent it, and not a proxy.
    pub(crate) fn has_code(&self) -> bool {
        self.has_code
    }

    pub(crate) fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(Untrusted::from(reason.into()));
        self
    }

    /// Gives a reason in PostHog's words.
    pub(crate) fn quoting(self, reason: String) -> Self {
        Self {
            quotes_posthog: true,
            ..self.with_reason(reason)
        }
    }

    pub(crate) fn with_subject(mut self, subject: Option<&str>) -> Self {
        self.subject = self.subject.or_else(|| subject.map(Into::into));
        self
    }

    /// Marks the error as one of the query API, which has limits of its own.
    pub(crate) fn of_query(mut self) -> Self {
        self.of_query = true;
        self
    }

    /// Marks the error as one of the capture host.
    pub(crate) fn of_capture(mut self, host: &str) -> Self {
        self.subject = Some(host.into());
        self.of_capture = true;
        self
    }

    /// The capture host, if it is an error of that.
    #[must_use]
    pub fn capture_host(&self) -> Option<&str> {
        self.subject.as_deref().filter(|_| self.of_capture)
    }

    /// Whether this PostHog cannot serve the endpoint, though others work.
    #[must_use]
    pub fn is_of_failing_endpoint(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unsupported(Unsupported::FailingEndpoint { .. })
        )
    }

    /// Whether the key or this PostHog cannot request this at all, though others work.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::MissingScope(_)
                | ErrorKind::ScopedKeysUnsupported
                | ErrorKind::Forbidden
                | ErrorKind::Unsupported(_)
        )
    }

    /// Whether it is an error of the query API.
    #[must_use]
    pub fn is_of_query(&self) -> bool {
        self.of_query
    }

    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// PostHog's reason, or the network's.
    #[must_use]
    pub fn reason(&self) -> Option<&Untrusted<String>> {
        self.reason.as_ref()
    }

    /// Whether the reason is in PostHog's words, which can quote any person.
    #[must_use]
    pub fn quotes_posthog(&self) -> bool {
        self.quotes_posthog
    }

    /// The identifier that the request was about, as the caller gave it.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref().filter(|_| !self.of_capture)
    }

    /// A failure below HTTP. The reason is the innermost cause, which contains no URL: a URL can contain an e-mail address.
    pub(crate) fn from_transport(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let kind = if error.is_connect() && is_tls_failure(&error) {
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

/// Whether the TLS handshake failed.
fn is_tls_failure(error: &(dyn std::error::Error + 'static)) -> bool {
    // An I/O error does not return its inner error as its source.
    let inner = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>()
        || inner.is_some_and(|inner| is_tls_failure(inner))
        || error.source().is_some_and(is_tls_failure)
}
