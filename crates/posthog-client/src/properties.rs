//! The properties of a person, as PostHog sent them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::untrusted::Untrusted;

/// A person's properties as PostHog sent them. Values are decoded on demand: most are never shown.
#[derive(Clone, Default)]
pub struct Properties {
    /// Keys and values as JSON, concatenated.
    text: String,
    /// Where each key ends, and each value.
    ends: Vec<(usize, usize)>,
}

impl Properties {
    /// Keys, and values as JSON, in the order in which they were sent.
    pub fn entries(&self) -> impl Iterator<Item = (Untrusted<&str>, Untrusted<&str>)> {
        let mut start = 0;
        self.ends.iter().filter_map(move |(key_end, end)| {
            let key = self.text.get(start..*key_end)?;
            let value = self.text.get(*key_end..*end)?;
            start = *end;
            Some((key.into(), value.into()))
        })
    }

    /// Decodes a value. One that is nested too deeply to be decoded becomes its JSON as text.
    #[must_use]
    pub fn value(json: Untrusted<&str>) -> Untrusted<Value> {
        json.map(|json| serde_json::from_str(json).unwrap_or_else(|_| json.into()))
    }

    /// Whether there is a property of this name.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.entries().any(|(name, _)| name == *key)
    }

    /// Whether a property has this value. Numbers may be written in another form.
    #[must_use]
    pub fn has(&self, key: &str, value: &Value) -> bool {
        self.entries().any(|(name, json)| {
            name == *key && is_same(Self::value(json).expose_untrusted(), value)
        })
    }

    /// Whether a text is what [`Properties::value`] makes of JSON that it cannot decode.
    #[must_use]
    pub fn is_undecoded(text: &str) -> bool {
        text.starts_with(['[', '{'])
            && serde_json::from_str::<Value>(text).is_err()
            && serde_json::from_str::<&RawValue>(text).is_ok()
    }

    fn push(&mut self, key: &str, json: &str) {
        self.text.push_str(key);
        let key_end = self.text.len();
        self.text.push_str(json);
        self.ends.push((key_end, self.text.len()));
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || (one.as_f64().is_some() && one.as_f64() == other.as_f64())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|other| is_same(value, other)))
        }
        _ => one == other,
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Properties")
    }
}

impl From<Map<String, Value>> for Properties {
    fn from(properties: Map<String, Value>) -> Self {
        let mut all = Self::default();
        for (key, value) in properties {
            all.push(&key, &value.to_string());
        }
        all
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Properties;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_unit<E>(self) -> Result<Properties, E> {
                Ok(Properties::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
                // Enough for most persons.
                let mut properties = Properties {
                    text: String::with_capacity(1024),
                    ends: Vec::with_capacity(32),
                };
                while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    properties.push(&key_of(key.get()), value.get());
                }
                Ok(properties)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Decodes a key; one with an invalid Unicode escape stays as it is written.
fn key_of(json: &str) -> Cow<'_, str> {
    // Without the quotes.
    let escaped = json.get(1..json.len().saturating_sub(1)).unwrap_or(json);
    if escaped.as_bytes().contains(&b'\\') {
        serde_json::from_str(json).map_or(Cow::Borrowed(escaped), Cow::Owned)
    } else {
        Cow::Borrowed(escaped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_kept_as_sent() {
        let json =
            r#"{"a\"\u00e4" : "\u00e4", "": [1, {"x": null}], "\udc00": -0.0 , "a": "\udc00"}"#;
        let properties: Properties = serde_json::from_str(json).unwrap();
        let entries: Vec<_> = properties.entries().collect();
        let expected = [
            ("a\"ä", r#""\u00e4""#),
            ("", r#"[1, {"x": null}]"#),
            (r"\udc00", "-0.0"),
            ("a", r#""\udc00""#),
        ]
        .map(|(key, json)| (key.into(), json.into()));
        assert_eq!(entries, expected);
        let value = |json: &'static str| Properties::value(json.into());
        assert_eq!(value(r#""\u00e4""#), Value::from("ä").into());
        assert_eq!(value(r#""\udc00""#), Value::from(r#""\udc00""#).into());
        for other in ["[]", "7", "\"email\""] {
            assert!(
                serde_json::from_str::<Properties>(other).is_err(),
                "{other}"
            );
        }
    }
}
