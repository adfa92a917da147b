//! Notifications: best-effort messages to the client.

use std::convert::Infallible;
use std::time::Duration;

use rmcp::model::{
    LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, ProgressToken,
    ResourceUpdatedNotificationParam,
};
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer};
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use super::resources;
use super::session::ClientSession;
use posthog_client::WaitReason;

/// Notifications that the client does not read in this time are dropped: no call waits for them.
const NOTIFY_TIMEOUT: Duration = Duration::from_millis(200);

/// Reports why a call waits, to a client that requested progress. Never completes.
pub(super) async fn progress(
    peer: &Peer<RoleServer>,
    token: ProgressToken,
    mut waits: UnboundedReceiver<WaitReason>,
    mut for_user: UnboundedReceiver<()>,
) -> Infallible {
    let mut count = 0.0_f64;
    loop {
        let wait = tokio::select! {
            Some(wait) = waits.recv() => Some(wait),
            Some(()) = for_user.recv() => None,
            else => break,
        };
        count += 1.0;
        let mut of = None;
        let message = wait.map_or_else(
            || "waiting for the user's answer on the approval page".to_owned(),
            |wait| message(&wait, &mut count, &mut of),
        );
        let mut notification =
            ProgressNotificationParam::new(token.clone(), count).with_message(message);
        notification.total = of;
        let _ = tokio::time::timeout(NOTIFY_TIMEOUT, peer.notify_progress(notification)).await;
    }
    std::future::pending().await
}

/// Why a call waits, in words. Moves its numbers along where they are known.
fn message(wait: &WaitReason, count: &mut f64, of: &mut Option<f64>) -> String {
    match *wait {
        WaitReason::RateLimit(pause) => format!(
            "PostHog's rate limit is reached; waiting {:.1} seconds",
            pause.as_secs_f64()
        ),
        WaitReason::Concurrency => "waiting for earlier requests to finish".to_owned(),
        WaitReason::Retry(pause) => format!(
            "PostHog failed; retrying in {:.1} seconds",
            pause.as_secs_f64()
        ),
        WaitReason::Result => "sent; checking the result".to_owned(),
        WaitReason::Rows { done, total } => {
            // Progress only ever grows, also between waits.
            *count = count.max(done as f64);
            *of = total.map(|total| count.max(total as f64));
            match total {
                Some(total) => format!("{done} of {total} read"),
                None => format!("{done} read"),
            }
        }
    }
}

/// Sends the log message of a finished call to the client, if the client enabled that level.
pub(super) async fn call_finished(
    session: &ClientSession,
    context: &RequestContext<RoleServer>,
    tool: &str,
    outcome: &str,
    took: Duration,
) {
    let Some(min_level) = context.meta.log_level().or(session.log_level()) else {
        return;
    };
    let level = match outcome {
        "ok" | "input required" => LoggingLevel::Info,
        "error" => LoggingLevel::Warning,
        _ => LoggingLevel::Error,
    };
    if (level as u8) < (min_level as u8) {
        return;
    }
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let data = json!({ "tool": tool, "outcome": outcome, "milliseconds": milliseconds });
    let message = LoggingMessageNotificationParam::new(level, data);
    let _ =
        tokio::time::timeout(NOTIFY_TIMEOUT, context.peer.notify_logging_message(message)).await;
}

/// Reports that persons were changed by this session, if the client watches them.
pub(super) async fn persons_changed(
    session: &ClientSession,
    peer: &Peer<RoleServer>,
    persons: &[String],
) {
    let uuids = persons.iter().filter_map(|uuid| Uuid::try_parse(uuid).ok());
    for uuid in uuids.filter(|uuid| session.watches(*uuid)) {
        let notification = ResourceUpdatedNotificationParam::new(resources::uri(uuid));
        let _ =
            tokio::time::timeout(NOTIFY_TIMEOUT, peer.notify_resource_updated(notification)).await;
    }
}
