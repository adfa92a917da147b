//! A value with other texts in it.

use serde_json::{Map, Number, Value};

/// Changes every text of a value, also where it is a key, and every number.
pub(super) fn map_texts(
    value: Value,
    text: &impl Fn(&str) -> String,
    number: &impl Fn(Number) -> Value,
) -> Value {
    match value {
        Value::String(given) => text(&given).into(),
        Value::Number(given) => number(given),
        Value::Array(items) => items
            .into_iter()
            .map(|item| map_texts(item, text, number))
            .collect(),
        Value::Object(fields) => {
            let mut changed = Map::new();
            for (key, value) in fields {
                insert_renamed(&mut changed, text(&key), map_texts(value, text, number));
            }
            Value::Object(changed)
        }
        other => other,
    }
}

/// Adds a field whose key may be taken after redaction.
pub(in crate::output) fn insert_renamed(
    fields: &mut Map<String, Value>,
    key: String,
    value: Value,
) {
    let mut unique = key.clone();
    let mut number = 1;
    while fields.contains_key(&unique) {
        number += 1;
        unique = format!("{key} ({number})");
    }
    fields.insert(unique, value);
}
