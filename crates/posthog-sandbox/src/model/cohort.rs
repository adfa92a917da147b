//! Cohorts: sets of persons that are picked, or calculated from filters.

use std::sync::Arc;

use serde_json::Value;

use super::dates::Time;
use super::filters::{CohortMembers, Filter};
use super::stores::AnalyticsStore;

pub(crate) struct Cohort {
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
    /// What the members are calculated from: the filters as they were written, and as they were read. `None` if the
    /// members never change by themselves.
    pub(crate) definition: Option<(Vec<Value>, Vec<Filter>)>,
    pub(crate) members: CohortMembers,
    pub(crate) created_at: Time,
}

impl Cohort {
    pub(crate) fn calculate(&mut self, analytics: &AnalyticsStore) {
        let Some((_, filters)) = &self.definition else {
            return;
        };
        let matching = analytics.in_order().filter(|(uuid, row)| {
            filters
                .iter()
                .all(|filter| filter.matches(&row.properties, *uuid))
        });
        self.members.uuids = Arc::new(matching.map(|(uuid, _)| uuid).collect());
    }

    pub(crate) fn count(&self) -> usize {
        self.members.uuids.len()
    }
}
