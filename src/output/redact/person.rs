//! Redaction of a person as a whole.
//!
//! A redacted value is also found where else the same person contains it: in the name, in distinct ids, in other
//! properties and their keys. Names of unknown origin are redacted as well.

use std::borrow::Cow;

use posthog_client::{Person, Properties, Untrusted};
use serde_json::{Map, Value};

use super::rules::{REDACTED, Redaction, nested_path};
use super::terms::RedactedTerms;
use super::texts::insert_renamed;

/// The size of a person that is searched at most, without the values that are redacted in any case.
const MAX_PERSON_BYTES: usize = 2 * 1024 * 1024;

/// JSON in the text of JSON is read to this depth.
const MAX_TEXTS_IN_TEXTS: usize = 4;

impl Redaction {
    /// Redacts a person: the properties, and their values wherever else the person contains them.
    pub(in crate::output) fn person<'a>(&self, person: &'a Person) -> Cow<'a, Person> {
        if self.is_empty() {
            return Cow::Borrowed(person);
        }
        let values = values(&person.properties);
        let terms = if size(person) > MAX_PERSON_BYTES {
            RedactedTerms::everything()
        } else {
            RedactedTerms::new(self.redacted_texts(&values))
        };
        let shown = |text: &str| self.mask(&terms.redact(text)).into_owned();
        let ids = person.distinct_ids.iter().map(Untrusted::expose_untrusted);
        let mut known: Vec<String> = ids.clone().cloned().collect();
        let mut properties = Map::new();
        for (key, value) in values {
            if !self.redacts(key) {
                known.push(text(&value));
            }
            let value = terms.redact_value(self.value(key, value));
            insert_renamed(&mut properties, shown(key), self.masked(value));
        }
        let name = text(person.name.expose_untrusted());
        let name = self.mask(&self.name(&name, &known, &terms)).into_owned();
        let time = |time: &Option<Untrusted<String>>| {
            let time = time.as_ref().map(Untrusted::expose_untrusted);
            time.map(|time| self.time(time).into_owned().into())
        };
        // Every field is listed, so that a new one does not compile before it is decided how to redact it.
        Cow::Owned(Person {
            uuid: person.uuid,
            name: Value::from(name).into(),
            distinct_ids: ids.map(|id| shown(id).into()).collect(),
            properties: Properties::from(properties),
            created_at: time(&person.created_at),
            last_seen_at: time(&person.last_seen_at),
            value_at_data_point: person.value_at_data_point.clone(),
        })
    }

    /// A value that belongs to a known person, by its key and without what is withheld of the person.
    pub(in crate::output) fn whole(&self, key: &str, value: Value) -> Value {
        self.masked(self.value(key, value))
    }

    /// Texts and properties of an event of a known person, also without what is redacted of the event itself.
    pub(in crate::output) fn event<const N: usize>(
        &self,
        texts: [&str; N],
        properties: Value,
    ) -> ([String; N], Value) {
        let terms = RedactedTerms::new(self.texts_of(&properties));
        let texts = texts.map(|text| self.mask(&terms.redact(text)).into_owned());
        (texts, self.whole("", terms.redact_value(properties)))
    }

    /// Redacts a name, unless it is the text of something that is not redacted.
    pub(in crate::output) fn name<'a>(
        &self,
        name: &'a str,
        known: &[String],
        terms: &RedactedTerms,
    ) -> Cow<'a, str> {
        let is_known = || known.iter().any(|text| text == name);
        if !self.is_active() || name.is_empty() || is_known() {
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

    /// The name of a property where nothing is known of the persons that have it. A name can hold anything; where properties
    /// are redacted, it stays only if it looks like one that code chose.
    #[must_use]
    pub fn unattributed_key<'a>(&self, key: &'a Untrusted<String>) -> Untrusted<Cow<'a, str>> {
        self.machine(key.expose_untrusted(), |character| {
            character.is_ascii_alphanumeric()
                || matches!(character, '$' | '_' | '-' | ':' | '.' | '/')
        })
        .into()
    }

    /// The texts of a person that are redacted wherever they occur.
    #[must_use]
    pub fn terms(&self, person: &Person) -> RedactedTerms {
        self.terms_of_all(std::slice::from_ref(person))
    }

    /// The same of several persons, who become one.
    #[must_use]
    pub fn terms_of_all(&self, persons: &[Person]) -> RedactedTerms {
        if !self.is_active() {
            return RedactedTerms::default();
        }
        let texts = persons
            .iter()
            .flat_map(|person| self.redacted_texts(&values(&person.properties)));
        RedactedTerms::new(texts)
    }

    /// The same with further texts.
    pub(in crate::output) fn terms_and(
        &self,
        person: &Person,
        texts: impl IntoIterator<Item = String>,
    ) -> RedactedTerms {
        let mut all = self.texts_of_person(person);
        all.extend(texts);
        RedactedTerms::new(all)
    }

    /// The texts of a person that are redacted.
    pub(in crate::output) fn texts_of_person(&self, person: &Person) -> Vec<String> {
        self.redacted_texts(&values(&person.properties))
    }

    /// The texts of properties that are redacted.
    pub(in crate::output) fn texts_of(&self, properties: &Value) -> Vec<String> {
        let mut texts = Vec::new();
        if self.is_active() {
            self.collect("", properties, false, 0, &mut texts);
        }
        texts
    }

    /// The same of properties and the values that they had.
    #[must_use]
    pub fn terms_of_values<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a Untrusted<String>, &'a Untrusted<Value>)>,
    ) -> RedactedTerms {
        let mut texts = Vec::new();
        for (key, value) in values.into_iter().filter(|_| self.is_active()) {
            let (key, value) = (key.expose_untrusted(), value.expose_untrusted());
            self.collect(key, value, false, 0, &mut texts);
        }
        RedactedTerms::new(texts)
    }

    fn redacted_texts(&self, values: &[(&str, Value)]) -> Vec<String> {
        let mut texts = Vec::new();
        for (key, value) in values {
            self.collect(key, value, false, 0, &mut texts);
        }
        texts
    }

    /// `path` holds the keys down to the value.
    fn collect(
        &self,
        path: &str,
        value: &Value,
        redacted: bool,
        depth: usize,
        texts: &mut Vec<String>,
    ) {
        let redacted = redacted || self.redacts(path);
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.collect(&nested_path(path, key), value, redacted, depth, texts);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.collect(path, item, redacted, depth, texts);
                }
            }
            Value::String(text) => {
                if redacted {
                    texts.push(text.clone());
                }
                self.collect_within(path, text, redacted, depth, texts);
            }
            Value::Number(number) if redacted => texts.push(number.to_string()),
            _ => {}
        }
    }

    /// The texts of redacted properties within a text that is JSON or a URL.
    pub(in crate::output) fn texts_within(&self, text: &str) -> Vec<String> {
        let mut texts = Vec::new();
        self.collect_within("", text, false, 0, &mut texts);
        texts
    }

    fn collect_within(
        &self,
        path: &str,
        text: &str,
        redacted: bool,
        depth: usize,
        texts: &mut Vec<String>,
    ) {
        let json = text.trim_start().starts_with(['[', '{']) && depth < MAX_TEXTS_IN_TEXTS;
        if json && let Ok(inner) = serde_json::from_str(text) {
            self.collect(path, &inner, redacted, depth + 1, texts);
        } else if !redacted {
            self.collect_parameters(text, texts);
        }
    }

    /// The values of redacted properties in a URL's query.
    fn collect_parameters(&self, text: &str, texts: &mut Vec<String>) {
        if !text.contains('=') {
            return;
        }
        for parameter in text.split(['?', '&', '#', ';', ' ']) {
            if let Some((key, value)) = parameter.split_once('=')
                && self.redacts(key)
            {
                texts.push(value.to_owned());
            }
        }
    }
}

