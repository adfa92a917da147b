//! The part of a response that is read. The compiled text, the timings and the settings, which are longer than the rows,
//! are skipped while the response is decoded.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::person::cut_to;

/// A response with rows, which are arrays in the order of the columns.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound = "Row: Deserialize<'de>")]
pub(crate) struct QueryResponse<Row> {
    pub(crate) results: Vec<Row>,
    /// Only nodes other than HogQL say it.
    #[serde(default)]
    pub(crate) has_more: Option<bool>,
    /// When it was computed, by PostHog's clock.
    #[serde(default, rename = "last_refresh")]
    pub(crate) computed_at: Option<String>,
    /// Persons that only the analytics store has.
    #[serde(default, rename = "missing_actors_count")]
    pub(crate) missing_actors: Option<u64>,
    /// Whether PostHog calculated it for an earlier request.
    #[serde(default, rename = "is_cached")]
    is_cached: Option<bool>,
}

impl<Row> QueryResponse<Row> {
    /// When PostHog calculated it, if that was for an earlier request.
    pub(crate) fn calculated_earlier(&self) -> Option<DateTime<Utc>> {
        self.computed_at
            .as_ref()
            .filter(|_| self.is_cached == Some(true))?
            .parse()
            .ok()
    }

    /// Removes the row beyond the page, which is requested to see whether there is a next page.
    pub(crate) fn cut_to(&mut self, limit: u32) -> bool {
        cut_to(&mut self.results, limit)
    }
}
