//! Waiting for PostHog longer than a single call does: an export that gives up loses all that it has read.

use std::time::Duration;

use posthog_client::{Client, Error, ErrorKind, WaitReason};

/// How often a wait is reported.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// The wait where PostHog does not say how long.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// What a wait costs at least: one of nothing must end, too.
const MIN_COST: Duration = Duration::from_secs(1);
/// How often a failed read is repeated, beyond the retries of each request.
const MAX_FAILURES: u32 = 4;

/// Retries a read that fails because of PostHog's rate limit or the connection, for at most `max_wait` in total.
pub(super) async fn waiting<T, F>(
    posthog: &Client,
    max_wait: Duration,
    request: impl Fn() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut left = max_wait;
    let mut failures = 0;
    loop {
        let error = match request().await {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        let wait = match error.kind() {
            ErrorKind::RateLimited { retry_after } => retry_after.unwrap_or(DEFAULT_WAIT),
            ErrorKind::RateLimitedLocally { wait } => *wait,
            ErrorKind::Connect
            | ErrorKind::ConnectionLost
            | ErrorKind::QueueTimeout
            | ErrorKind::LookupUnavailable
            | ErrorKind::Server { status: 502 | 503 }
                if failures < MAX_FAILURES =>
            {
                failures += 1;
                posthog.backoff(failures + 2)
            }
            _ => return Err(error),
        };
        let Some(rest) = left.checked_sub(wait.max(MIN_COST)) else {
            return Err(error);
        };
        left = rest;
        let is_limit = matches!(
            error.kind(),
            ErrorKind::RateLimited { .. } | ErrorKind::RateLimitedLocally { .. }
        );
        let mut wait = wait;
        loop {
            posthog.notify(if is_limit {
                WaitReason::RateLimit(wait)
            } else {
                WaitReason::Retry(wait)
            });
            let part = wait.min(REPORT_EVERY);
            tokio::time::sleep(part).await;
            wait -= part;
            if wait.is_zero() {
                break;
            }
        }
    }
}
