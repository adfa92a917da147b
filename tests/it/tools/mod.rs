//! The tools, one file each.

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
mod wait_seconds;
