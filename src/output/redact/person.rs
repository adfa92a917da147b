//! Redaction of a person as a whole.
//!
//! A redacted value is also found where else the same person contains it: in the name, in distinct ids, in other
//! properties. Names of unknown origin are redacted as well.

use std::borrow::Cow;
use std::fmt;

use posthog_client::{Person, Properties, Untrusted};
use regex_lite::Regex;
use serde_json::{Map, Value};

use super::rules::{REDACTED, Redaction};

/// Shorter values are redacted only where they are the whole text: within a longer one they would occur by chance.
const MIN_SUBSTRING_LEN: usize = 3;

impl Redaction {
    /// Redacts a person: the properties, and their values wherever else the person contains them.
    pub(in crate::output) fn person<'a>(&self, person: &'a Person) -> Cow<'a, Person> {
        if !self.is_active() {
            return Cow::Borrowed(person);
        }
        let values = values(person);
        let terms = self.terms_among(&values);
        let ids = person.distinct_ids.iter().map(Untrusted::expose_untrusted);
        let mut known: Vec<String> = ids.clone().cloned().collect();
        let mut properties = Map::new();
        for (key, value) in values {
            if !self.redacts(key) {
                known.push(text(&value));
            }
            let value = terms.redact_value(self.value(key, value));
            properties.insert(key.to_owned(), value);
        }
        let name = text(person.name.expose_untrusted());
        let name = self.name(&name, &known, &terms).into_owned();
        // Every field is listed, so that a new one does not compile before it is decided how to redact it.
        Cow::Owned(Person {
            uuid: person.uuid,
            name: Value::from(name).into(),
            distinct_ids: ids.map(|id| terms.redact(id).into_owned().into()).collect(),
            properties: Properties::from(properties),
            created_at: person.created_at.clone(),
            last_seen_at: person.last_seen_at.clone(),
            value_at_data_point: person.value_at_data_point.clone(),
        })
    }

    /// Redacts a name, unless it is the text of something that is not redacted.
    pub(in crate::output) fn name<'a>(
        &self,
        name: &'a str,
        known: &[String],
        terms: &RedactedTerms,
    ) -> Cow<'a, str> {
        if name.is_empty() || known.iter().any(|text| text == name) {
            terms.redact(name)
        } else {
            Cow::Borrowed(REDACTED)
        }
    }

    /// Redacts a person's name where nothing else is known of the person; a UUID stays.
    #[must_use]
    pub fn unattributed_name<'a>(&self, name: &'a Untrusted<String>) -> Untrusted<Cow<'a, str>> {
        let name = name.expose_untrusted();
        let uuid = uuid::Uuid::try_parse(name).is_ok();
        Untrusted::from(if self.is_active() && !name.is_empty() && !uuid {
            Cow::Borrowed(REDACTED)
        } else {
            Cow::Borrowed(name.as_str())
        })
    }

    /// The texts of a person that are redacted wherever they occur.
    #[must_use]
    pub fn terms(&self, person: &Person) -> RedactedTerms {
        if !self.is_active() {
            return RedactedTerms::default();
        }
        self.terms_among(&values(person))
    }

    fn terms_among(&self, values: &[(&str, Value)]) -> RedactedTerms {
        let mut texts = Vec::new();
        for (key, value) in values {
            self.collect(key, value, false, &mut texts);
        }
        RedactedTerms::new(&texts)
    }

    fn collect(&self, key: &str, value: &Value, redacted: bool, texts: &mut Vec<String>) {
        let redacted = redacted || self.redacts(key);
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.collect(key, value, redacted, texts);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.collect("", item, redacted, texts);
                }
            }
            Value::String(_) | Value::Number(_) if redacted => texts.push(text(value)),
            _ => {}
        }
    }
}

/// Texts of one person that are redacted wherever they occur.
#[derive(Default)]
pub struct RedactedTerms(Option<Regex>);

impl fmt::Debug for RedactedTerms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RedactedTerms")
    }
}

