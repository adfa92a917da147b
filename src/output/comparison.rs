//! Two states of one person: the properties that differ.

use std::collections::BTreeMap;

use posthog_client::{Person, Properties, Untrusted};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::budget::{OutputOptions, Truncated, truncate_rows};
use super::redact::REDACTED;
use super::sanitize::Sanitizer;
use super::select::Select;
use super::table::{Cells, Row};

// A property that differs. A value that is missing is not set.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ChangedProperty {
    property: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

impl Row for ChangedProperty {
    fn header(_: &[Self]) -> Vec<String> {
        ["property", "before", "after"].map(str::to_owned).to_vec()
    }

    fn cells(&self, _: &[String], cells: &mut Cells<'_>) {
        cells.identifier(&self.property);
        for value in [&self.before, &self.after] {
            match value {
                Some(value) => cells.value(value),
                None => cells.empty(),
            }
        }
    }
}

/// The properties that differ between two states of a person.
#[derive(Debug)]
pub struct Comparison {
    /// Those that fit.
    pub changed: Truncated<ChangedProperty>,
    /// How many differ.
    pub changed_count: usize,
    /// How many are the same.
    pub same_count: usize,
}

/// Compares the selected properties; by default all of them.
#[must_use]
pub fn compare(
    options: &OutputOptions,
    before: &Person,
    after: &Person,
    select: &Select,
) -> Comparison {
    // What differs is decided before redaction: two redacted values look the same.
    let states = [values(before), values(after)];
    let shown = [before, after].map(|person| values(&options.redaction.person(person)));
    let names_only = options.sanitizer();
    let mut keys: Vec<&String> = Vec::new();
    let mut same_count = 0;
    let mut all: Vec<&String> = states.iter().flat_map(BTreeMap::keys).collect();
    all.sort();
    all.dedup();
    for key in all {
        let [before, after] = &states;
        let selected =
            *select == Select::Default || select.shows(&Untrusted::from(key.as_str()), &names_only);
        if !selected {
            continue;
        }
        if before.get(key) == after.get(key) {
            same_count += 1;
        } else {
            keys.push(key);
        }
    }
    let changed = truncate_rows(options, &keys, |key, sanitizer: &Sanitizer| {
        let value = |state: &BTreeMap<String, Untrusted<Value>>| {
            state.get(*key).map(|value| sanitizer.redacted_value(value))
        };
        let [before, after] = &shown;
        ChangedProperty {
            // A name that is redacted itself is in neither state.
            property: if before.contains_key(*key) || after.contains_key(*key) {
                sanitizer.given_identifier(key)
            } else {
                REDACTED.to_owned()
            },
            before: value(before),
            after: value(after),
        }
    });
    Comparison {
        changed_count: keys.len(),
        same_count,
        changed,
    }
}

pub(super) fn values(person: &Person) -> BTreeMap<String, Untrusted<Value>> {
    let entries = person.properties.entries();
    entries
        .map(|(key, json)| (Sanitizer::key(&key), Properties::value(json)))
        .collect()
}
