//! Which persons to list, and which endpoint can list them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::filter::Filter;
use crate::query::TimeBounds;

/// Which persons to list. All conditions must hold, unless [`FilterMatch::Any`] says otherwise of the filters.
#[derive(Debug, Clone, Default)]
pub struct PersonsQuery {
    /// Part of an e-mail, a name, a UUID or a distinct id; `%` and `_` are wildcards.
    pub search: Option<String>,
    /// An exact e-mail.
    pub email: Option<String>,
    /// An exact distinct id.
    pub distinct_id: Option<String>,
    /// Conditions on properties and cohorts.
    pub properties: Vec<Filter>,
    /// Whether all of these conditions must hold, or one.
    pub filter_match: FilterMatch,
    /// When the persons were created.
    pub created: TimeBounds,
    /// When the persons sent their last event.
    pub last_seen: TimeBounds,
    /// Persons per page.
    pub limit: u32,
    /// Persons to skip.
    pub offset: u32,
    /// Also count all matches, for which PostHog makes a second query.
    pub include_total: bool,
}

// How several filters are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum FilterMatch {
    #[default]
    All,
    Any,
}

impl PersonsQuery {
    /// Whether only the query API can list these persons: `GET persons/` knows no times and combines filters with AND.
    #[must_use]
    pub fn needs_query_api(&self) -> bool {
        self.created.is_bounded() || self.last_seen.is_bounded() || self.is_any_of_several()
    }

    pub(crate) fn is_any_of_several(&self) -> bool {
        self.filter_match == FilterMatch::Any && self.properties.len() > 1
    }
}