impl RedactedTerms {
    pub(in crate::output) fn new(texts: &[String]) -> Self {
        let mut texts: Vec<&str> = texts
            .iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
            .collect();
        // Longest first: a part must not be replaced before the whole.
        texts.sort_unstable_by_key(|text| std::cmp::Reverse(text.len()));
        texts.dedup();
        if texts.is_empty() {
            return Self(None);
        }
        let patterns: Vec<String> = texts
            .iter()
            .flat_map(|text| {
                let encoded =
                    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
                let escaped = regex_lite::escape(text);
                if text.chars().count() < MIN_SUBSTRING_LEN {
                    vec![format!("^{escaped}$")]
                } else {
                    vec![escaped, regex_lite::escape(&encoded.to_string())]
                }
            })
            .collect();
        let pattern = format!("(?i){}", patterns.join("|"));
        // Where the pattern is too large to compile, everything is redacted.
        Self(Regex::new(&pattern).or_else(|_| Regex::new("(?s).+")).ok())
    }

    /// Redacts these texts in another text of the same person.
    #[must_use]
    pub fn redact_text<'a>(&self, text: &'a Untrusted<String>) -> Untrusted<Cow<'a, str>> {
        self.redact(text.expose_untrusted()).into()
    }

    /// Redacts these texts in a value that belongs to the same person.
    #[must_use]
    pub fn redact_json(&self, value: &Untrusted<Value>) -> Untrusted<Value> {
        self.redact_value(value.expose_untrusted().clone()).into()
    }

    pub(in crate::output) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.0 {
            Some(pattern) => pattern.replace_all(text, REDACTED),
            None => Cow::Borrowed(text),
        }
    }

    fn redact_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.redact(&text).into_owned().into(),
            Value::Number(number) => match self.redact(&number.to_string()) {
                Cow::Borrowed(_) => number.into(),
                Cow::Owned(redacted) => redacted.into(),
            },
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.redact_value(item))
                .collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(key, value)| (key, self.redact_value(value)))
                .collect(),
            other => other,
        }
    }
}

/// A person's properties, decoded.
fn values(person: &Person) -> Vec<(&str, Value)> {
    let entries = person.properties.entries();
    entries
        .map(|(key, json)| {
            let value = Properties::value(json).expose_untrusted_owned();
            (key.expose_untrusted_owned(), value)
        })
        .collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const UUID: &str = "018f0000-0000-7000-8000-00000000000a";

    fn person(json: &Value) -> Person {
        serde_json::from_str(&json.to_string()).unwrap()
    }

    fn redaction(keys: &[&str], emails: bool) -> Redaction {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        Redaction::new(&keys, emails)
    }

    #[test]
    fn a_redacted_value_is_found_in_everything_else_of_the_person() {
        let person = person(&json!({
            "uuid": UUID, "name": "ada@example.com", "distinct_ids": ["ADA@example.com", "user-1"],
            "properties": {"email": "ada@example.com", "url": "/?e=ada%40example%2Ecom", "nested": {"email": 5, "plan": "pro"},
                "note": "is ada@example.com"},
        }));
        let redaction = redaction(&["email"], false);
        let shown = redaction.person(&person);
        assert_eq!(*shown.name.expose_untrusted(), json!(REDACTED));
        let ids = shown.distinct_ids.iter().map(Untrusted::expose_untrusted);
        assert!(ids.eq([REDACTED, "user-1"]));
        let properties: Vec<String> = shown
            .properties
            .entries()
            .map(|(key, json)| format!("{}={}", key.expose_untrusted(), json.expose_untrusted()))
            .collect();
        assert_eq!(
            properties,
            [
                "email=\"[redacted]\"",
                "nested={\"email\":\"[redacted]\",\"plan\":\"pro\"}",
                "note=\"is [redacted]\"",
                "url=\"/?e=[redacted]\"",
            ]
        );
    }

    #[test]
    fn a_name_of_unknown_origin_is_redacted() {
        let named = |name: &str| {
            person(
                &json!({"uuid": UUID, "name": name, "distinct_ids": ["id-1"], "properties": {"name": "Ada"}}),
            )
        };
        let redaction = redaction(&["email"], false);
        for (name, shown) in [
            ("Ada", "Ada"),
            ("id-1", "id-1"),
            ("Grace", REDACTED),
            ("", ""),
        ] {
            let person = named(name);
            let redacted = redaction.person(&person);
            assert_eq!(*redacted.name.expose_untrusted(), json!(shown));
        }
    }
}
