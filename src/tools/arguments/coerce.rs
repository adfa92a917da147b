//! Lenient in form: arguments in another type than the schema's, as clients, frameworks and models send them.

use serde_json::{Map, Value};

/// Brings arguments into the types of their schema, where the meaning of what was sent is unambiguous.
///
/// Numbers and booleans can be text, ids can be numbers, lists and objects can be JSON as text, a list of one can be the
/// item alone, and an optional argument that is `""`, `[]` or null is absent. An argument that takes any value is what was
/// sent.
pub(in crate::tools) fn coerce(
    arguments: Map<String, Value>,
    schema: &Map<String, Value>,
) -> Map<String, Value> {
    let known = schema.get("properties").and_then(Value::as_object);
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|n| n == name));
    arguments
        .into_iter()
        .filter_map(|(name, value)| {
            let argument = known
                .and_then(|known| known.get(&name)?.as_object())
                .map(Argument::new);
            let Some(argument) = argument.filter(|argument| !argument.takes_any_value()) else {
                return Some((name, value));
            };
            let value = argument.coerce(value);
            (is_required(&name) || !is_blank(&value)).then_some((name, value))
        })
        .collect()
}

/// What frameworks send for an optional argument that a model leaves out.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The schema of an argument or of the items of a list.
#[derive(Clone, Copy)]
struct Argument<'a>(&'a Map<String, Value>);

impl<'a> Argument<'a> {
    fn new(schema: &'a Map<String, Value>) -> Self {
        Self(schema)
    }

    fn takes(self, name: &str) -> bool {
        match self.0.get("type") {
            Some(Value::String(only)) => only == name,
            Some(Value::Array(names)) => names.iter().any(|any| any == name),
            _ => false,
        }
    }

    /// Whether it takes text as well as true and false: a value to store or to compare with, where every form has a meaning.
    fn takes_any_value(self) -> bool {
        self.takes("string") && self.takes("boolean")
    }

    fn items(self) -> Option<Self> {
        self.0.get("items")?.as_object().map(Self)
    }

