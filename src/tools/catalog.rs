//! The list of tools.

mod persons_activity_retrieve;
mod persons_batch_retrieve;
mod persons_bulk_delete;
mod persons_cohorts_retrieve;
mod persons_deletion_status_list;
mod persons_funnel;
mod persons_lifecycle;
mod persons_list;
mod persons_properties_at_time_retrieve;
mod persons_properties_timeline_retrieve;
mod persons_property_delete;
mod persons_property_set;
mod persons_reset_distinct_id;
mod persons_retrieve;
mod persons_split;
mod persons_trends;
mod persons_update;
mod persons_values_retrieve;

use std::collections::BTreeSet;

use posthog_client::Access;

use super::tool::Entry;

/// All tools, in the order in which they are offered.
#[must_use]
pub fn catalog() -> Vec<Entry> {
    vec![
        Entry::of::<persons_list::PersonsList>(),
        Entry::of::<persons_retrieve::PersonsRetrieve>(),
        Entry::of::<persons_values_retrieve::PersonsValuesRetrieve>(),
        Entry::of::<persons_cohorts_retrieve::PersonsCohortsRetrieve>(),
        Entry::of::<persons_batch_retrieve::PersonsBatchRetrieve>(),
        Entry::of::<persons_activity_retrieve::PersonsActivityRetrieve>(),
        Entry::of::<persons_properties_timeline_retrieve::PersonsPropertiesTimelineRetrieve>(),
        Entry::of::<persons_properties_at_time_retrieve::PersonsPropertiesAtTimeRetrieve>(),
        Entry::of::<persons_deletion_status_list::PersonsDeletionStatusList>(),
        Entry::of::<persons_funnel::PersonsFunnel>(),
        Entry::of::<persons_trends::PersonsTrends>(),
        Entry::of::<persons_lifecycle::PersonsLifecycle>(),
        Entry::of::<persons_update::PersonsUpdate>(),
        Entry::of::<persons_property_set::PersonsPropertySet>(),
        Entry::of::<persons_property_delete::PersonsPropertyDelete>(),
        Entry::of::<persons_reset_distinct_id::PersonsResetDistinctId>(),
        Entry::of::<persons_split::PersonsSplit>(),
        Entry::of::<persons_bulk_delete::PersonsBulkDelete>(),
    ]
}

/// The scopes that some of these tools ask of a key, and the one for finding out the project.
#[must_use]
pub fn scopes(tools: &[Entry]) -> BTreeSet<&'static str> {
    let scopes = tools.iter().flat_map(|tool| match tool.access {
        Access::Scopes(scopes) => scopes,
        Access::ClosedToScopedKeys => &[],
    });
    scopes.copied().chain(["user:read"]).collect()
}
