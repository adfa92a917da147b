//! JSON objects with more fields, for the fields that only some versions have.

use serde_json::Value;

/// The object with these fields added; an object in both is merged in the same way.
pub(crate) fn merged(mut object: Value, more: Value) -> Value {
    merge(&mut object, more);
    object
}

fn merge(into: &mut Value, value: Value) {
    match (into, value) {
        (Value::Object(fields), Value::Object(more)) => {
            for (name, value) in more {
                merge(fields.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, value) => *into = value,
    }
}
