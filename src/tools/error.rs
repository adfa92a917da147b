//! Errors of tools, as text that a model can act on: what failed, PostHog's reason, what to do next.

use std::fmt::Display;
use std::time::Duration;

use super::{Outcome, capture_error, unsupported};
use crate::export::{ExportError, Kept};
use crate::output::Sanitizer;
use crate::tools::arguments::blanks_count;
use posthog_client::{Error, ErrorKind};

/// A tool's failure.
#[derive(Debug)]
pub struct ToolError {
    cause: Cause,
    /// What to use instead, where the endpoint does not support keys with scopes.
    alternative: Option<&'static str>,
    /// For a write: the read that shows its outcome.
    verification_hint: Option<String>,
}

#[derive(Debug)]
enum Cause {
    /// The server rejected the arguments; no request was made.
    InvalidInput(String),
    /// A write of several requests, none of which succeeded.
    WriteFailed(String, Outcome),
    /// PostHog or the network.
    PostHog(Error),
    /// The same within an export, of which nothing is left.
    Export(Box<Error>),
    /// The same within an export that can go on.
    KeptExport(Box<Kept>),
}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        Self::new(Cause::PostHog(error))
    }
}

impl ToolError {
    fn new(cause: Cause) -> Self {
        Self {
            cause,
            alternative: None,
            verification_hint: None,
        }
    }

    /// The arguments are invalid; the text says why and what to do.
    pub(super) fn invalid_input(text: impl Into<String>) -> Self {
        Self::new(Cause::InvalidInput(text.into()))
    }

    /// PostHog responded 500 to a request that it can never answer.
    pub(super) fn lasting_failure(cause: impl Display, advice: &str) -> Self {
        Self::invalid_input(format!(
            "PostHog failed (status 500), most likely because {cause}. Retrying will not help. {advice}"
        ))
    }

    /// A write of several requests, none of which succeeded, with a text of its own.
    pub(super) fn write_failed(text: String, outcome: Outcome) -> Self {
        Self::new(Cause::WriteFailed(text, outcome))
    }

    /// The same for an export, of which nothing is left.
    pub(super) fn into_failed_export(self) -> Self {
        match self.cause {
            Cause::PostHog(error) => Self::new(Cause::Export(Box::new(error))),
            cause => Self { cause, ..self },
        }
    }

    /// An export ended without a file.
    pub(super) fn of_export(error: ExportError) -> Self {
        match error {
            ExportError::NotBegun(error) => error.into(),
            ExportError::PostHog(error) => Self::from(error).into_failed_export(),
            ExportError::Kept(kept) => Self::new(Cause::KeptExport(kept)),
            ExportError::File(error) => Self::invalid_input(format!(
                "The file could not be written: {error}. No file was left behind. The operator of this server must check --export-dir."
            )),
        }
    }

    /// Names what to use instead with keys that the endpoint does not support.
    pub(super) fn with_alternative(mut self, alternative: &'static str) -> Self {
        self.alternative = Some(alternative);
        self
    }

    /// Marks the error as one of a write, and names the read that shows its outcome.
    pub(super) fn with_verification_hint(mut self, hint: String) -> Self {
        self.verification_hint = Some(hint);
        self
    }

