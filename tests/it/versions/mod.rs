//! Versions of PostHog: no call does more than it reports, and no result is about other persons than was asked for.
//!
//! What PostHog does, and the test that fails without the remedy:
//!
//! | what PostHog does | test |
//! | --- | --- |
//! | before June 2026, ignores `distinct_ids_to_split`, and strips the person | `partial_split_is_refused_where_posthog_would_strip_the_person`, `split_that_takes_more_than_planned_is_reported` |
//! | before December 2025, ignores `keep_person` and `delete_recordings` | `deletion_options_that_posthog_ignores_are_refused` |
//! | fails on `in` with one value, or takes `not_in` for `exact` | `filters_mean_the_same_on_every_version` |
//! | compares dates as text, and fails on relative ones | `filters_mean_the_same_on_every_version`, `operators_mean_what_they_say_in_june_2026` |
//! | compares numbers and booleans with text, and finds nobody | `filters_mean_the_same_on_every_version` |
//! | finds only a part of a list of numbers | `filters_mean_the_same_on_every_version`, `operators_mean_what_they_say_in_september_2026` |
//! | finds only midnight with `is_date_exact` and a day | `filters_mean_the_same_on_every_version` |
//! | takes a list with `icontains` for one text | `filters_mean_the_same_on_every_version`, `operators_mean_what_they_say_in_august_2025` |
//! | fails on a filter for good | `filters_that_posthog_cannot_evaluate_are_named`, `regex_that_posthog_cannot_compile_is_refused_before_it_is_sent` |
//! | ignores a filter on a static or unknown cohort | `static_cohort_lists_its_members_on_every_version`, `cohort_filter_without_cohort_scope_says_that_it_is_unchecked` |
//! | searches nothing else where a search is exactly an id | `search_that_is_exactly_an_id_names_the_argument_for_addresses` |
//! | does not trim a search | `search_is_trimmed` |
//! | fails on every request to properties at a time, lifecycle or cohorts | `endpoints_that_always_fail_are_named_as_such`, `failure_of_the_moment_is_not_a_failing_endpoint` |
//! | lacks an endpoint, and takes its name for the id of a person | `missing_endpoints_are_not_missing_persons` |
//! | lists values without an object around them | `missing_endpoints_are_not_missing_persons` |
//! | accepts a deletion with an empty response | `deletion_accepted_without_a_body_is_queued` |
//! | has no batch reads, for a key with scopes or without | `batches_fall_back_to_single_reads_for_every_kind_of_key` |
//! | rejects `null` as the value of a property | `null_that_posthog_rejects_is_reported_with_the_argument` |
//! | lists a key without scopes as one with all | `legacy_key_has_access_to_every_tool`, of `doctor` |
//! | responds to a wrong project as to a missing person | `unknown_project_is_named_as_such` |
//! | fails on a funnel without a step | `funnel_without_a_step_is_refused_before_it_is_sent` |
//! | fails on a page of the activity after the last one | `page_of_the_activity_past_the_last_is_named_as_such` |
//! | reports a failed step of a deletion without a person | `failed_step_without_a_person_is_not_a_failed_person` |
//! | reports a failed deletion with the status of a failure | `summary_of_a_failed_deletion_is_read` |
//! | responds in shapes that differ between versions | `responses_of_august_2025_are_read`, `responses_of_june_2026_are_read` |
//! | applies a split later than it responds | `split_that_is_not_applied_yet_is_not_called_as_planned` |
//! | stores the operations of events as properties | `operations_of_events_are_no_properties` |

mod cohort_filters;
mod deletions;
mod endpoints;
mod filters;
mod operators;
mod properties;
mod recordings;
mod search;
mod splits;
mod support;
mod table;
