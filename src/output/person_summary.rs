//! What identifies a person to a reader, in few words.

use posthog_client::{Person, Properties};

use super::person_row::distinct_ids;
use super::sanitize::Sanitizer;

/// A person's names, redacted and sanitized.
#[derive(Debug, Clone)]
pub struct PersonSummary {
    /// The display name.
    pub name: String,
    /// The property `email`, if it is text.
    pub email: Option<String>,
    /// The first distinct ids; PostHog sends those of identified users first.
    pub distinct_ids: Vec<String>,
    /// When the person was created.
    pub created_at: Option<String>,
    /// When the person sent its last event.
    pub last_seen_at: Option<String>,
}

impl PersonSummary {
    /// The summary of a person, with at most `max_ids` of its distinct ids.
    #[must_use]
    pub fn new(person: &Person, max_ids: usize, sanitizer: &Sanitizer) -> Self {
        let person = &*sanitizer.redaction().person(person);
        let email = person
            .properties
            .entries()
            .find(|(key, _)| *key == *"email");
        let email = email.map(|(_, json)| sanitizer.redacted_text(&Properties::value(json)));
        let timestamp = |time: &Option<_>| time.as_ref().map(|time| sanitizer.timestamp(time));
        Self {
            name: sanitizer.redacted_text(&person.name),
            email: email.filter(|email| !email.is_empty()),
            distinct_ids: distinct_ids(&person.distinct_ids, max_ids, sanitizer),
            created_at: timestamp(&person.created_at),
            last_seen_at: timestamp(&person.last_seen_at),
        }
    }
}
