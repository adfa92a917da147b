//! Waiting for PostHog longer than a single call does: an export that gives up has to go on later.

use std::time::Duration;

use posthog_client::{Client, Error, ErrorKind, WaitReason};

use super::directory::Exports;

/// How often a wait is reported.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// The wait where PostHog does not say how long.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// What a wait costs at least: one of nothing must end, too.
const MIN_COST: Duration = Duration::from_secs(1);
/// How often a failed read is repeated, beyond the retries of each request.
const MAX_FAILURES: u32 = 4;

/// Reads the parts of an export.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) posthog: &'a Client,
    exports: &'a Exports,
}

impl<'a> Reader<'a> {
    pub(super) fn new(posthog: &'a Client, exports: &'a Exports) -> Self {
        Self { posthog, exports }
    }

    /// Repeats a request that fails for a while, as long as the waits are not too long in all.
    pub(super) async fn read<T, F>(&self, request: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut left = self.exports.max_wait();
        let mut failures = 0;
        loop {
            let error = match request().await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let limit = match error.kind() {
                ErrorKind::RateLimited { retry_after } => Some(retry_after.unwrap_or(DEFAULT_WAIT)),
                ErrorKind::RateLimitedLocally { wait } => Some(*wait),
                _ => None,
            };
            let wait = match limit {
                Some(wait) => wait,
                None if is_temporary(&error) && failures < MAX_FAILURES => {
                    failures += 1;
                    self.posthog.backoff(failures + 2)
                }
                None => return Err(error),
            };
            let Some(rest) = left.checked_sub(wait.max(MIN_COST)) else {
                return Err(error);
            };
            left = rest;
            if !self.wait(wait, limit.is_some()).await {
                return Err(error);
            }
        }
    }

    /// Whether the wait came to its end: someone may give up meanwhile.
    async fn wait(&self, mut wait: Duration, is_limit: bool) -> bool {
        let mut gives_up = self.exports.gives_up();
        loop {
            self.posthog.notify(if is_limit {
                WaitReason::RateLimit(wait)
            } else {
                WaitReason::Retry(wait)
            });
            let part = wait.min(REPORT_EVERY);
            let given_up = gives_up.wait_for(|given_up| *given_up);
            if tokio::time::timeout(part, given_up).await.is_ok() {
                return false;
            }
            wait -= part;
            if wait.is_zero() {
                return true;
            }
        }
    }
}

/// Whether PostHog limits requests or fails for a while, so that the same request can succeed later.
pub(super) fn is_temporary(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::RateLimited { .. }
            | ErrorKind::RateLimitedLocally { .. }
            | ErrorKind::Connect
            | ErrorKind::ConnectionLost
            | ErrorKind::QueueTimeout
            | ErrorKind::LookupUnavailable
            | ErrorKind::Server { status: 502 | 503 }
    )
}

/// A page that is larger than this, in bytes, is requested again with fewer rows.
pub(super) const MAX_RESPONSE_BYTES: usize = 10 * 1024 * 1024;

/// The size of a shorter page that may succeed after this failure, if one is allowed.
pub(super) fn shorter(size: u32, min: u32, error: &Error) -> Option<u32> {
    (size > min && is_too_much(error)).then(|| (size / 4).max(min))
}

fn is_too_much(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ResponseTooLarge { .. }
            | ErrorKind::Timeout
            | ErrorKind::Server { status: 504 | 512 }
    )
}
