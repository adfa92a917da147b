//! What a split removed from the person beyond the plan.
//!
//! PostHog reports success in every case, and versions before June 2026 move every distinct id but one and remove the
//! properties. So the person is read after every split, until the split has been applied, and compared.

use std::collections::HashSet;

use tokio::time::timeout;

use crate::output::Sanitizer;
use crate::tools::Context;
use crate::tools::support::poll::POLL_TIMEOUT;
use posthog_client::{Person, PersonId, Untrusted};

/// Reads with growing pauses between them, about eight seconds in all, also if the call does not wait.
const READS: u32 = 5;

/// The person after the split, compared with the plan.
pub(super) enum Comparison {
    AsPlanned,
    NotApplied,
    Loss(Loss),
    Unread,
}

pub(super) async fn compare(
    context: &Context,
    id: &PersonId,
    before: &Person,
    moved: &HashSet<&Untrusted<String>>,
) -> Comparison {
    let is_applied = |person: &Person| !person.distinct_ids.iter().any(|id| moved.contains(id));
    let mut after = None;
    for attempt in 0..READS {
        if attempt > 0 {
            tokio::time::sleep(context.posthog.backoff(attempt - 1)).await;
        }
        if let Ok(Ok(person)) = timeout(POLL_TIMEOUT, context.posthog.person(id)).await {
            after = Some(person);
        }
        if after.as_ref().is_some_and(is_applied) {
            break;
        }
    }
    let Some(after) = after else {
        return Comparison::Unread;
    };
    let loss = Loss::new(before, &after, moved, &context.limits.sanitizer());
    match (loss.is_empty(), is_applied(&after)) {
        (false, _) => Comparison::Loss(loss),
        (true, true) => Comparison::AsPlanned,
        (true, false) => Comparison::NotApplied,
    }
}

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
                .map(|id| sanitizer.identifier(&terms.redact_text(id)))
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
