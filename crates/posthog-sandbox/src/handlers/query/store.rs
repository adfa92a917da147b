//! The results that are kept: the cache, and the queries that ran in the background.

use std::collections::HashMap;

use chrono::Duration;
use serde_json::{Map, Value};

use crate::http::Response;
use crate::model::dates::Time;

/// A result in the cache, and when it was calculated.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    pub(super) at: Time,
    pub(super) body: Map<String, Value>,
}

/// A query that ran in the background.
#[derive(Clone, Debug)]
pub(super) struct Background {
    pub(super) project: u64,
    pub(super) at: Time,
    pub(super) outcome: Result<Map<String, Value>, Response>,
}

#[derive(Debug, Default)]
pub(crate) struct QueryStore {
    pub(super) cached: HashMap<String, Cached>,
    background: HashMap<String, Background>,
}

/// After this long PostHog forgets a query that ran in the background.
pub(super) const STATUS_TTL: Duration = Duration::minutes(20);

/// Results with more rows than this are not kept: a sandbox with a long history would grow with each page of it.
const MAX_CACHED_ROWS: usize = 1000;

impl QueryStore {
    /// Whether a result is kept in the cache.
    pub(super) fn keeps(body: &Map<String, Value>) -> bool {
        let rows = body.get("results").and_then(Value::as_array);
        rows.is_none_or(|rows| rows.len() <= MAX_CACHED_ROWS)
    }

    /// The result of this query, if it is younger than `within`.
    pub(super) fn fresh(&self, key: &str, now: Time, within: Duration) -> Option<&Cached> {
        let cached = self.cached.get(key)?;
        (now - cached.at < within).then_some(cached)
    }

    pub(super) fn start(&mut self, id: &str, query: Background) {
        self.background.insert(id.to_owned(), query);
    }

    pub(super) fn status(&self, id: &str, project: u64, now: Time) -> Option<&Background> {
        let query = self.background.get(id)?;
        let is_known = query.project == project && now - query.at < STATUS_TTL;
        is_known.then_some(query)
    }
}
