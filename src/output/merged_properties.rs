//! The properties of persons that are merged: which values stay and which are lost.

use std::collections::BTreeMap;

use posthog_client::{Person, Untrusted};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::budget::{OutputOptions, Truncated, truncate_rows};
use super::comparison::values;
use super::sanitize::Sanitizer;
use super::table::{Cells, Row};

// A property that changes on the person that stays, or whose values differ.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct MergedProperty {
    /// The name.
    pub property: String,
    /// The value that the person has afterwards.
    pub stays: Value,
    // Values of the other persons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Value>,
}

impl Row for MergedProperty {
    fn header(_: &[Self]) -> Vec<String> {
        ["property", "stays", "lost"].map(str::to_owned).to_vec()
    }

    fn cells(&self, _: &[String], cells: &mut Cells<'_>) {
        cells.identifier(&self.property);
        cells.value(&self.stays);
        match &*self.lost {
            [] => cells.empty(),
            [one] => cells.value(one),
            several => cells.value(&Value::from(several)),
        }
    }
}

/// The properties of a merged person.
#[derive(Debug)]
pub struct MergedProperties {
    /// Those with values that are lost, then those that the person gets, as many as fit.
    pub changed: Truncated<MergedProperty>,
    /// How many have values that are lost.
    pub conflict_count: usize,
    /// How many the person gets that it did not have.
    pub added_count: usize,
    /// How many there are of both: a property of several others can be new and have values that are lost.
    pub changed_count: usize,
    /// How many it has afterwards.
    pub count: usize,
}

/// What becomes of the properties of persons of which the first stays: the value of the first person that has a property.
#[must_use]
pub fn merged_properties(options: &OutputOptions, persons: &[Person]) -> MergedProperties {
    let mut holders: BTreeMap<String, Vec<(usize, Untrusted<Value>)>> = BTreeMap::new();
    for (place, person) in persons.iter().enumerate() {
        for (key, value) in values(person) {
            holders.entry(key).or_default().push((place, value));
        }
    }
    let count = holders.len();
    let (mut conflicts, mut added) = (Vec::new(), Vec::new());
    let mut added_count = 0;
    for (key, mut values) in holders {
        let (first, stays) = values.remove(0);
        let mut lost: Vec<Untrusted<Value>> = Vec::new();
        for (_, value) in values {
            if value != stays && !lost.contains(&value) {
                lost.push(value);
            }
        }
        added_count += usize::from(first > 0);
        match (lost.is_empty(), first) {
            (false, _) => conflicts.push((key, stays, lost)),
            (true, 0) => {}
            (true, _) => added.push((key, stays, lost)),
        }
    }
    let conflict_count = conflicts.len();
    conflicts.append(&mut added);
    let changed_count = conflicts.len();
    let changed = truncate_rows(
        options,
        &conflicts,
        |(key, stays, lost), sanitizer: &Sanitizer| {
            let name = Untrusted::from(key.as_str());
            MergedProperty {
                property: sanitizer.given_identifier(key),
                stays: sanitizer.property(&name, stays),
                lost: lost
                    .iter()
                    .map(|value| sanitizer.property(&name, value))
                    .collect(),
            }
        },
    );
    MergedProperties {
        changed,
        conflict_count,
        added_count,
        changed_count,
        count,
    }
}
