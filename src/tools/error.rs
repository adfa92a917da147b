//! Why a tool gives no answer, in words that the model can act on: what failed, the reason, what to do next.

use std::borrow::Cow;
use std::time::Duration;

use super::Outcome;
use crate::output::Sanitizer;
use posthog_client::{Error, ErrorKind};

/// A tool's failure.
#[derive(Debug)]
pub struct ToolError {
    cause: Cause,
    /// What to use instead, where the endpoint is closed to the key.
    instead: Option<&'static str>,
    /// For a write: the read that tells what became of it.
    settled_by: Option<String>,
}

#[derive(Debug)]
enum Cause {
    /// Our own check refused the arguments; nothing was requested.
    Refused(String),
    /// A write of several requests, none of which worked.
    Told(String, Outcome),
    /// PostHog or the network.
    PostHog(Error),
}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        Self {
            cause: Cause::PostHog(error),
            instead: None,
            settled_by: None,
        }
    }
}

impl ToolError {
    /// The arguments cannot be meant; the text says why and what to do.
    pub(super) fn invalid_input(text: impl Into<String>) -> Self {
        Self {
            cause: Cause::Refused(text.into()),
            instead: None,
            settled_by: None,
        }
    }

    /// A write of several requests, none of which worked, in words of its own.
    pub(super) fn write_failed(text: String, outcome: Outcome) -> Self {
        Self {
            cause: Cause::Told(text, outcome),
            instead: None,
            settled_by: None,
        }
    }

    /// Names the way round for keys to which the endpoint is closed.
    pub(super) fn with_alternative(mut self, instead: &'static str) -> Self {
        self.instead = Some(instead);
        self
    }

    /// Says that a write failed, and which read tells what became of it.
    pub(super) fn with_verification_hint(mut self, read: String) -> Self {
        self.settled_by = Some(read);
        self
    }

