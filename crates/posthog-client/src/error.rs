//! What went wrong with a request, as PostHog means it.
//!
//! Branch on [`Error::kind`]. A reason is PostHog's own sentence, for a reader; nothing decides by it except the two
//! refusals that PostHog tells apart in no other way.

use std::time::Duration;

use crate::untrusted::Untrusted;

/// A failed request. Holds no key, no address and no body.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.kind.name())]
pub struct Error {
    kind: ErrorKind,
    reason: Option<Untrusted<String>>,
    subject: Option<String>,
}

/// What a failure means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// The key is wrong, revoked, of another region, or no personal key at all.
    Authentication,
    /// The key lacks this scope.
    MissingScope(Untrusted<String>),
    /// The endpoint does not serve scoped keys, whatever their scopes.
    ScopedKeysUnsupported,
    /// The key may not do this for another reason.
    Forbidden,
    /// There is no such person, project or page.
    NotFound,
    /// PostHog refuses an argument, which it may name.
    Invalid {
        /// The argument's name in the API.
        argument: Option<Untrusted<String>>,
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
        self.reason = Some(Untrusted::from(reason.into()));
        self
    }

    /// Takes the key out of PostHog's words, should it ever stand in them.
    pub(crate) fn redact_key(mut self, key: &str) -> Self {
        self.reason = self
            .reason
            .map(|reason| reason.map(|reason| reason.replace(key, "[key]")));
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
    pub fn reason(&self) -> Option<&Untrusted<String>> {
        self.reason.as_ref()
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
