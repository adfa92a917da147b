//! What a split removed from the person beyond the plan.
//!
//! PostHog reports success in every case, and versions before June 2026 move every distinct id but one and remove the
//! properties. So the person is read again and compared.

use std::collections::HashSet;

use crate::output::Sanitizer;
use posthog_client::{Person, Untrusted};

/// What is missing from the person, sanitized.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) distinct_ids: Vec<String>,
    pub(super) properties: Vec<String>,
}

impl Loss {
    /// Compares the person with its earlier state without the planned moves. Properties are compared by name only, as
    /// events change values at any time.
    pub(super) fn new(
        before: &Person,
        after: &Person,
        moved: &HashSet<&Untrusted<String>>,
        sanitizer: &Sanitizer,
    ) -> Self {
        let terms = sanitizer.redaction().terms(before);
        let ids: HashSet<_> = after.distinct_ids.iter().collect();
        let keys: HashSet<_> = after.properties.entries().map(|(key, _)| key).collect();
        let lost_ids = before
            .distinct_ids
            .iter()
            .filter(|id| !moved.contains(id) && !ids.contains(id));
        let lost_keys = before
            .properties
            .entries()
            .map(|(key, _)| key)
            .filter(|key| !keys.contains(key));
        Self {
            distinct_ids: lost_ids
                .map(|id| sanitizer.text(&terms.redact_text(id)))
                .collect(),
            properties: lost_keys
                .map(|key| sanitizer.text(&terms.redact_text(&key)))
                .collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.distinct_ids.is_empty() && self.properties.is_empty()
    }
}
