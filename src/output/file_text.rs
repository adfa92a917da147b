//! Text for files: redacted and masked as in tool results, and neither truncated nor altered.
//!
//! What a reader would not see is escaped in JSON, so that a file is exact and still safe to read; in CSV it is removed, and
//! no cell is a formula.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use posthog_client::{LoggedEvent, Person, Properties, Untrusted};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::characters::is_invisible;
use super::csv::cell;
use super::redact::{MAX_TERM_BYTES, Redaction};

/// Redacts what is written to files about one person.
#[derive(Debug, Clone)]
pub struct FileRedactor {
    redaction: Redaction,
}

/// What is withheld of a person because of values that the person had, collected from events.
///
/// It can be serialized to go on with it, and is as secret as what is withheld.
#[derive(Default, Serialize, Deserialize)]
pub struct EarlierTerms {
    texts: HashSet<String>,
    bytes: usize,
}

impl EarlierTerms {
    /// Adds those of an event. Too many of them withhold every text, so that no more than that are kept.
    pub fn add(&mut self, redaction: &Redaction, event: &LoggedEvent) {
        if self.bytes > MAX_TERM_BYTES {
            return;
        }
        self.extend(redaction.texts_of(&properties_of(event)));
    }

    /// Adds those of the person today, and returns whether they were known.
    pub fn add_person(&mut self, redaction: &Redaction, person: &Person) -> bool {
        if !redaction.is_active() || self.bytes > MAX_TERM_BYTES {
            return true;
        }
        let known = self.texts.len();
        self.extend(redaction.texts_of_person(person));
        self.texts.len() == known
    }

    fn extend(&mut self, texts: Vec<String>) {
        for text in texts {
            let bytes = text.len();
            if self.texts.insert(text) {
                self.bytes += bytes;
            }
        }
    }
}

/// An event as files show it.
#[derive(Debug)]
pub struct FileEvent {
    /// The time, as PostHog wrote it.
    pub timestamp: String,
    /// The name.
    pub event: String,
    /// The distinct id that it was sent with.
    pub distinct_id: String,
    /// All properties.
    pub properties: Value,
}

impl FileRedactor {
    /// For what is known of a person, and was at other times.
    #[must_use]
    pub fn new(redaction: &Redaction, person: &Person, earlier: &EarlierTerms) -> Self {
        let redaction = if redaction.is_active() {
            redaction.knowing(redaction.terms_and(person, earlier.texts.iter().cloned()))
        } else {
            redaction.clone()
        };
        Self { redaction }
    }

    /// Whether anything is redacted or masked.
    #[must_use]
    pub fn withholds(&self) -> bool {
        self.redaction.is_active() || self.redaction.masks_emails()
    }

    /// A name, a distinct id, an address.
    #[must_use]
    pub fn text<T: AsRef<str>>(&self, text: &Untrusted<T>) -> String {
        let text = text.expose_untrusted().as_ref();
        self.redaction.mask(text).into_owned()
    }

    /// The name of another person, of whom nothing is known.
    #[must_use]
    pub fn name(&self, name: &Untrusted<String>) -> String {
        let name = self.redaction.unattributed_name(name);
        self.redaction.mask(name.expose_untrusted()).into_owned()
    }

    /// A date or a time.
    #[must_use]
    pub fn time(&self, time: &Untrusted<String>) -> String {
        self.redaction.time(time.expose_untrusted()).into_owned()
    }

    /// A word that PostHog's code chose.
    #[must_use]
    pub fn word(&self, word: &Untrusted<String>) -> String {
        let expected =
            |character: char| character.is_ascii_alphanumeric() || "_-:.".contains(character);
        self.redaction
            .machine(word.expose_untrusted(), expected)
            .into_owned()
    }

    /// A value that belongs to the person, such as one that was changed.
    #[must_use]
    pub fn value(&self, key: &str, value: &Untrusted<Value>) -> Value {
        self.redaction.whole(key, value.expose_untrusted().clone())
    }

    /// All that is known of a person.
    #[must_use]
    pub fn person(&self, person: &Person) -> Value {
        let person = self.redaction.person(person);
        let time = |time: &Option<Untrusted<String>>| {
            time.as_ref().map(Untrusted::expose_untrusted).cloned()
        };
        let ids = person.distinct_ids.iter().map(Untrusted::expose_untrusted);
        json!({
            "uuid": person.uuid,
            "name": person.name.expose_untrusted(),
            "distinct_ids": ids.collect::<Vec<_>>(),
            "created_at": time(&person.created_at),
            "last_seen_at": time(&person.last_seen_at),
            "properties": properties(&person.properties),
        })
    }

    /// An event of the person. What is redacted of the event itself is found in all of it, as what is of the person.
    #[must_use]
    pub fn event(&self, event: &LoggedEvent) -> FileEvent {
        let texts = [&event.name, &event.distinct_id].map(|text| text.expose_untrusted().as_str());
        let ([name, distinct_id], properties) = self.redaction.event(texts, properties_of(event));
        FileEvent {
            timestamp: self.time(&event.timestamp),
            event: name,
            distinct_id,
            properties,
        }
    }

    /// A cell of a CSV, of text that is redacted already.
    #[must_use]
    pub fn cell(&self, text: &str) -> String {
        cell(text, &self.redaction)
    }
}

fn properties_of(event: &LoggedEvent) -> Value {
    let json = event.properties.expose_untrusted().as_str();
    Properties::value(Untrusted::from(json)).expose_untrusted_owned()
}

fn properties(properties: &Properties) -> Map<String, Value> {
    let entries = properties.entries();
    entries
        .map(|(key, json)| {
            let value = Properties::value(json).expose_untrusted_owned();
            (key.expose_untrusted().to_string(), value)
        })
        .collect()
}

/// JSON in which what a reader would not see is escaped. It occurs in texts alone, so that the JSON stays what it is.
#[must_use]
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let is_hidden = |character: char| character != '\n' && is_invisible(character);
    let plain = json
        .bytes()
        .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte));
    if plain || !json.contains(is_hidden) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if !is_hidden(character) {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped_and_nothing_is_lost() {
        let value = json!({"k\u{200b}ey": ["a\u{202e}b", "\u{e0041}", "line\nbreak", "größe"]});
        let written = serde_json::to_string_pretty(&value).unwrap();
        let visible = visible_json(&written);
        assert!(
            visible.contains(r"k\u200bey") && visible.contains(r"\udb40\udc41"),
            "{visible}"
        );
        assert!(!visible.contains(['\u{200b}', '\u{202e}', '\u{e0041}']));
        assert_eq!(serde_json::from_str::<Value>(&visible).unwrap(), value);
    }
}
