//! A person as a row of a file: as in a list, and with nothing truncated.

use posthog_client::Person;
use serde_json::Value;

use super::csv::cell;
use super::redact::Redaction;
use super::sanitize::Sanitizer;
use super::select::{COUNTRY, Select};

/// The columns of a file of persons.
#[derive(Debug)]
pub struct FileColumns<'a> {
    select: &'a Select,
    sanitizer: Sanitizer,
}

impl<'a> FileColumns<'a> {
    /// The default columns, or the UUID and the selected properties; all properties are one column of JSON.
    #[must_use]
    pub fn new(select: &'a Select, redaction: &Redaction) -> Self {
        let sanitizer = Sanitizer::new(redaction.clone(), usize::MAX, usize::MAX);
        Self { select, sanitizer }
    }

    /// The names of the columns.
    #[must_use]
    pub fn header(&self) -> Vec<String> {
        let columns = match self.select {
            Select::Default => &[
                "name",
                "email",
                "country",
                "distinct_ids",
                "created_at",
                "last_seen_at",
            ][..],
            Select::All => &[
                "name",
                "distinct_ids",
                "created_at",
                "last_seen_at",
                "properties",
            ],
            Select::Keys(keys) => {
                let keys = keys.iter().map(|key| self.sanitizer.given_identifier(key));
                return std::iter::once("uuid".to_owned())
                    .chain(keys)
                    .map(|key| self.cell(&key))
                    .collect();
            }
        };
        std::iter::once("uuid")
            .chain(columns.iter().copied())
            .map(str::to_owned)
            .collect()
    }

    /// The row of a person.
    #[must_use]
    pub fn cells(&self, person: &Person) -> Vec<String> {
        let sanitizer = &self.sanitizer;
        let redacted = &*sanitizer.redaction().person(person);
        let ids = || {
            let ids = redacted
                .distinct_ids
                .iter()
                .map(|id| sanitizer.identifier(id));
            ids.collect::<Vec<_>>().join(" ")
        };
        let time = |time: &Option<_>| time.as_ref().map(|time| sanitizer.timestamp(time));
        let mut cells = vec![person.uuid.to_string()];
        match self.select {
            Select::Default => cells.extend([
                sanitizer.name(redacted).unwrap_or_default(),
                sanitizer
                    .email(redacted)
                    .map(|(_, email)| email)
                    .unwrap_or_default(),
                sanitizer.property_of(redacted, COUNTRY).unwrap_or_default(),
                ids(),
                time(&redacted.created_at).unwrap_or_default(),
                time(&redacted.last_seen_at).unwrap_or_default(),
            ]),
            Select::All => {
                let properties = self.select.properties(redacted, sanitizer);
                let properties: serde_json::Map<String, Value> = properties
                    .into_iter()
                    .filter_map(|(key, value)| Some((key, value?)))
                    .collect();
                cells.extend([
                    sanitizer.name(redacted).unwrap_or_default(),
                    ids(),
                    time(&redacted.created_at).unwrap_or_default(),
                    time(&redacted.last_seen_at).unwrap_or_default(),
                    Value::Object(properties).to_string(),
                ]);
            }
            Select::Keys(_) => {
                let properties = self.select.properties(redacted, sanitizer);
                cells.extend(properties.into_iter().map(|(_, value)| match value {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => text,
                    Some(other) => other.to_string(),
                }));
            }
        }
        cells.into_iter().map(|text| self.cell(&text)).collect()
    }

    fn cell(&self, text: &str) -> String {
        cell(text, self.sanitizer.redaction())
    }
}
