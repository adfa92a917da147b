//! The recorded pairs to which the sandbox responds differently. The test fails on every other difference, and on a pair
//! that is listed here and no longer differs.

/// A pair id, in which a final `*` stands for any end; the versions, of both where it is empty; and why.
pub(super) const DIFFERENCES: &[(&str, &str, &str)] = &[
    // Query API
    ("query-hogql-placeholders", "", COMPILED),
    ("query-hogql-event-counts", "", COMPILED),
    (
        "query-hogql-json-extremes",
        "",
        "a number of more than 63 bits",
    ),
    ("query-funnel-insight", "", INSIGHT),
    ("query-trends-insight", "", INSIGHT),
    ("query-lifecycle-insight", "", INSIGHT),
    ("query-stickiness-insight", "", INSIGHT),
    ("query-retention-insight", "", INSIGHT),
    ("query-paths-insight", "", INSIGHT),
    ("query-hogql-other-team", "", "no column of the project"),
    ("query-key-wrong", "", CLOUD),
    ("query-key-actors-wrong", "", CLOUD),
    ("query-key-none", "", CLOUD),
    ("query-key-actors-none", "", CLOUD),
    (
        "query-async-poll",
        "",
        "the id was invented by the recorded server",
    ),
    // Paths and methods
    ("project-environments-alias", "", STRICT),
    ("project-no-slash", "", STRICT),
    ("method-options", "", STRICT),
    ("csv-retrieve", "", STRICT),
    // Parameters
    ("list-unknown-param", "", STRICT),
    ("list-limit-negative", "2026-06", STRICT),
    ("list-offset-negative", "2026-06", STRICT),
    // Filters
    ("filter-no-type", "", STRICT),
    ("filter-type-*", "", STRICT),
    ("filter-json-object", "2025-08", STRICT),
    ("filter-json-null", "2025-08", STRICT),
    ("filter-json-texts", "2025-08", STRICT),
    // Bodies
    ("update-list-properties", "", STRICT),
    ("update-text-properties", "", STRICT),
    ("set-number-key", "", STRICT),
    (
        "unset-read-back",
        "",
        "the property of set-number-key is missing",
    ),
    ("unset-null", "", STRICT),
    ("unset-list", "", STRICT),
    ("unset-wrong-field", "", STRICT),
    ("bulk-flag-as-text-false", "", STRICT),
    ("reset-wrong-field", "", STRICT),
];

const INSIGHT: &str = "the results of the insight itself are not simulated, only its persons";
const COMPILED: &str = "the names beside the types are those of the recorded SQL";
const CLOUD: &str = "the status of PostHog Cloud, 401";
const STRICT: &str =
    "PostHog tolerates or fails on a request that no client should send; the sandbox rejects it";

pub(super) fn is_listed(id: &str, era: &str) -> bool {
    DIFFERENCES.iter().any(|listed| applies(listed, id, era))
}

pub(super) fn applies(listed: &(&str, &str, &str), id: &str, era: &str) -> bool {
    let (pattern, only, _) = listed;
    let is_pair = match pattern.strip_suffix('*') {
        Some(start) => id.starts_with(start),
        None => *pattern == id,
    };
    is_pair && (only.is_empty() || *only == era)
}
