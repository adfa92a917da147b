//! The sanitizer: the only place where text that end users or PostHog wrote becomes text that may be shown.
//!
//! Invariant: [`Untrusted`] is opened here and in `redact`, nowhere else in the server.

use std::borrow::Cow;
use std::cell::Cell;

use chrono::{DateTime, Utc};
use posthog_client::{Error, Person, Properties, Untrusted};
use serde_json::{Map, Value};

use super::characters::{sanitize, sanitize_lines};
use super::csv;
use super::identifier::{escape, unescape};
use super::redact::{REDACTED, Redaction, insert_renamed};

/// Characters of a name, a key or a distinct id at most.
const MAX_NAME_CHARS: usize = 400;
/// No date or time is longer.
const MAX_TIME_CHARS: usize = 40;
/// The length of a date in RFC 3339.
const DAY_LENGTH: usize = "2026-11-02".len();
/// A value nested more deeply is shown as text: a result beyond the limit of a JSON parser would be lost as a whole.
const MAX_LEVELS: usize = 32;

/// Sanitizes, redacts and truncates text, and counts what it truncated.
#[derive(Debug)]
pub struct Sanitizer {
    redaction: Redaction,
    max_value_chars: usize,
    max_name_chars: usize,
    truncated: Cell<usize>,
}

impl Sanitizer {
    /// A sanitizer that truncates values and names to these numbers of characters.
    #[must_use]
    pub(super) fn new(redaction: Redaction, max_value_chars: usize, max_name_chars: usize) -> Self {
        Self {
            redaction,
            max_value_chars,
            max_name_chars,
            truncated: Cell::new(0),
        }
    }

    /// A sanitizer for names, keys and messages: it omits values.
    #[must_use]
    pub fn names_only(redaction: Redaction) -> Self {
        Self::new(redaction, 0, MAX_NAME_CHARS)
    }

    /// What is redacted.
    #[must_use]
    pub fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// How many texts were truncated so far.
    #[must_use]
    pub fn truncated(&self) -> usize {
        self.truncated.get()
    }

    /// Whether there is no room for property values at all.
    #[must_use]
    pub fn values_omitted(&self) -> bool {
        self.max_value_chars == 0
    }

    /// A name, a key, a distinct id, a reason.
    #[must_use]
    pub fn text<T: AsRef<str>>(&self, text: &Untrusted<T>) -> String {
        self.argument(text.expose_untrusted().as_ref())
    }

    /// The same for text that the caller gave.
    #[must_use]
    pub fn argument(&self, text: &str) -> String {
        self.truncate(&self.sanitized(text), self.max_name_chars)
    }

    /// A distinct id or a property name, in a form that can be given back: quoted and escaped if it holds characters that a
    /// reader does not see.
    #[must_use]
    pub fn identifier<T: AsRef<str>>(&self, identifier: &Untrusted<T>) -> String {
        self.given_identifier(identifier.expose_untrusted().as_ref())
    }

    /// The same for an identifier that the caller gave.
    #[must_use]
    pub fn given_identifier(&self, identifier: &str) -> String {
        let cleaned = sanitize(identifier);
        let shown = self.truncate(&self.redaction.mask(&cleaned), self.max_name_chars);
        // Otherwise it is masked or too long, and cannot be given back anyway.
        if matches!(&cleaned, Cow::Owned(cleaned) if *cleaned == shown) {
            return self.truncate(&escape(identifier), self.max_name_chars);
        }
        shown
    }

    /// Whether an identifier was given, literally or as it is shown.
    #[must_use]
    pub fn is_identifier<T: AsRef<str>>(&self, identifier: &Untrusted<T>, given: &str) -> bool {
        let identifier = identifier.expose_untrusted().as_ref();
        identifier == given
            || (given.starts_with('"') && self.given_identifier(identifier) == given)
    }

    /// A property name as it is, to look it up.
    pub(super) fn key(key: &Untrusted<&str>) -> String {
        (*key.expose_untrusted()).to_owned()
    }

    /// Whether an identifier begins with this text, given literally or as results show it.
    #[must_use]
    pub fn has_prefix<T: AsRef<str>>(identifier: &Untrusted<T>, prefix: &str) -> bool {
        let identifier = identifier.expose_untrusted().as_ref();
        let shown = || unescape(prefix).is_some_and(|prefix| identifier.starts_with(&prefix));
        identifier.starts_with(prefix) || shown()
    }

    /// A message of one line. What it quotes of [`Untrusted`] is sanitized already; what the caller gave may not be.
    #[must_use]
    pub fn line(&self, message: &str) -> String {
        self.sanitized(message).into_owned()
    }

