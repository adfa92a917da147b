//! The retry policy.
//!
//! | failure | read | write |
//! |---|---|---|
//! | 429 | after `Retry-After`, else after a backoff | the same if PostHog says so: it did not perform it |
//! | no connection | after a backoff | the same: nothing was sent |
//! | 502, 503, 504 | after a backoff | never |
//! | connection lost | after a backoff | never |
//! | timeout, TLS failure, any other status, an invalid response | never | never |
//!
//! A query, which is a read, differs: the 429 of the concurrency limit has no `Retry-After`, and another query of the
//! project has to end first; a 504 is the time limit of the query itself, which another attempt would reach again.
//!
//! A write is retried only where it definitely was not performed. There are at most [`MAX_RETRIES`] retries, and none after
//! [`RETRY_DEADLINE`]: a longer wait is reported to the model instead.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::error::{Error, ErrorKind};

const MAX_RETRIES: u32 = 3;
const RETRY_DEADLINE: Duration = Duration::from_secs(30);

/// The backoff before the next attempt, or `None` if there is none.
///
/// `attempt` counts from 0; `elapsed` is the time since the first attempt began; `base` is the first backoff.
pub(crate) fn pause(
    idempotent: bool,
    attempt: u32,
    error: &Error,
    elapsed: Duration,
    base: Duration,
) -> Option<Duration> {
    if attempt >= MAX_RETRIES {
        return None;
    }
    let backoff = with_jitter(base.saturating_mul(1 << attempt));
    let pause = match error.kind() {
        ErrorKind::RateLimited { retry_after } => retry_after.unwrap_or(backoff),
        ErrorKind::Connect => backoff,
        ErrorKind::Server { status: 502..=504 }
        | ErrorKind::LookupUnavailable
        | ErrorKind::ConnectionLost
            if idempotent =>
        {
            backoff
        }
        _ => return None,
    };
    (elapsed.saturating_add(pause) <= RETRY_DEADLINE).then_some(pause)
}

/// The backoff before the next attempt of a query, as [`pause`].
pub(crate) fn query_pause(attempt: u32, error: &Error, base: Duration) -> Option<Duration> {
    if attempt >= MAX_RETRIES {
        return None;
    }
    let pause = match error.kind() {
        ErrorKind::RateLimited {
            retry_after: Some(wait),
        } => *wait,
        // One to five seconds with the default backoff.
        ErrorKind::RateLimited { retry_after: None } => with_jitter(
            base.saturating_mul(4 << attempt)
                .min(base.saturating_mul(10)),
        ),
        ErrorKind::Connect
        | ErrorKind::ConnectionLost
        | ErrorKind::Server { status: 502 | 503 } => with_jitter(base.saturating_mul(1 << attempt)),
        _ => return None,
    };
    (pause <= RETRY_DEADLINE).then_some(pause)
}

/// Whole seconds, as PostHog sends them; a date or a negative number counts as missing.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    /// No call waits for longer, and no sum of this and another time overflows.
    const MAX_SECONDS: u64 = 24 * 60 * 60;
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Only a number that is too large fails to parse: a wait that is too long, not a missing one.
    let seconds = text.parse().unwrap_or(MAX_SECONDS);
    Some(Duration::from_secs(seconds.min(MAX_SECONDS)))
}

/// Between half of the backoff and all of it, so that processes do not retry at the same moment.
fn with_jitter(pause: Duration) -> Duration {
    let share = uuid::Uuid::new_v4().as_u128() as u8;
    pause.mul_f64(0.5 + f64::from(share) / 510.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(500);

    fn decide(idempotent: bool, attempt: u32, kind: ErrorKind, elapsed: u64) -> Option<Duration> {
        pause(
            idempotent,
            attempt,
            &Error::new(kind),
            Duration::from_secs(elapsed),
            BASE,
        )
    }

    #[test]
    fn writes_are_retried_only_where_they_were_not_received() {
        for kind in [
            ErrorKind::Server { status: 502 },
            ErrorKind::Server { status: 503 },
            ErrorKind::ConnectionLost,
            ErrorKind::Timeout,
            ErrorKind::InvalidResponse,
        ] {
            assert_eq!(decide(false, 0, kind, 0), None);
        }
        for kind in [
            ErrorKind::RateLimited { retry_after: None },
            ErrorKind::Connect,
        ] {
            assert!(decide(false, 0, kind.clone(), 0).is_some());
            assert_eq!(decide(false, 3, kind, 0), None);
        }
    }

    #[test]
    fn reads_are_retried_after_transient_failures_only() {
        for status in [500, 501, 505, 512] {
            assert_eq!(decide(true, 0, ErrorKind::Server { status }, 0), None);
        }
        assert_eq!(decide(true, 0, ErrorKind::Timeout, 0), None);
        assert_eq!(decide(true, 0, ErrorKind::Tls, 0), None);
        for attempt in 0..3 {
            let pause = decide(true, attempt, ErrorKind::Server { status: 502 }, 0).unwrap();
            let full = BASE * 2_u32.pow(attempt);
            assert!(pause >= full / 2 && pause <= full, "{attempt}: {pause:?}");
        }
        assert_eq!(decide(true, 3, ErrorKind::ConnectionLost, 0), None);
    }

    #[test]
    fn queries_wait_for_others_and_never_for_an_hour() {
        let decide = |attempt, kind| query_pause(attempt, &Error::new(kind), BASE);
        let limited = |seconds: Option<u64>| ErrorKind::RateLimited {
            retry_after: seconds.map(Duration::from_secs),
        };
        assert_eq!(decide(0, limited(Some(7))), Some(Duration::from_secs(7)));
        assert_eq!(decide(0, limited(Some(3594))), None);
        let seconds = Duration::from_secs(1)..=Duration::from_secs(5);
        for attempt in 0..3 {
            let pause = decide(attempt, limited(None)).unwrap();
            assert!(seconds.contains(&pause), "{attempt}: {pause:?}");
        }
        assert_eq!(decide(3, limited(None)), None);
        assert!(decide(0, ErrorKind::Server { status: 503 }).is_some());
        for status in [500, 504, 512] {
            assert_eq!(decide(0, ErrorKind::Server { status }), None);
        }
    }

    #[test]
    fn retry_after_is_respected_up_to_the_deadline() {
        let limited = |seconds| ErrorKind::RateLimited {
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(decide(true, 0, limited(7), 0), Some(Duration::from_secs(7)));
        assert_eq!(decide(true, 0, limited(31), 0), None);
        assert_eq!(decide(true, 1, limited(7), 24), None);
    }

    #[test]
    fn retry_after_never_overflows() {
        let wait = |text: &str| {
            let value = text.parse().unwrap();
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)])).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("7"), Some(7));
        for long in [
            "86401",
            "18446744073709551615",
            "18446744073709551616",
            "9".repeat(99).as_str(),
        ] {
            assert_eq!(wait(long), Some(86_400), "{long}");
        }
        for none in ["", "-1", "1.5", "1e9", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(wait(none), None, "{none}");
        }
    }
}
