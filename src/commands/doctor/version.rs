//! The version of PostHog, and what follows from it.

use super::findings::Findings;
use super::report::Check;
use crate::config::Config;
use posthog_client::{Availability, Feature, KeyInspector, Support};

/// The tools that need an endpoint which some versions do not serve.
const ENDPOINTS: [(&str, &str); 3] = [
    ("persons-deletion-status-list", "deletion_status"),
    ("persons-properties-at-time-retrieve", "properties_at_time"),
    ("persons-cohorts-retrieve", "cohorts"),
];

/// What is refused where PostHog does not know the fields.
const REFUSED: [(Feature, &str); 3] = [
    (
        Feature::PartialSplit,
        "distinct_ids_to_split of persons-split",
    ),
    (Feature::KeepPerson, "keep_person of persons-bulk-delete"),
    (
        Feature::DeleteRecordings,
        "delete_recordings of persons-bulk-delete",
    ),
];

/// Determines which endpoints are served, and how old a PostHog that is not PostHog Cloud is.
pub(super) async fn examine(
    config: &Config,
    inspector: &KeyInspector,
    project: u64,
    findings: &mut Findings,
) {
    for (tool, endpoint) in ENDPOINTS {
        let reason = match inspector.availability(endpoint, project).await {
            Availability::Missing => "this PostHog does not have its endpoint",
            Availability::Failing => "this PostHog fails on its endpoint",
            Availability::Served | Availability::Unknown => continue,
        };
        findings.unserved.push((tool, reason));
    }
    if config.assume_current_posthog {
        let found = "assumed to be current (--assume-current-posthog)";
        findings.checks.push(Check::ok("posthog", found));
    } else if !inspector.is_cloud() {
        let mut supports = Vec::new();
        for (feature, _) in REFUSED {
            supports.push(inspector.support(feature).await);
        }
        findings.checks.push(check(&supports));
    }
}

/// `supports` in the order of [`REFUSED`].
fn check(supports: &[Support]) -> Check {
    let refused: Vec<&str> = REFUSED
        .iter()
        .zip(supports)
        .filter(|(_, support)| **support != Support::Supported)
        .map(|((_, what), _)| *what)
        .collect();
    if refused.is_empty() {
        return Check::ok("posthog", "June 2026 or newer");
    }
    let refused = refused.join(", ");
    if supports.contains(&Support::Unknown) {
        return Check::warning("posthog", "its version could not be determined: /api/schema/ could not be read")
            .advice(format!(
                "Refused, because an older PostHog would ignore it: {refused}. If PostHog is current, set --assume-current-posthog."
            ));
    }
    let found = match supports {
        [_, Support::Supported, _] => "older than June 2026",
        _ => "older than December 2025",
    };
    Check::warning("posthog", found).advice(format!(
        "Refused, because this PostHog would ignore it: {refused}. A newer PostHog knows it."
    ))
}
