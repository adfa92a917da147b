//! When a request is sent again.
//!
//! | what happened | a read | a write |
//! |---|---|---|
//! | 429 | after `Retry-After`, else after a growing pause | the same: PostHog did not do it |
//! | no connection | after a growing pause | the same: nothing was sent |
//! | 502, 503, 504 | after a growing pause | never |
//! | connection dropped | after a growing pause | never |
//! | time-out, no agreement on TLS, any other status, an unreadable answer | never | never |
//!
//! A write is sent again only where it surely did not arrive. At most [`MAX_RETRIES`] repetitions, and none that would take the waiting past [`RETRY_DEADLINE`]: a model is told how
//! long to wait rather than kept waiting.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

const MAX_RETRIES: u32 = 3;
const RETRY_DEADLINE: Duration = Duration::from_secs(30);

/// The pause before the next attempt, or `None` when the error is to be reported.
///
/// `attempt` counts from 0; `elapsed` is the time since the first attempt began; `base` is the first pause.
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
    let growing = jittered(base.saturating_mul(1 << attempt));
    let pause = match error.kind() {
        ErrorKind::RateLimited { retry_after } => retry_after.unwrap_or(growing),
        ErrorKind::Connect => growing,
        ErrorKind::Server { status: 502..=504 } | ErrorKind::ConnectionLost if idempotent => {
            growing
        }
        _ => return None,
    };
    (elapsed + pause <= RETRY_DEADLINE).then_some(pause)
}

/// Between half of a pause and the whole, so that many processes do not come back at once.
fn jittered(pause: Duration) -> Duration {
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
    fn a_write_is_sent_again_only_where_it_surely_did_not_arrive() {
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
    fn a_read_is_sent_again_only_where_that_can_help() {
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
    fn the_wait_that_posthog_names_is_kept_up_to_our_patience() {
        let limited = |seconds| ErrorKind::RateLimited {
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(decide(true, 0, limited(7), 0), Some(Duration::from_secs(7)));
        assert_eq!(decide(true, 0, limited(31), 0), None);
        assert_eq!(decide(true, 1, limited(7), 24), None);
    }
}