    /// Whether PostHog does not know what was asked for.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(&self.cause, Cause::PostHog(error) if *error.kind() == ErrorKind::NotFound)
    }

    /// What became of the write that failed.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match &self.cause {
            Cause::Told(_, outcome) => *outcome,
            Cause::PostHog(error) if error.kind().outcome_unknown() => Outcome::Unknown,
            _ => Outcome::NotDone,
        }
    }

    /// The text for the model. `host` is where PostHog was asked.
    #[must_use]
    pub fn text(&self, host: &str, sanitizer: &Sanitizer) -> String {
        let text = match &self.cause {
            Cause::Refused(text) => return sanitizer.line(text),
            Cause::Told(text, _) => return sanitizer.lines(text),
            Cause::PostHog(error) => match &self.settled_by {
                Some(read) if error.kind().outcome_unknown() => {
                    open_outcome(error, read, sanitizer)
                }
                Some(_) => format!(
                    "Nothing was changed. {}",
                    self.posthog_text(error, host, sanitizer)
                ),
                None => self.posthog_text(error, host, sanitizer),
            },
        };
        // The hint can name what the caller gave.
        sanitizer.line(&text)
    }

    fn posthog_text(&self, error: &Error, host: &str, sanitizer: &Sanitizer) -> String {
        let reason = error
            .reason()
            .map(|reason| sanitizer.text(reason))
            .unwrap_or_default();
        let because = if reason.is_empty() {
            Cow::Borrowed(".")
        } else {
            Cow::Owned(format!(": {}.", reason.trim_end_matches(['.', '!', ' '])))
        };
        match error.kind() {
            ErrorKind::Authentication => format!(
                "PostHog at {host} refuses the key{because} The key is wrong, revoked, or belongs to the other region \
                 (https://us.posthog.com or https://eu.posthog.com: set POSTHOG_HOST). Only a personal API key (phx_...) works, \
                 not a project token. The user has to mend this; calling again will not."
            ),
            ErrorKind::MissingScope(scope) => format!(
                "The key lacks the scope {}. The user can add it at {host}/settings/user-api-keys, or use a key that has it.",
                sanitizer.text(scope)
            ),
            ErrorKind::ScopedKeysUnsupported => format!(
                "PostHog does not serve this to personal API keys with scopes, whatever the scopes are{because} {}",
                self.instead.unwrap_or("No other setting of the key helps.")
            ),
            ErrorKind::Forbidden => format!(
                "PostHog forbids this to the key{because} The key may be limited to other projects or organizations, or the \
                 organization forbids it; the user has to mend this."
            ),
            ErrorKind::NotFound => {
                let subject = error.subject().map(|subject| sanitizer.argument(subject)).unwrap_or_default();
                let what = if subject.is_empty() {
                    "PostHog did not find this".to_owned()
                } else {
                    format!("PostHog knows no person `{subject}` in this project")
                };
                format!(
                    "{what}{because} Look the person up with persons-list by email, distinct_id or search. A deleted person is \
                     gone from everything but persons-activity-retrieve without an id and persons-deletion-status-list."
                )
            }
            ErrorKind::Invalid { argument } => {
                let argument = match argument {
                    Some(name) => format!(" the argument `{}`", sanitizer.text(name)),
                    None => " the request".to_owned(),
                };
                format!("PostHog refuses{argument}{because} Change it and call again.")
            }
            ErrorKind::RateLimited { retry_after } => {
                let wait = match retry_after {
                    Some(wait) => format!("Wait {}", seconds(*wait)),
                    None => "Wait a minute".to_owned(),
                };
                format!("PostHog's rate limit for this key is reached. {wait}, then call again.")
            }
            ErrorKind::Server { status } => format!(
                "PostHog failed (status {status}){because} Try again later; a narrower question (an exact email or distinct_id, \
                 a smaller limit) asks less of it."
            ),
            ErrorKind::InvalidResponse => format!(
                "PostHog's answer could not be read{because} Try again later; if it stays so, POSTHOG_HOST ({host}) may not be \
                 the address of PostHog's API."
            ),
            ErrorKind::ResponseTooLarge { most } => format!(
                "PostHog's answer is longer than the {most} bytes that are read of one (--max-response-bytes). Ask for less: a \
                 smaller limit, a narrower filter."
            ),
            ErrorKind::RateLimitedLocally { wait } => format!(
                "PostHog's rate limit for this key would be passed, so nothing was sent. Wait {}, then call again.",
                seconds(*wait)
            ),
            ErrorKind::QueueTimeout => "PostHog has not answered earlier requests of this key yet, so nothing was sent. Wait for their \
                                answers, then call again."
                .to_owned(),
            ErrorKind::Timeout => "PostHog did not answer in time. Try again later; a narrower question (an exact email or \
                                   distinct_id, a smaller limit) asks less of it."
                .to_owned(),
            ErrorKind::ConnectionLost => format!("The connection to {host} broke{because} Try again later."),
            ErrorKind::Connect => format!(
                "No connection to {host}{because} Nothing was sent. Check POSTHOG_HOST, the network, the proxy settings and, \
                 for a private certificate, --ca-cert."
            ),
            ErrorKind::Tls => format!(
                "No secure connection to {host}{because} Nothing was sent, and calling again will not help. For a private \
                 certificate the user has to set --ca-cert; otherwise POSTHOG_HOST or the proxy settings are wrong."
            ),
            ErrorKind::Redirected => format!(
                "PostHog at {host} points to another address, which is not followed so that the key goes nowhere else. \
                 POSTHOG_HOST must be the address that answers itself."
            ),
            ErrorKind::Project => format!(
                "It cannot be found out which project to use{because} The user has to set POSTHOG_PROJECT_ID (or --project) \
                 to the project's number."
            ),
            ErrorKind::NotPerformed => format!("PostHog did not do it{because} Try again later."),
            ErrorKind::InvalidRequest => format!("The request could not be made{because} Nothing was sent."),
        }
    }
}

/// Words for a write of which nobody can say whether it happened.
fn open_outcome(error: &Error, read: &str, sanitizer: &Sanitizer) -> String {
    let what = match error.kind() {
        ErrorKind::Server { status } => format!("PostHog failed (status {status})"),
        ErrorKind::Timeout => "PostHog did not answer in time".to_owned(),
        ErrorKind::ConnectionLost => "the connection broke".to_owned(),
        ErrorKind::ResponseTooLarge { .. } => "PostHog's answer was too long to be read".to_owned(),
        _ => "PostHog's answer could not be read".to_owned(),
    };
    let reason = error
        .reason()
        .map(|reason| sanitizer.text(reason))
        .unwrap_or_default();
    let reason = match reason.trim_end_matches(['.', ' ']) {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    format!(
        "The outcome is unknown: the request was sent, and {what}{reason}. It may have been done or not, and it is not sent again \
         by itself. {read}"
    )
}

fn seconds(wait: Duration) -> String {
    // Rounded up: a wait that is told short is waited in vain.
    match wait.as_secs() + u64::from(wait.subsec_nanos() > 0) {
        1 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}