impl RedactedTerms {
    /// Redacts these texts in another text of the same person.
    #[must_use]
    pub fn redact_text<'a, T: AsRef<str>>(
        &self,
        text: &'a Untrusted<T>,
    ) -> Untrusted<Cow<'a, str>> {
        self.redact(text.expose_untrusted().as_ref()).into()
    }

    /// Redacts these texts in a value that belongs to the same person.
    #[must_use]
    pub fn redact_json(&self, value: &Untrusted<Value>) -> Untrusted<Value> {
        self.redact_value(value.expose_untrusted().clone()).into()
    }
}

/// A person's properties, decoded.
fn values(properties: &Properties) -> Vec<(&str, Value)> {
    let entries = properties.entries();
    entries
        .map(|(key, json)| {
            let value = Properties::value(json).expose_untrusted_owned();
            (key.expose_untrusted_owned(), value)
        })
        .collect()
}

fn size(person: &Person) -> usize {
    let properties = person.properties.entries();
    let ids = person.distinct_ids.iter();
    properties
        .map(|(key, json)| key.expose_untrusted().len() + json.expose_untrusted().len())
        .chain(ids.map(|id| id.expose_untrusted().len()))
        .sum()
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

    fn shown(person: &Person) -> Vec<String> {
        let entries = person.properties.entries();
        entries
            .map(|(key, json)| format!("{}={}", key.expose_untrusted(), json.expose_untrusted()))
            .collect()
    }

    #[test]
    fn a_redacted_value_is_found_in_everything_else_of_the_person() {
        let person = person(&json!({
            "uuid": UUID, "name": "ada@example.com", "distinct_ids": ["ADA@example.com", "user-1"],
            "properties": {
                "email": "ada@example.com", "url": "/?e=ada%40example%2Ecom", "nested": {"email": 5, "plan": "pro"},
                "note": "is ada@example.com", "to ada@example.com": 1, "to ADA@example.com": {"ada@example.com": 2},
            },
        }));
        let redaction = redaction(&["email"], false);
        let redacted = redaction.person(&person);
        assert_eq!(*redacted.name.expose_untrusted(), json!(REDACTED));
        let ids = redacted
            .distinct_ids
            .iter()
            .map(Untrusted::expose_untrusted);
        assert!(ids.eq([REDACTED, "user-1"]));
        let mut properties = shown(&redacted);
        properties.sort_unstable();
        assert_eq!(
            properties,
            [
                "email=\"[redacted]\"",
                "nested={\"email\":\"[redacted]\",\"plan\":\"pro\"}",
                "note=\"is [redacted]\"",
                "to [redacted] (2)=1",
                "to [redacted]={\"[redacted]\":2}",
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

    #[test]
    fn too_much_to_search_is_withheld_and_says_so() {
        let many: Vec<String> = (0..40_000).map(|i| format!("value-{i}")).collect();
        for properties in [
            json!({"email": many, "plan": "pro"}),
            json!({"email": "a@x.org", "plan": "pro", "large": "x".repeat(MAX_PERSON_BYTES)}),
        ] {
            let person = person(&json!({
                "uuid": UUID, "name": "pro", "distinct_ids": ["id-1"], "properties": properties,
            }));
            let redacted = redaction(&["email"], false).person(&person).into_owned();
            assert!(redacted.distinct_ids[0] == *"[redacted: too large to be searched]");
            let shown = shown(&redacted);
            assert!(
                shown.iter().all(|property| property.contains("[redacted")),
                "{shown:?}"
            );
            assert!(shown.iter().any(|property| property.contains("too large")));
        }
    }
}
