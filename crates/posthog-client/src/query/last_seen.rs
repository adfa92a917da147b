//! When persons sent their last event, which queries know since February 2026.
//!
//! An older PostHog refuses a query with the column. Its refusal is the only sign of its age that is free, and it proves it: the
//! same query without the column succeeds. What was seen is kept for all clients of the connection.

use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::response::QueryResponse;
use crate::client::Client;
use crate::error::{Error, ErrorKind};

/// The column, also where a query computes it.
pub(super) const LAST_SEEN: &str = "last_seen_at";

/// Whether PostHog has the column, once that was seen.
#[derive(Debug, Default)]
pub(crate) struct LastSeenSupport(pub(super) OnceLock<bool>);

impl Client {
    /// Sends a query that has the column `last_seen_at`, or one that does without it where PostHog does not know it. Whether the
    /// column was there is the argument of `node`, and part of the result. A larger response than `size_limit`, in bytes, is rejected.
    pub(super) async fn query_with_last_seen<Row: DeserializeOwned>(
        &self,
        node: impl Fn(bool) -> Value,
        size_limit: Option<usize>,
    ) -> Result<(QueryResponse<Row>, bool), Error> {
        let connection = &self.inner.connection;
        let known = &connection.last_seen().0;
        if known.get() != Some(&false) {
            match self.query_within(node(true), size_limit).await {
                Err(error)
                    if matches!(error.kind(), ErrorKind::Invalid { .. })
                        // Another query may have found out meanwhile that there is no such column.
                        && known.get() != Some(&true)
                        && !connection.is_current() => {}
                response => {
                    if response.is_ok() {
                        let _ = known.set(true);
                    }
                    return Ok((response?, true));
                }
            }
        }
        let response = self.query_within(node(false), size_limit).await?;
        let _ = known.set(false);
        Ok((response, false))
    }
}
