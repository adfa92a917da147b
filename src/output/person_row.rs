//! A person as a row of a table.

use std::collections::{BTreeMap, BTreeSet};

use posthog_client::{Person, Untrusted};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::sanitize::Sanitizer;
use super::select::Select;
use super::table::{Cells, Row};

/// Distinct ids in a row.
const MAX_DISTINCT_IDS: usize = 10;

// One person among others.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct PersonRow {
    uuid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    // The selected ones.
    properties: BTreeMap<String, Value>,
    // At most [`MAX_DISTINCT_IDS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    distinct_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct_id_count: Option<usize>,
    // PostHog did not send all distinct ids: there may be more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    count_is_minimum: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<String>,
}

impl PersonRow {
    /// A row with the default columns. The endpoint sends `max_sent` distinct ids at most.
    #[must_use]
    pub fn new(person: &Person, select: &Select, max_sent: usize, sanitizer: &Sanitizer) -> Self {
        let person = &*sanitizer.redaction().person(person);
        let ids = &person.distinct_ids;
        Self {
            distinct_ids: distinct_ids(person, MAX_DISTINCT_IDS, sanitizer),
            distinct_id_count: Some(ids.len()),
            count_is_minimum: ids.len() >= max_sent,
            created_at: timestamp(person.created_at.as_ref(), sanitizer),
            last_seen_at: timestamp(person.last_seen_at.as_ref(), sanitizer),
            ..Self::of_redacted(person, select, sanitizer)
        }
    }

    /// A row with the name and the selected properties, and nothing else.
    #[must_use]
    pub fn summary(person: &Person, select: &Select, sanitizer: &Sanitizer) -> Self {
        Self::of_redacted(&sanitizer.redaction().person(person), select, sanitizer)
    }

    fn of_redacted(person: &Person, select: &Select, sanitizer: &Sanitizer) -> Self {
        Self {
            name: Some(sanitizer.display_name(person)),
            properties: select.properties(person, sanitizer),
            ..Self::id_only(person)
        }
    }

    /// A row with the UUID alone.
    #[must_use]
    pub fn id_only(person: &Person) -> Self {
        Self {
            uuid: person.uuid.to_string(),
            name: None,
            properties: BTreeMap::new(),
            distinct_ids: Vec::new(),
            distinct_id_count: None,
            count_is_minimum: false,
            created_at: None,
            last_seen_at: None,
        }
    }

    /// Removes the name where a property of the row has the same text.
    #[must_use]
    pub fn dedup_name(mut self) -> Self {
        if self.name_is_duplicate() {
            self.name = None;
        }
        self
    }

    /// Whether a property of the row has the same text as the name.
    fn name_is_duplicate(&self) -> bool {
        let mut texts = self.properties.values().filter_map(Value::as_str);
        texts.any(|text| self.name.as_deref() == Some(text))
    }

    /// The number of distinct ids, where not all of them are shown.
    fn distinct_id_total(&self) -> Option<String> {
        match self.distinct_id_count? {
            count if self.count_is_minimum => Some(format!("at least {count}")),
            count => (count > self.distinct_ids.len()).then(|| format!("{count} in all")),
        }
    }

    /// The columns that these rows need.
    pub fn columns<'a>(rows: impl Iterator<Item = &'a Self> + Clone) -> Vec<String> {
        let mut header = vec!["uuid".to_owned()];
        let mut column = |name: &str, needed: &dyn Fn(&Self) -> bool| {
            if rows.clone().any(needed) {
                header.push(name.to_owned());
            }
        };
        let duplicate = rows.clone().any(Self::name_is_duplicate);
        let name = if duplicate { NAME_UNLESS_SHOWN } else { NAME };
        column(name, &|row| row.name.is_some());
        let keys: BTreeSet<&String> = rows.clone().flat_map(|row| row.properties.keys()).collect();
        for key in keys {
            column(&property_column(key), &|_| true);
        }
        column(DISTINCT_IDS, &|row| row.distinct_id_count.is_some());
        column(CREATED_AT, &|row| row.created_at.is_some());
        column(LAST_SEEN_AT, &|row| row.last_seen_at.is_some());
        header
    }
}