    /// Whether PostHog did not find the requested object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(&self.cause, Cause::PostHog(error) if *error.kind() == ErrorKind::NotFound)
    }

    /// The outcome of the write that failed.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match &self.cause {
            Cause::WriteFailed(_, outcome) => *outcome,
            Cause::PostHog(error) if error.kind().outcome_unknown() => Outcome::Unknown,
            _ => Outcome::NotDone,
        }
    }

    /// The text for the model. `host` is the address of PostHog.
    #[must_use]
    pub fn text(&self, host: &str, sanitizer: &Sanitizer) -> String {
        let text = match &self.cause {
            Cause::InvalidInput(text) => return sanitizer.line(text),
            Cause::WriteFailed(text, _) => return sanitizer.lines(text),
            Cause::PostHog(error) => match &self.verification_hint {
                Some(hint) if error.kind().outcome_unknown() => {
                    unknown_outcome(error, hint, sanitizer)
                }
                Some(_) => format!(
                    "Nothing was changed. {}",
                    self.posthog_text(error, host, sanitizer)
                ),
                None => self.posthog_text(error, host, sanitizer),
            },
            Cause::KeptExport(kept) => format!(
                "The export is not complete, and there is no file yet. {} What was read ({}) is kept until {}: the same export goes on \
                 from there.",
                self.posthog_text(&kept.error, host, sanitizer),
                kept.total.map_or_else(
                    || kept.read.to_string(),
                    |total| format!("{} of {total}", kept.read)
                ),
                kept.until.format("%Y-%m-%dT%H:%M:%SZ"),
            ),
            Cause::Export(error) => format!(
                "The export ended, and no file was written. {}",
                self.posthog_text(error, host, sanitizer)
            ),
        };
        // The hint can name what the caller gave.
        sanitizer.line(&text)
    }

    fn posthog_text(&self, error: &Error, host: &str, sanitizer: &Sanitizer) -> String {
        let reason = match sanitizer.reason(error) {
            Some(reason) if !reason.is_empty() => {
                format!(": {}.", reason.trim_end_matches(['.', '!', ' ']))
            }
            _ => ".".to_owned(),
        };
        let of_capture = error
            .capture_host()
            .and_then(|host| capture_error::text(error, host, &reason));
        if let Some(text) = of_capture {
            return text;
        }
        match error.kind() {
            ErrorKind::TokenRejected => format!("PostHog rejected the project's token{reason}"),
            ErrorKind::Authentication => format!(
                "PostHog at {host} rejected the API key{reason} It is invalid, revoked or from the other region \
                 (https://us.posthog.com or https://eu.posthog.com: set POSTHOG_HOST). Only a personal API key (phx_...) works, \
                 not a project token. The user must fix this; retrying will not help."
            ),
            ErrorKind::KeyRejected(why) => format!(
                "The API key was not used: {why}. The user must sign in again or use another key; retrying will not help."
            ),
            ErrorKind::MissingScope(scope) => format!(
                "The API key lacks the scope {}. The user can add it at {host}/settings/user-api-keys, or use a key that has it.",
                sanitizer.word(scope)
            ),
            ErrorKind::ScopedKeysUnsupported => format!(
                "PostHog does not serve this endpoint to personal API keys with scopes, whatever the scopes are{reason} {}",
                self.alternative
                    .unwrap_or("No other setting of the key helps.")
            ),
            ErrorKind::Forbidden => format!(
                "PostHog denied the API key access{reason} The key may be limited to other projects or organizations, or the \
                 organization may not allow personal API keys. The user must fix this; retrying will not help."
            ),
            ErrorKind::NotFound => {
                let subject = match error.subject() {
                    Some(subject) => {
                        format!("person `{}` in this project", sanitizer.argument(subject))
                    }
                    None => "such object".to_owned(),
                };
                let blanks = error.subject().and_then(blanks_count);
                let blanks = blanks.map_or_else(String::new, |blanks| format!(" {blanks}"));
                format!(
                    "PostHog found no {subject}{reason}{blanks} Look the person up with persons-list by email, distinct_id or search. A deleted \
                     person appears only in persons-activity-retrieve without an id and in persons-deletion-status-list."
                )
            }
            ErrorKind::Invalid { argument } => {
                let subject = match argument {
                    Some(name) => format!("argument `{}`", sanitizer.word(name)),
                    None => "request".to_owned(),
                };
                format!("PostHog rejected the {subject}{reason} Change it and call again.")
            }
            ErrorKind::RateLimited { retry_after } => {
                let wait = match retry_after {
                    Some(wait) => seconds(*wait),
                    None => "a minute".to_owned(),
                };
                if error.is_of_query() {
                    format!(
                        "PostHog's rate limit for queries is reached. Wait {wait}, then call again. Tools that make no query still \
                         work: persons-list without ranges and `match`, persons-retrieve, persons-properties-at-time-retrieve."
                    )
                } else {
                    format!("PostHog's rate limit for this API key is reached. Wait {wait}, then call again.")
                }
            }
            ErrorKind::Server { status } => {
                format!("PostHog failed (status {status}){reason} {}", narrow(error))
            }
            ErrorKind::InvalidResponse => format!(
                "PostHog's response is invalid{reason} Try again later; if it happens again, POSTHOG_HOST ({host}) may not be the \
                 address of PostHog's API."
            ),
            ErrorKind::ResponseTooLarge { max_bytes } => format!(
                "PostHog's response exceeds the limit of {max_bytes} bytes (--max-response-bytes). Request less: a smaller limit, a \
                 narrower filter."
            ),
            ErrorKind::RateLimitedLocally { wait } => format!(
                "Sending this would exceed PostHog's rate limit for this API key; no request was made. Wait {}, then call again.",
                seconds(*wait)
            ),
            ErrorKind::QueueTimeout => {
                "Earlier requests with this API key are still waiting for PostHog's responses, so no request was made. Wait for \
                 their results, then call again."
                    .to_owned()
            }
            ErrorKind::Timeout => format!("PostHog did not respond in time. {}", narrow(error)),
            ErrorKind::ConnectionLost => {
                format!("The connection to {host} was lost{reason} Try again later.")
            }
            ErrorKind::Connect => format!(
                "Could not connect to {host}{reason} Nothing was sent. Check POSTHOG_HOST, the network, the proxy settings and, \
                 for a private certificate, --ca-cert."
            ),
            ErrorKind::Tls => format!(
                "Could not establish a TLS connection to {host}{reason} Nothing was sent, and retrying will not help. For a private \
                 certificate the user must set --ca-cert; otherwise POSTHOG_HOST or the proxy settings are wrong."
            ),
            ErrorKind::Redirected => format!(
                "PostHog at {host} redirects to another address; the redirect is not followed, so that the API key is sent nowhere else. \
                 The user must set POSTHOG_HOST to the final address."
            ),
            ErrorKind::Project => format!(
                "Could not determine which project to use{reason} The user must set POSTHOG_PROJECT_ID (or --project) to the \
                 project's number."
            ),
            ErrorKind::NotPerformed => {
                format!("PostHog did not perform the change{reason} Try again later.")
            }
            ErrorKind::InvalidRequest => {
                format!("The request could not be built{reason} Nothing was sent.")
            }
            ErrorKind::Unsupported(unsupported) => unsupported::text(unsupported),
            ErrorKind::ProjectNotFound => "PostHog has no project with this number, or the key cannot access it. The user must check \
                                           POSTHOG_PROJECT_ID (or --project) and the key's projects; retrying will not help."
                .to_owned(),
            ErrorKind::LookupUnavailable => {
                "PostHog's person lookup is temporarily unavailable. Try again in a minute.".to_owned()
            }
        }
    }
}

