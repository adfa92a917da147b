//! Waiting for the effect of a write that PostHog has accepted and applies later.

use std::time::Duration;

use posthog_client::{Error, WaitReason};
use tokio::time::{Instant, timeout};

use crate::tools::Context;
use crate::tools::arguments::WaitSeconds;

/// The interval between reads.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The timeout of one read.
pub(in crate::tools) const POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads until `is_done` or until the time is up, and returns what was read last. A failed read does not undo the write.
///
/// Without a time to wait, nothing is read.
pub(in crate::tools) async fn poll<T, F>(
    context: &Context,
    wait: WaitSeconds,
    read: impl Fn() -> F,
    is_done: impl Fn(&T) -> bool,
) -> Option<T>
where
    F: Future<Output = Result<T, Error>>,
{
    if wait.0 == 0 {
        return None;
    }
    let until = Instant::now() + Duration::from_secs(wait.0.into());
    let mut seen = None;
    loop {
        context.posthog.notify(WaitReason::Result);
        let last = Instant::now() >= until;
        if let Ok(Ok(read)) = timeout(POLL_TIMEOUT, read()).await {
            let done = is_done(&read);
            seen = Some(read);
            if done {
                return seen;
            }
        }
        if last {
            return seen;
        }
        tokio::time::sleep(POLL_INTERVAL.min(until.saturating_duration_since(Instant::now())))
            .await;
    }
}
