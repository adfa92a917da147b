//! Persons as CSV, in the columns and the format of PostHog's own file: sorted, nested values joined by dots.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::person::Person;
use crate::properties::Properties;
use crate::untrusted::Untrusted;

/// Persons as a file such as PostHog sends for `format=csv`. Empty without persons.
#[must_use]
pub fn persons_as_csv(persons: &[Person]) -> Untrusted<String> {
    let rows: Vec<BTreeMap<String, String>> = persons.iter().map(row).collect();
    let columns: BTreeSet<&String> = rows.iter().flat_map(BTreeMap::keys).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Nothing fails that writes to memory records of the same length.
    let _ = writer.write_record(&columns);
    for row in &rows {
        let cells = columns.iter().map(|column| row.get(*column));
        let _ = writer.write_record(cells.map(|cell| cell.map_or("", String::as_str)));
    }
    let bytes = writer.into_inner().unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    if persons.is_empty() {
        String::new()
    } else {
        text
    }
    .into()
}

fn row(person: &Person) -> BTreeMap<String, String> {
    let mut row = BTreeMap::new();
    row.insert("uuid".to_owned(), person.uuid.to_string());
    flatten(
        "name".to_owned(),
        person.name.expose_untrusted().clone(),
        &mut row,
    );
    for (index, id) in person.distinct_ids.iter().enumerate() {
        let id = id.expose_untrusted().clone();
        row.insert(format!("distinct_ids.{index}"), id);
    }
    for (column, time) in [
        ("created_at", &person.created_at),
        ("last_seen_at", &person.last_seen_at),
    ] {
        let time = time.as_ref().map(|time| time.expose_untrusted().as_str());
        row.insert(column.to_owned(), time.map_or_else(String::new, spaced));
    }
    for (key, json) in person.properties.entries() {
        let value = Properties::value(json).expose_untrusted_owned();
        let path = format!("properties.{}", key.expose_untrusted());
        flatten(path, value, &mut row);
    }
    row
}

/// Empty lists and objects have no column.
fn flatten(path: String, value: Value, row: &mut BTreeMap<String, String>) {
    let cell = match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(format!("{path}.{key}"), value, row);
            }
            return;
        }
        Value::Array(items) => {
            for (index, value) in items.into_iter().enumerate() {
                flatten(format!("{path}.{index}"), value, row);
            }
            return;
        }
        Value::Null => String::new(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
    };
    row.insert(path, cell);
}

/// A time with a space in the middle and the offset as a number.
fn spaced(time: &str) -> String {
    let Ok(parsed) = time.parse::<DateTime<Utc>>() else {
        return time.to_owned();
    };
    let fraction = match parsed.timestamp_subsec_micros() {
        0 => "",
        _ => "%.6f",
    };
    parsed
        .format(&format!("%Y-%m-%d %H:%M:%S{fraction}+00:00"))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_has_the_columns_of_all_persons() {
        let persons: Vec<Person> = serde_json::from_str(
            r#"[
                {"uuid": "018f0000-0000-7000-8000-00000000000a", "name": "Ada, \"A\"", "distinct_ids": ["ada", "anon"],
                 "created_at": "2021-08-25T22:09:14.252000Z", "properties": {"seats": 12, "vip": true, "tags": ["x", {"y": null}]}},
                {"uuid": "018f0000-0000-7000-8000-00000000000b", "created_at": "2026-01-31T12:00:00Z", "properties": {"tags": []}}
            ]"#,
        )
        .unwrap();
        assert_eq!(
            persons_as_csv(&persons).expose_untrusted(),
            "created_at,distinct_ids.0,distinct_ids.1,last_seen_at,name,properties.seats,properties.tags.0,properties.tags.1.y,\
             properties.vip,uuid\n\
             2021-08-25 22:09:14.252000+00:00,ada,anon,,\"Ada, \"\"A\"\"\",12,x,,True,018f0000-0000-7000-8000-00000000000a\n\
             2026-01-31 12:00:00+00:00,,,,,,,,,018f0000-0000-7000-8000-00000000000b\n"
        );
        assert_eq!(persons_as_csv(&[]).expose_untrusted(), "");
    }
}