    fn coerce(self, value: Value) -> Value {
        let value = match value {
            Value::String(text) => self.read_text(text),
            Value::Number(number) if self.takes("integer") => match number.as_f64() {
                // 20.0 is an integer in JSON Schema.
                Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
                    (float as i64).into()
                }
                _ => number.into(),
            },
            Value::Number(number) if self.takes("string") => {
                let text = number.to_string();
                if text
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'-')
                {
                    text.into()
                } else {
                    number.into()
                }
            }
            other => other,
        };
        match value {
            Value::Array(items) => match self.items() {
                Some(item) => items.into_iter().map(|value| item.coerce(value)).collect(),
                None => items.into(),
            },
            Value::Object(fields) if self.takes("object") => coerce(fields, self.0).into(),
            Value::Null => Value::Null,
            Value::String(text) if text.is_empty() => text.into(),
            // One value where a list is expected.
            one if self.takes("array") && !self.takes("string") => vec![match self.items() {
                Some(item) => item.coerce(one),
                None => one,
            }]
            .into(),
            other => other,
        }
    }

    /// Text is read as JSON only for lists and objects, and only where it begins like one: `null` and `[object Object]` are
    /// distinct ids that exist.
    fn read_text(self, text: String) -> Value {
        let begins_list = text.starts_with('[') && self.takes("array");
        let begins_object = text.starts_with('{')
            && (self.takes("object") || self.items().is_some_and(|item| item.takes("object")));
        if (begins_list || begins_object)
            && let Ok(value) = serde_json::from_str(&text)
        {
            return value;
        }
        if self.takes("integer")
            && let Ok(number) = text.trim().parse::<i64>()
        {
            return number.into();
        }
        match text.trim() {
            "true" if self.takes("boolean") => true.into(),
            "false" if self.takes("boolean") => false.into(),
            _ => text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_are_coerced_by_the_schema() {
        let schema = json!({
            "properties": {
                "limit": {"type": "integer"},
                "flag": {"type": "boolean"},
                "id": {"type": "string"},
                "ids": {"type": "array", "items": {"type": "string"}},
                "unset": {"type": ["string", "array"], "items": {"type": "string"}},
                "filters": {"type": "array", "items": {"type": "object", "properties": {
                    "key": {"type": "string"}, "order": {"type": "integer"}, "value": {"type": ["string", "boolean", "array"]}
                }, "required": ["key"]}},
                "fields": {"type": "object"},
                "value": {"type": ["string", "number", "boolean", "object", "array", "null"]}
            },
            "required": ["unset"]
        });
        let read = |arguments: Value| {
            Value::Object(coerce(
                arguments.as_object().unwrap().clone(),
                schema.as_object().unwrap(),
            ))
        };
        for (sent, read_as) in [
            (json!({"limit": "20"}), json!({"limit": 20})),
            (json!({"limit": 20.0}), json!({"limit": 20})),
            (json!({"limit": 20.5}), json!({"limit": 20.5})),
            (json!({"flag": " true"}), json!({"flag": true})),
            (json!({"flag": "yes"}), json!({"flag": "yes"})),
            (json!({"id": 7}), json!({"id": "7"})),
            (json!({"id": "[1]"}), json!({"id": "[1]"})),
            (json!({"ids": ["a", 101]}), json!({"ids": ["a", "101"]})),
            (json!({"ids": "[\"a\", 101]"}), json!({"ids": ["a", "101"]})),
            (json!({"ids": "a"}), json!({"ids": ["a"]})),
            (json!({"ids": 101}), json!({"ids": ["101"]})),
            (json!({"ids": "null"}), json!({"ids": ["null"]})),
            (
                json!({"ids": "[object Object]"}),
                json!({"ids": ["[object Object]"]}),
            ),
            (json!({"ids": "{\"a\":1}"}), json!({"ids": ["{\"a\":1}"]})),
            (json!({"unset": "plan"}), json!({"unset": "plan"})),
            (json!({"unset": "[\"plan\"]"}), json!({"unset": ["plan"]})),
            (json!({"unset": ""}), json!({"unset": ""})),
            (
                json!({"filters": "[{\"key\": \"a\", \"order\": \"1\"}]"}),
                json!({"filters": [{"key": "a", "order": 1}]}),
            ),
            (
                json!({"filters": {"key": "a"}}),
                json!({"filters": [{"key": "a"}]}),
            ),
            (
                json!({"filters": "{\"key\": \"a\"}"}),
                json!({"filters": [{"key": "a"}]}),
            ),
            (
                json!({"filters": ["{\"key\": \"\"}"]}),
                json!({"filters": [{"key": ""}]}),
            ),
            (
                json!({"filters": [{"key": "a", "order": null, "value": "[\"a\"]"}]}),
                json!({"filters": [{"key": "a", "value": "[\"a\"]"}]}),
            ),
            (
                json!({"fields": "{\"a\": \"1\"}"}),
                json!({"fields": {"a": "1"}}),
            ),
            (json!({"fields": "{a}"}), json!({"fields": "{a}"})),
            (json!({"value": "[1]"}), json!({"value": "[1]"})),
            (json!({"value": ""}), json!({"value": ""})),
            (json!({"value": null}), json!({"value": null})),
            (json!({"value": []}), json!({"value": []})),
            (json!({"other": ""}), json!({"other": ""})),
        ] {
            assert_eq!(read(sent.clone()), read_as, "{sent}");
        }
        for blank in [json!(null), json!(""), json!([])] {
            for name in ["limit", "flag", "id", "ids", "filters", "fields"] {
                assert_eq!(read(json!({ name: blank })), json!({}), "{name} {blank}");
            }
        }
        assert_eq!(read(json!({"ids": "[]"})), json!({}));
    }
}
