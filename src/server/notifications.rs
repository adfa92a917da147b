//! What the server remembers of one session, and tells it unasked.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rmcp::model::{
    LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, ProgressToken,
    ResourceUpdatedNotificationParam,
};
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer};
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::resources;
use posthog_client::WaitReason;

/// A client that does not take a message in this time does not get it: nothing waits for news.
const NOTIFY_TIMEOUT: Duration = Duration::from_millis(200);

/// Tells a client that asked for it why its call waits. Never ends by itself.
pub(super) async fn progress(
    peer: &Peer<RoleServer>,
    token: ProgressToken,
    mut waits: UnboundedReceiver<WaitReason>,
) -> Infallible {
    let mut told = 0.0;
    while let Some(wait) = waits.recv().await {
        told += 1.0;
        let message = match wait {
            WaitReason::RateLimit(pause) => format!(
                "PostHog's rate limit is reached; waiting {:.1} seconds",
                pause.as_secs_f64()
            ),
            WaitReason::Concurrency => "waiting for the answers to earlier requests".to_owned(),
            WaitReason::Retry(pause) => format!(
                "PostHog failed; asking again in {:.1} seconds",
                pause.as_secs_f64()
            ),
            WaitReason::Result => "sent; looking whether it has happened".to_owned(),
        };
        let notification =
            ProgressNotificationParam::new(token.clone(), told).with_message(message);
        let _ = tokio::time::timeout(NOTIFY_TIMEOUT, peer.notify_progress(notification)).await;
    }
    std::future::pending().await
}

/// One session.
#[derive(Default)]
pub(super) struct ClientSession {
    /// Ended when the client can no longer answer.
    pub(super) closed: CancellationToken,
    /// From which level on the client wants log messages; none before it asks.
    level: Mutex<Option<LoggingLevel>>,
    /// The persons whose changes the client wants to hear of, by their addresses.
    watched: Mutex<HashSet<String>>,
}

impl ClientSession {
    pub(super) fn with_shutdown(closed: CancellationToken) -> Self {
        Self {
            closed,
            ..Self::default()
        }
    }

    pub(super) fn set_level(&self, level: LoggingLevel) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level);
    }

    pub(super) fn watch(&self, uri: String) {
        /// A client has a few documents open, not thousands.
        const MAX: usize = 1000;
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.len() < MAX {
            watched.insert(uri);
        }
    }

    pub(super) fn unwatch(&self, uri: &str) {
        self.watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uri);
    }

    /// Tells of a finished call what the server's own log says of it, if the client asked for such messages.
    pub(super) async fn called(
        &self,
        context: &RequestContext<RoleServer>,
        tool: &str,
        outcome: &str,
        took: Duration,
    ) {
        let wanted = *self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wanted) = context.meta.log_level().or(wanted) else {
            return;
        };
        let level = match outcome {
            "ok" | "input required" => LoggingLevel::Info,
            "error" => LoggingLevel::Warning,
            _ => LoggingLevel::Error,
        };
        if (level as u8) < (wanted as u8) {
            return;
        }
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let data = json!({ "tool": tool, "outcome": outcome, "milliseconds": milliseconds });
        let message = LoggingMessageNotificationParam::new(level, data);
        let _ = tokio::time::timeout(NOTIFY_TIMEOUT, context.peer.notify_logging_message(message))
            .await;
    }

    /// Tells that persons were changed by this session, if the client watches them.
    pub(super) async fn changed(&self, peer: &Peer<RoleServer>, persons: &[String]) {
        let changed: Vec<String> = {
            let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            let uris = persons.iter().map(|uuid| resources::uri(uuid));
            uris.filter(|uri| watched.contains(uri)).collect()
        };
        for uri in changed {
            let notification = ResourceUpdatedNotificationParam::new(uri);
            let _ =
                tokio::time::timeout(NOTIFY_TIMEOUT, peer.notify_resource_updated(notification))
                    .await;
        }
    }
}
