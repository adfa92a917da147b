//! The one way out for text that strangers wrote: cleaned, redacted, and no longer than wanted.

use std::borrow::Cow;
use std::cell::Cell;

use serde_json::Value;

use super::redact::Redaction;

/// A name, a key or a distinct id is never shown longer than this, in characters.
const MAX_NAME_CHARS: usize = 400;

/// A value within which values are nested more deeply than this is shown as text: readers of JSON have their limits,
/// and an answer that is beyond them is lost as a whole.
const MAX_LEVELS: usize = 32;

/// Cleans, redacts and shortens what is shown, and counts what it shortened.
#[derive(Debug)]
pub struct Sanitizer {
    redaction: Redaction,
    longest_value: usize,
    longest_name: usize,
    shortened: Cell<usize>,
}

impl Sanitizer {
    /// A sanitizer that shortens values and names to so many characters.
    #[must_use]
    pub(super) fn new(redaction: Redaction, longest_value: usize, longest_name: usize) -> Self {
        Self {
            redaction,
            longest_value,
            longest_name,
            shortened: Cell::new(0),
        }
    }

    /// A sanitizer for names alone: values have no room.
    #[must_use]
    pub(super) fn names_only(redaction: Redaction) -> Self {
        Self::new(redaction, 0, MAX_NAME_CHARS)
    }

    /// What is withheld.
    #[must_use]
    pub fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// How many values were shortened so far.
    #[must_use]
    pub fn shortened(&self) -> usize {
        self.shortened.get()
    }

    /// Whether there is no room for property values at all.
    #[must_use]
    pub fn values_omitted(&self) -> bool {
        self.longest_value == 0
    }

    /// A name, a key or a distinct id.
    #[must_use]
    pub fn name(&self, text: &str) -> String {
        self.shorten(&self.safe(text), self.longest_name)
    }

    /// Cleaned and masked.
    fn safe<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match clean(text) {
            Cow::Borrowed(text) => self.redaction.mask(text),
            Cow::Owned(text) => self.redaction.mask(&text).into_owned().into(),
        }
    }

    /// The value of a person's property.
    #[must_use]
    pub fn property(&self, key: &str, value: Value) -> Value {
        self.value(&self.redaction.value(key, value))
    }

    /// A property's value. What is too long becomes its shortened text, and what is nested too deeply its text.
    #[must_use]
    pub fn value(&self, value: &Value) -> Value {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
            Value::String(text) => {
                Value::String(self.shorten(&self.safe(text), self.longest_value))
            }
            Value::Array(_) | Value::Object(_) => {
                let cleaned = self.cleaned(value);
                let text = cleaned.to_string();
                let fits = text.chars().nth(self.longest_value).is_none();
                if fits && !is_deeper(value, MAX_LEVELS) {
                    cleaned
                } else {
                    Value::String(self.shorten(&text, self.longest_value))
                }
            }
        }
    }

    /// Whatever PostHog displays as a name: text, or the value of the property that the project displays.
    #[must_use]
    pub fn display(&self, value: &Value) -> String {
        match value {
            Value::Null => String::new(),
            Value::String(text) => self.name(text),
            other => self.name(&other.to_string()),
        }
    }

    fn cleaned(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.safe(text).into_owned()),
            Value::Array(items) => items.iter().map(|item| self.cleaned(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| (self.safe(key).into_owned(), self.cleaned(value)))
                .collect(),
            other => other.clone(),
        }
    }

    fn shorten(&self, text: &str, most: usize) -> String {
        if text.len() <= most {
            // There are no more characters than bytes.
            return text.to_owned();
        }
        match text.char_indices().nth(most) {
            None => text.to_owned(),
            Some((end, _)) => {
                self.shortened.set(self.shortened.get() + 1);
                let (kept, rest) = text.split_at(end);
                format!("{kept}… (+{} characters)", rest.chars().count())
            }
        }
    }
}

/// Whether there are more levels of arrays and objects than so many.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let mut within: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(fields) => Box::new(fields.values()),
        _ => return false,
    };
    levels == 0 || within.any(|value| is_deeper(value, levels - 1))
}

/// Removes what a reader cannot see but a model reads: control, bidirectional, zero-width and tag characters.
///
/// Line breaks and tabs become a space, so that no value can begin a line or a cell of its own.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    filtered(text, false)
}

/// As [`clean`], but lines stay lines: for text that is a file of its own.
#[must_use]
pub fn clean_lines(text: &str) -> Cow<'_, str> {
    filtered(text, true)
}

fn filtered(text: &str, keep_lines: bool) -> Cow<'_, str> {
    let fate = |character: char| match character {
        '\n' if keep_lines => Some('\n'),
        '\r' if keep_lines => None,
        '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        other if is_invisible(other) => None,
        other => Some(other),
    };
    // Most text is printable ASCII, and then nothing is copied.
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        || text
            .chars()
            .all(|character| fate(character) == Some(character))
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter_map(fate).collect())
}

/// Characters without a shape of their own that change how the rest is read.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Soft hyphen, combining joiner, Arabic letter mark, Mongolian separators.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}'
            // Fillers that show as nothing.
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
            // Zero-width, bidirectional marks, embeddings, isolates; invisible operators.
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // Variation selectors, the byte order mark, interlinear annotation.
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            // Shorthand and musical formatting.
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            // Tags and the other selectors: a whole hidden alphabet.
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hidden_characters_are_removed_and_breaks_become_spaces() {
        let hidden = "a\u{200b}b\u{202e}c\u{e0041}d\u{0}e\u{feff}f\u{2066}g\u{ad}h\u{fe0f}i";
        assert_eq!(clean(hidden), "abcdefghi");
        assert_eq!(
            clean("one\r\ntwo\tthree\u{2028}four"),
            "one  two three four"
        );
        assert_eq!(clean_lines("one\r\ntwo"), "one\ntwo");
        assert!(matches!(clean("größe 😀"), Cow::Borrowed(_)));
    }

    #[test]
    fn long_values_are_marked_and_counted() {
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
        assert_eq!(sanitizer.shortened(), 2);
    }

    #[test]
    fn what_is_nested_too_deeply_becomes_its_text() {
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
        assert_eq!(sanitizer.shortened(), 0);
        let wide = json!([json!({"a": 1}), more]);
        assert!(sanitizer.value(&wide).is_string());
    }

    #[test]
    fn nested_keys_and_values_are_cleaned() {
        let value = json!({"k\u{200b}ey": ["v\u{202e}alue"]});
        assert_eq!(
            Sanitizer::new(Redaction::default(), 100, 400).value(&value),
            json!({"key": ["value"]})
        );
    }
}
