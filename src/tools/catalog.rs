//! The list of tools.

mod persons_activity_retrieve;
mod persons_batch_retrieve;
mod persons_bulk_delete;
mod persons_cohorts_retrieve;
mod persons_deletion_status_list;
mod persons_duplicates_list;
mod persons_events_list;
mod persons_export;
mod persons_funnel;
mod persons_lifecycle;
mod persons_list;
mod persons_merge;
mod persons_paths;
mod persons_properties_at_time_retrieve;
mod persons_properties_timeline_retrieve;
mod persons_property_delete;
mod persons_property_set;
mod persons_reset_distinct_id;
mod persons_retention;
mod persons_retrieve;
mod persons_split;
mod persons_stickiness;
mod persons_trends;
mod persons_update;
mod persons_values_retrieve;

use std::collections::BTreeSet;

use super::tool::ToolDefinition;

/// All tools, in the order in which they are offered.
#[must_use]
pub fn catalog() -> Vec<ToolDefinition> {
    vec![
        ToolDefinition::new::<persons_list::PersonsList>(),
        ToolDefinition::new::<persons_retrieve::PersonsRetrieve>(),
        ToolDefinition::new::<persons_values_retrieve::PersonsValuesRetrieve>(),
        ToolDefinition::new::<persons_cohorts_retrieve::PersonsCohortsRetrieve>(),
        ToolDefinition::new::<persons_batch_retrieve::PersonsBatchRetrieve>(),
        ToolDefinition::new::<persons_duplicates_list::PersonsDuplicatesList>(),
        ToolDefinition::new::<persons_activity_retrieve::PersonsActivityRetrieve>(),
        ToolDefinition::new::<persons_events_list::PersonsEventsList>(),
        ToolDefinition::new::<
            persons_properties_timeline_retrieve::PersonsPropertiesTimelineRetrieve,
        >(),
        ToolDefinition::new::<persons_properties_at_time_retrieve::PersonsPropertiesAtTimeRetrieve>(
        ),
        ToolDefinition::new::<persons_deletion_status_list::PersonsDeletionStatusList>(),
        ToolDefinition::new::<persons_export::PersonsExport>(),
        ToolDefinition::new::<persons_funnel::PersonsFunnel>(),
        ToolDefinition::new::<persons_trends::PersonsTrends>(),
        ToolDefinition::new::<persons_lifecycle::PersonsLifecycle>(),
        ToolDefinition::new::<persons_stickiness::PersonsStickiness>(),
        ToolDefinition::new::<persons_retention::PersonsRetention>(),
        ToolDefinition::new::<persons_paths::PersonsPaths>(),
        ToolDefinition::new::<persons_update::PersonsUpdate>(),
        ToolDefinition::new::<persons_property_set::PersonsPropertySet>(),
        ToolDefinition::new::<persons_property_delete::PersonsPropertyDelete>(),
        ToolDefinition::new::<persons_reset_distinct_id::PersonsResetDistinctId>(),
        ToolDefinition::new::<persons_split::PersonsSplit>(),
        ToolDefinition::new::<persons_merge::PersonsMerge>(),
        ToolDefinition::new::<persons_bulk_delete::PersonsBulkDelete>(),
    ]
}

/// The tools that are offered without any setting.
#[must_use]
pub fn offered_by_default() -> Vec<ToolDefinition> {
    let mut tools = catalog();
    tools.retain(|tool| tool.opt_in.is_none());
    tools
}

/// The scopes that any of these tools require, and the one for resolving the project.
#[must_use]
pub fn scopes(tools: &[ToolDefinition]) -> BTreeSet<&'static str> {
    let scopes = tools.iter().flat_map(|tool| tool.access.0);
    let parts = tools.iter().flat_map(|tool| tool.parts);
    let parts = parts.map(|(_, scope)| *scope);
    scopes.copied().chain(parts).chain(["user:read"]).collect()
}
