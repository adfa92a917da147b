//! What is redacted in texts that PostHog sends without their person: the events of a person.
//!
//! A redacted value of a person can stand in an event as well, as its distinct id or in an address, so that the person is
//! read first where something is redacted.

use posthog_client::{ErrorKind, EventSource, PersonId, Untrusted};
use serde_json::Value;

use crate::output::{OutputOptions, RedactedTerms, Sanitizer};
use crate::tools::{Context, ToolError};

/// What is known of the person of some events.
#[derive(Debug, Default)]
pub(in crate::tools) struct KnownPerson {
    terms: RedactedTerms,
    /// What is withheld of the person at other times.
    earlier: RedactedTerms,
    /// Whether there is no such person, whose values nobody knows then.
    is_unknown: bool,
}

impl KnownPerson {
    /// Reads the person, if anything is redacted.
    pub(in crate::tools) async fn read(
        context: &Context,
        source: &EventSource,
    ) -> Result<Self, ToolError> {
        let redaction = &context.limits.redaction;
        if !redaction.is_active() {
            return Ok(Self::default());
        }
        let unknown = Self {
            is_unknown: true,
            ..Self::default()
        };
        let EventSource::Person(uuid) = source else {
            return Ok(unknown);
        };
        match context.posthog.person(&PersonId::from(*uuid)).await {
            Ok(person) => Ok(Self {
                terms: redaction.terms(&person),
                ..Self::default()
            }),
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(unknown),
            Err(error) => Err(error.into()),
        }
    }

    /// The same, with what is withheld of the person at other times.
    pub(in crate::tools) fn and_at_other_times(self, earlier: RedactedTerms) -> Self {
        Self { earlier, ..self }
    }

    /// The distinct id of an event.
    pub(in crate::tools) fn distinct_id(
        &self,
        id: &Untrusted<String>,
        sanitizer: &Sanitizer,
    ) -> String {
        if self.is_unknown {
            return sanitizer.text(&sanitizer.redaction().unattributed_name(id));
        }
        self.text(id, sanitizer)
    }

    /// A text of an event, such as its name.
    pub(in crate::tools) fn text(&self, text: &Untrusted<String>, sanitizer: &Sanitizer) -> String {
        sanitizer.text(&self.earlier.redact_text(&self.terms.redact_text(text)))
    }

    /// The value of a property.
    pub(in crate::tools) fn value<K: AsRef<str>>(
        &self,
        key: &Untrusted<K>,
        value: &Untrusted<Value>,
        sanitizer: &Sanitizer,
    ) -> Value {
        sanitizer.property(
            key,
            &self.earlier.redact_json(&self.terms.redact_json(value)),
        )
    }
}

/// The limits of a result about one person, in which redacted values of today are withheld wherever they occur.
pub(in crate::tools) async fn limits_knowing(
    context: &Context,
    id: &PersonId,
) -> Result<OutputOptions, ToolError> {
    let limits = &context.limits;
    if !limits.redaction.is_active() {
        return Ok(limits.clone());
    }
    match context.posthog.person(id).await {
        Ok(person) => Ok(limits.knowing(limits.redaction.terms(&person))),
        Err(error) if *error.kind() == ErrorKind::NotFound => Ok(limits.clone()),
        Err(error) => Err(error.into()),
    }
}