/// What to do where PostHog is overloaded or the query is too expensive.
fn narrow(error: &Error) -> &'static str {
    if error.is_of_query() {
        "Try again later, or narrow the query: a shorter range, fewer steps, events or keys."
    } else {
        "Try again later, or narrow the query: an exact email or distinct_id, a smaller limit."
    }
}

/// The text for a write that may or may not have been performed.
fn unknown_outcome(error: &Error, hint: &str, sanitizer: &Sanitizer) -> String {
    let what = match error.kind() {
        ErrorKind::Server { status } => format!("PostHog failed (status {status})"),
        ErrorKind::Timeout => "PostHog did not respond in time".to_owned(),
        ErrorKind::ConnectionLost => "the connection was lost".to_owned(),
        ErrorKind::ResponseTooLarge { .. } => "PostHog's response was too large".to_owned(),
        _ => "PostHog's response was invalid".to_owned(),
    };
    let reason = sanitizer.reason(error);
    let reason = match reason
        .as_deref()
        .map(|reason| reason.trim_end_matches(['.', ' ']))
    {
        None | Some("") => String::new(),
        Some(reason) => format!(" ({reason})"),
    };
    format!(
        "The outcome is unknown: the request was sent, and {what}{reason}. The change may have been made or not; the server does not \
         retry it. {hint}"
    )
}

/// Rounded up, so that the wait is long enough.
pub(super) fn seconds(wait: Duration) -> String {
    match wait.as_secs() + u64::from(wait.subsec_nanos() > 0) {
        1 => "1 second".to_owned(),
        seconds @ 7200.. => format!("{} hours", seconds.div_ceil(3600)),
        seconds @ 600.. => format!("{} minutes", seconds.div_ceil(60)),
        seconds => format!("{seconds} seconds"),
    }
}