/// The first distinct ids of a person that is redacted already.
pub(super) fn distinct_ids(redacted: &Person, max: usize, sanitizer: &Sanitizer) -> Vec<String> {
    let ids = redacted.distinct_ids.iter().take(max);
    ids.map(|id| sanitizer.text(id)).collect()
}

pub(super) fn timestamp(time: Option<&Untrusted<String>>, sanitizer: &Sanitizer) -> Option<String> {
    time.map(|time| sanitizer.timestamp(time))
}

const NAME: &str = "name";
/// The header of the name where some row omits it, because a property of the row, mostly the e-mail, has the same text.
const NAME_UNLESS_SHOWN: &str = "name (unless shown)";
pub(super) const DISTINCT_IDS: &str = "distinct_ids";
pub(super) const CREATED_AT: &str = "created_at";
pub(super) const LAST_SEEN_AT: &str = "last_seen_at";
/// Columns that some tools add.
pub const REQUESTED: &str = "requested";
pub const VALUE_AT_DATA_POINT: &str = "value_at_data_point";
pub const ACTIVE_PERIODS: &str = "active_periods";

/// The column of a property; a prefix distinguishes it from the columns above.
fn property_column(key: &str) -> String {
    match key {
        "uuid" | NAME | NAME_UNLESS_SHOWN | REQUESTED | DISTINCT_IDS | CREATED_AT
        | LAST_SEEN_AT | VALUE_AT_DATA_POINT | ACTIVE_PERIODS => format!("properties.{key}"),
        other => other.to_owned(),
    }
}

impl Row for PersonRow {
    fn header(rows: &[Self]) -> Vec<String> {
        Self::columns(rows.iter())
    }

    fn cells(&self, header: &[String], cells: &mut Cells<'_>) {
        for column in header {
            match column.as_str() {
                "uuid" => cells.text(&self.uuid),
                NAME_UNLESS_SHOWN if self.name_is_duplicate() => cells.empty(),
                NAME | NAME_UNLESS_SHOWN => cells.optional(self.name.as_deref()),
                DISTINCT_IDS => {
                    cells.list(&self.distinct_ids, self.distinct_id_total().as_deref());
                }
                CREATED_AT => cells.optional(self.created_at.as_deref()),
                LAST_SEEN_AT => cells.optional(self.last_seen_at.as_deref()),
                property => {
                    let key = property.strip_prefix("properties.");
                    let value = self
                        .properties
                        .get(property)
                        .or_else(|| key.and_then(|key| self.properties.get(key)));
                    match value {
                        Some(value) => cells.value(value),
                        None => cells.empty(),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::redact::Redaction;
    use super::*;

    #[test]
    fn every_text_of_a_row_is_sanitized() {
        let hostile = "a\u{200b}b\nc";
        let person = json!({
            "uuid": "018f0000-0000-7000-8000-00000000000a", "name": hostile, "distinct_ids": [hostile],
            "properties": {hostile: hostile}, "created_at": hostile, "last_seen_at": hostile,
        });
        let person: Person = serde_json::from_str(&person.to_string()).unwrap();
        let sanitizer = Sanitizer::new(Redaction::default(), 100, 100);
        let row = PersonRow::new(&person, &Select::All, 10, &sanitizer);
        let expected = json!({
            "uuid": "018f0000-0000-7000-8000-00000000000a", "name": "ab c", "distinct_ids": ["ab c"],
            "properties": {"ab c": "ab c"}, "distinct_id_count": 1, "created_at": "ab c", "last_seen_at": "ab c",
        });
        assert_eq!(json!(row), expected);
    }
}
