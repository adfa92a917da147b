//! What the server remembers of one session.

use std::collections::HashSet;
use std::sync::Mutex;

use rmcp::model::LoggingLevel;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::sync::lock;

/// How many persons a client can watch: it has a few open, not thousands.
pub(super) const MAX_WATCHED: usize = 1000;

/// The state of one session.
#[derive(Default)]
pub(super) struct ClientSession {
    /// Cancelled when the client can no longer reply.
    pub(super) closed: CancellationToken,
    /// The minimum log level that the client set; `None` sends no log messages.
    log_level: Mutex<Option<LoggingLevel>>,
    /// The persons that the client subscribed to.
    watched: Mutex<HashSet<Uuid>>,
}

impl ClientSession {
    pub(super) fn with_shutdown(closed: CancellationToken) -> Self {
        Self {
            closed,
            ..Self::default()
        }
    }

    pub(super) fn set_log_level(&self, level: LoggingLevel) {
        *lock(&self.log_level) = Some(level);
    }

    pub(super) fn log_level(&self) -> Option<LoggingLevel> {
        *lock(&self.log_level)
    }

    /// Watches a person; false if the client watches too many.
    pub(super) fn watch(&self, person: Uuid) -> bool {
        let mut watched = lock(&self.watched);
        if watched.len() >= MAX_WATCHED && !watched.contains(&person) {
            return false;
        }
        watched.insert(person);
        true
    }

    pub(super) fn unwatch(&self, person: Uuid) {
        lock(&self.watched).remove(&person);
    }

    pub(super) fn watches(&self, person: Uuid) -> bool {
        lock(&self.watched).contains(&person)
    }
}