    /// As [`Sanitizer::line`], but line breaks stay.
    #[must_use]
    pub fn lines(&self, message: &str) -> String {
        self.redaction.mask(&sanitize_lines(message)).into_owned()
    }

    /// A date or a time, which is truncated only where it is none.
    #[must_use]
    pub fn timestamp(&self, time: &Untrusted<String>) -> String {
        let time = self.redaction.time(time.expose_untrusted());
        self.truncate(&sanitize(&time), self.max_name_chars.max(MAX_TIME_CHARS))
    }

    /// A word that PostHog's code chose: a status, a field, a scope.
    #[must_use]
    pub fn word(&self, word: &Untrusted<String>) -> String {
        let word = self
            .redaction
            .machine(word.expose_untrusted(), |character| {
                character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | ':' | '.')
            });
        self.truncate(&sanitize(&word), self.max_name_chars)
    }

    /// The reason of an error. PostHog's words can quote any property of any person, so that they are withheld where
    /// properties are redacted.
    #[must_use]
    pub fn reason(&self, error: &Error) -> Option<String> {
        let reason = error.reason()?;
        if error.quotes_posthog() && self.redaction.is_active() {
            return Some("PostHog's reason is withheld (--redact)".to_owned());
        }
        Some(self.text(reason))
    }

    /// A property's value where a result is about many persons: withheld where properties are redacted, as nothing is known
    /// of the person.
    #[must_use]
    pub fn unattributed<K: AsRef<str>>(
        &self,
        key: &Untrusted<K>,
        value: &Untrusted<Value>,
    ) -> Value {
        let empty = value.expose_untrusted().is_null();
        if self.redaction.is_active() && !self.redaction.knows_person() && !empty {
            return REDACTED.into();
        }
        self.property(key, value)
    }

    /// The day of a time, in UTC.
    #[must_use]
    pub fn day(&self, time: &Untrusted<String>) -> String {
        let text = time.expose_untrusted();
        match DateTime::parse_from_rfc3339(text) {
            // As PostHog writes times. Writing a date costs more than reading one.
            Ok(time) if time.offset().local_minus_utc() == 0 => text[..DAY_LENGTH].to_owned(),
            Ok(time) => time.with_timezone(&Utc).date_naive().to_string(),
            Err(_) => self.timestamp(time),
        }
    }

    /// A property's value, as a value.
    #[must_use]
    pub fn property<K: AsRef<str>>(&self, key: &Untrusted<K>, value: &Untrusted<Value>) -> Value {
        self.value(&self.redacted(key, value))
    }

    /// A property's value, as text with the length of a name.
    #[must_use]
    pub fn property_text(&self, key: &str, value: &Untrusted<Value>) -> String {
        self.value_text(&self.redacted(&Untrusted::from(key), value))
    }

    /// The name of a person that is redacted already: the property `name`, else the display name, unless that is the e-mail
    /// or a distinct id, which are shown as such.
    pub(super) fn name(&self, redacted: &Person) -> Option<String> {
        if let Some(name) = property_value(redacted, "name") {
            return Some(self.value_text(&name));
        }
        let name = redacted.name.expose_untrusted();
        let is_id = |id: &Untrusted<String>| name == id.expose_untrusted();
        let is_email = EMAIL_PROPERTIES
            .iter()
            .any(|key| property_value(redacted, key).as_ref() == Some(name));
        let said = is_blank(name) || is_email || redacted.distinct_ids.iter().any(is_id);
        (!said).then(|| self.value_text(name))
    }

    /// The e-mail of a person that is redacted already, and the property that holds it.
    pub(super) fn email(&self, redacted: &Person) -> Option<(&'static str, String)> {
        EMAIL_PROPERTIES.into_iter().find_map(|key| {
            let email = property_value(redacted, key)?;
            Some((key, self.value_text(&email)))
        })
    }

    /// A property of a person that is redacted already, as text.
    pub(super) fn property_of(&self, redacted: &Person, key: &str) -> Option<String> {
        property_value(redacted, key).map(|value| self.value_text(&value))
    }

    /// The value of a property of a person that is redacted already.
    pub(super) fn redacted_value(&self, value: &Untrusted<Value>) -> Value {
        self.value(value.expose_untrusted())
    }

    /// The same as text with the length of a name.
    pub(super) fn redacted_text(&self, value: &Untrusted<Value>) -> String {
        self.value_text(value.expose_untrusted())
    }

    /// A CSV file, sanitized and redacted cell by cell.
    #[must_use]
    pub fn csv(&self, csv: &Untrusted<String>, truncated: bool) -> String {
        csv::rewrite(csv.expose_untrusted(), truncated, &self.redaction)
    }

    fn redacted<'a, K: AsRef<str>>(
        &self,
        key: &Untrusted<K>,
        value: &'a Untrusted<Value>,
    ) -> Cow<'a, Value> {
        let value = value.expose_untrusted();
        if self.redaction.is_active() {
            let key = key.expose_untrusted().as_ref();
            Cow::Owned(self.redaction.value(key, value.clone()))
        } else {
            Cow::Borrowed(value)
        }
    }

    /// Sanitized and masked.
    fn sanitized<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match sanitize(text) {
            Cow::Borrowed(text) => self.redaction.mask(text),
            Cow::Owned(text) => self.redaction.mask(&text).into_owned().into(),
        }
    }

    /// A value that is too long becomes its truncated text, one that is nested too deeply its text.
    fn value(&self, value: &Value) -> Value {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
            Value::String(text) => {
                Value::String(self.truncate(&self.sanitized(text), self.max_value_chars))
            }
            Value::Array(_) | Value::Object(_) => {
                let cleaned = self.cleaned(value);
                let text = cleaned.to_string();
                let fits = text.chars().nth(self.max_value_chars).is_none();
                if fits && !is_deeper(value, MAX_LEVELS) {
                    cleaned
                } else {
                    Value::String(self.truncate(&text, self.max_value_chars))
                }
            }
        }
    }

    fn value_text(&self, value: &Value) -> String {
        match value {
            Value::Null => String::new(),
            Value::String(text) => self.argument(text),
            other => self.argument(&other.to_string()),
        }
    }

    fn cleaned(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.sanitized(text).into_owned()),
            Value::Array(items) => items.iter().map(|item| self.cleaned(item)).collect(),
            Value::Object(fields) => {
                let mut cleaned = Map::new();
                for (key, value) in fields {
                    let key = self.sanitized(key).into_owned();
                    insert_renamed(&mut cleaned, key, self.cleaned(value));
                }
                Value::Object(cleaned)
            }
            other => other.clone(),
        }
    }

    fn truncate(&self, text: &str, most: usize) -> String {
        if text.len() <= most {
            // A text has no more characters than bytes.
            return text.to_owned();
        }
        match text.char_indices().nth(most) {
            None => text.to_owned(),
            Some((end, _)) => {
                self.truncated.set(self.truncated.get() + 1);
                let (kept, rest) = text.split_at(end);
                format!("{kept}… (+{} characters)", rest.chars().count())
            }
        }
    }
}

/// Where projects store the e-mail of a person.
pub(super) const EMAIL_PROPERTIES: [&str; 3] = ["email", "$email", "Email"];

/// A property that is set to something.
fn property_value(person: &Person, key: &str) -> Option<Value> {
    let (_, json) = person
        .properties
        .entries()
        .find(|(name, _)| *name == *key)?;
    let value = Properties::value(json).expose_untrusted_owned();
    (!is_blank(&value)).then_some(value)
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Whether arrays and objects are nested more deeply than `levels`.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let mut within: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(fields) => Box::new(fields.values()),
        _ => return false,
    };
    levels == 0 || within.any(|value| is_deeper(value, levels - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_values_are_truncated_and_counted() {
        let sanitizer = Sanitizer::new(Redaction::default(), 5, 400);
        assert_eq!(
            sanitizer.value(&json!("äöüßéè")),
            json!("äöüßé… (+1 characters)")
        );
        assert_eq!(
            sanitizer.value(&json!({"a": 1})),
            json!("{\"a\":… (+2 characters)")
        );
        assert_eq!(sanitizer.value(&json!("short")), json!("short"));
        assert_eq!(sanitizer.value(&json!(123_456_789)), json!(123_456_789));
        assert_eq!(sanitizer.truncated(), 2);
    }

    #[test]
    fn values_nested_too_deeply_become_text() {
        let sanitizer = Sanitizer::new(Redaction::default(), 1000, 400);
        let nested = |levels| (0..levels).fold(json!("a\u{200b}b"), |value, _| json!([value]));
        let most = nested(MAX_LEVELS);
        assert!(sanitizer.value(&most).is_array());
        let more = nested(MAX_LEVELS + 1);
        let (open, close) = ("[".repeat(MAX_LEVELS + 1), "]".repeat(MAX_LEVELS + 1));
        assert_eq!(
            sanitizer.value(&more),
            json!(format!("{open}\"ab\"{close}"))
        );
        assert_eq!(sanitizer.truncated(), 0);
        let wide = json!([json!({"a": 1}), more]);
        assert!(sanitizer.value(&wide).is_string());
    }

    #[test]
    fn nested_keys_and_values_are_sanitized() {
        let value = json!({"k\u{200b}ey": ["v\u{202e}alue"]});
        assert_eq!(
            Sanitizer::new(Redaction::default(), 100, 400).value(&value),
            json!({"key": ["value"]})
        );
    }
}
