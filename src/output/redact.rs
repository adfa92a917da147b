//! What the operator keeps from every reader: values of named properties, and e-mail addresses.
//!
//! A redacted value is sought wherever else the same person shows it: in the name, in distinct ids, in other properties.
//! Names whose origin is unknown are withheld as well. Knows persons; knows nothing of what is made of them.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};

use regex_lite::Regex;
use serde_json::{Map, Value};

use posthog_client::{Person, Properties};

/// What stands in place of a redacted value.
const REDACTED: &str = "[redacted]";
/// What stands in place of an e-mail address.
const EMAIL: &str = "[email]";

/// Values shorter than this are sought only as a whole: within a longer text they would be found by chance.
const MIN_SUBSTRING_LEN: usize = 3;

/// Anything of the form x@y, in a longer text as well, quoted local parts and percent-encoded addresses included.
/// Wider than the standard: what is no address and looks like one may be lost, never the other way round.
static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const LOCAL: &str = r#"(?:"[^"\n]*"|[^\s@＠﹫"<>()\[\],;:=&?/\\|{}]+)"#;
    const DOMAIN: &str = r#"(?:\[[^\]\s]*\]|[^\s@＠﹫"'<>()\[\],;:=&?/\\|{}#!*]+)"#;
    Regex::new(&format!("{LOCAL}(?:@|＠|﹫|%40){DOMAIN}")).ok()
});

/// What is redacted; nothing by default. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Redaction(Option<Arc<Rules>>);

#[derive(Debug)]
struct Rules {
    /// Property keys in lower case, `*` standing for anything.
    keys: Vec<String>,
    emails: bool,
}

impl Redaction {
    /// Redacts the values of these properties (`*` is a wildcard, case does not matter) and, if wanted, every e-mail
    /// address.
    #[must_use]
    pub fn new(keys: &[String], emails: bool) -> Self {
        let keys: Vec<String> = keys
            .iter()
            .map(|key| key.trim().to_lowercase())
            .filter(|key| !key.is_empty())
            .collect();
        let any = emails || !keys.is_empty();
        Self(any.then(|| Arc::new(Rules { keys, emails })))
    }

    /// Whether the values of this property are redacted.
    #[must_use]
    pub fn redacts(&self, key: &str) -> bool {
        let keys = self.keys();
        // Most keys need no copy, and most servers redact nothing.
        !keys.is_empty() && {
            let key = key.to_lowercase();
            keys.iter().any(|pattern| matches(pattern, &key))
        }
    }

    /// Whether any property is redacted.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.keys().is_empty()
    }

    /// Whether e-mail addresses are masked.
    #[must_use]
    pub fn masks_emails(&self) -> bool {
        self.0.as_ref().is_some_and(|rules| rules.emails)
    }

    fn keys(&self) -> &[String] {
        self.0.as_ref().map_or(&[], |rules| &rules.keys)
    }

    /// Text without e-mail addresses, if they are masked.
    #[must_use]
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let may_hold_one = || text.contains(['@', '＠', '﹫']) || text.contains("%40");
        // Asked in this order: who masks nothing pays nothing, and the pattern is made for the first address.
        if self.masks_emails()
            && may_hold_one()
            && let Some(address) = &*ADDRESS
        {
            return address.replace_all(text, EMAIL);
        }
        Cow::Borrowed(text)
    }

    /// A property's value as it may be shown; the keys within it count as property keys.
    #[must_use]
    pub fn value(&self, key: &str, value: Value) -> Value {
        if !self.is_active() {
            return value;
        }
        if self.redacts(key) {
            return REDACTED.into();
        }
        self.nested(value)
    }

    fn nested(&self, value: Value) -> Value {
        match value {
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(key, value)| {
                    let value = self.value(&key, value);
                    (key, value)
                });
                Value::Object(fields.collect())
            }
            Value::Array(items) => {
                Value::Array(items.into_iter().map(|item| self.nested(item)).collect())
            }
            // Nobody knows the keys within.
            Value::String(text) if Properties::is_unread(&text) => REDACTED.into(),
            other => other,
        }
    }

    /// A person as it may be shown.
    #[must_use]
    pub fn person<'a>(&self, person: &'a Person) -> Cow<'a, Person> {
        if !self.is_active() {
            return Cow::Borrowed(person);
        }
        let values = values(person);
        let secrets = self.secrets_among(&values);
        let mut known = person.distinct_ids.clone();
        let mut properties = Map::new();
        for (key, value) in values {
            if !self.redacts(key) {
                known.push(text(&value));
            }
            let value = secrets.value(self.value(key, value));
            properties.insert(key.to_owned(), value);
        }
        // Field by field: whoever adds one has to say here how it may be shown.
        Cow::Owned(Person {
            uuid: person.uuid.clone(),
            name: self
                .name(&text(&person.name), &known, &secrets)
                .into_owned()
                .into(),
            distinct_ids: person
                .distinct_ids
                .iter()
                .map(|id| secrets.hide(id).into_owned())
                .collect(),
            properties: Properties::from(properties),
            created_at: person.created_at.clone(),
            last_seen_at: person.last_seen_at.clone(),
            value_at_data_point: person.value_at_data_point.clone(),
        })
    }

    /// A name, shown only where it is known to come from something that is shown.
    fn name<'a>(&self, name: &'a str, known: &[String], secrets: &RedactedTerms) -> Cow<'a, str> {
        if name.is_empty() || known.iter().any(|text| text == name) {
            secrets.hide(name)
        } else {
            Cow::Borrowed(REDACTED)
        }
    }

    /// A person's name where nothing else is known of the person.
    #[must_use]
    pub fn unattributed_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        let uuid = uuid::Uuid::try_parse(name).is_ok();
        if self.is_active() && !name.is_empty() && !uuid {
            Cow::Borrowed(REDACTED)
        } else {
            Cow::Borrowed(name)
        }
    }

    /// What must not be shown of a person, wherever it stands.
    #[must_use]
    pub fn secrets(&self, person: &Person) -> RedactedTerms {
        if !self.is_active() {
            return RedactedTerms::default();
        }
        self.secrets_among(&values(person))
    }

    fn secrets_among(&self, values: &[(&str, Value)]) -> RedactedTerms {
        let mut texts = Vec::new();
        for (key, value) in values {
            self.collect(key, value, false, &mut texts);
        }
        RedactedTerms::of(&texts)
    }

    fn collect(&self, key: &str, value: &Value, hidden: bool, texts: &mut Vec<String>) {
        let hidden = hidden || self.redacts(key);
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.collect(key, value, hidden, texts);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.collect("", item, hidden, texts);
                }
            }
            Value::String(_) | Value::Number(_) if hidden => texts.push(text(value)),
            _ => {}
        }
    }

    /// PostHog's CSV as it may be shown; as it is where nothing is redacted. The end of a file that was cut is left out
    /// with the record that it broke.
    #[must_use]
    pub fn csv<'a>(&self, csv: &'a str, cut: bool) -> Cow<'a, str> {
        if self.0.is_none() {
            return Cow::Borrowed(csv);
        }
        // What cannot be read cannot be redacted either, and is not shown.
        Cow::Owned(self.rewritten(csv, cut).unwrap_or_default())
    }

    fn rewritten(&self, text: &str, cut: bool) -> Option<String> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut writer = csv::WriterBuilder::new()
            .flexible(true)
            .from_writer(Vec::new());
        let header = reader.headers().ok()?.clone();
        writer
            .write_record(header.iter().map(|column| self.mask(column).into_owned()))
            .ok()?;
        let hidden: Vec<bool> = header
            .iter()
            .map(|column| self.hides_column(column))
            .collect();
        let mut records: Vec<csv::StringRecord> =
            reader.records().collect::<Result<_, _>>().ok()?;
        if cut {
            records.pop();
        }
        for record in &records {
            let cells = || record.iter().zip(&hidden);
            let texts: Vec<String> = cells()
                .filter(|(_, hidden)| **hidden)
                .map(|(cell, _)| cell.to_owned())
                .collect();
            let secrets = RedactedTerms::of(&texts);
            let known: Vec<String> = header
                .iter()
                .zip(cells())
                .filter(|(column, (_, hidden))| !**hidden && *column != "name")
                .map(|(_, (cell, _))| cell.to_owned())
                .collect();
            let row = record.iter().enumerate().map(|(index, cell)| {
                let hidden = hidden.get(index).copied().unwrap_or(self.is_active());
                let shown = match header.get(index) {
                    _ if hidden && !cell.is_empty() => Cow::Borrowed(REDACTED),
                    Some("name") if self.is_active() => self.name(cell, &known, &secrets),
                    _ => secrets.hide(cell),
                };
                self.mask(&shown).into_owned()
            });
            writer.write_record(row).ok()?;
        }
        String::from_utf8(writer.into_inner().ok()?).ok()
    }

    /// Whether a column holds values of a redacted property. Nested keys are joined by dots, and keys can hold dots.
    fn hides_column(&self, column: &str) -> bool {
        let Some(path) = column.strip_prefix("properties.") else {
            return false;
        };
        let ends = path.match_indices('.').map(|(end, _)| end);
        let starts = std::iter::once(0).chain(ends.clone().map(|dot| dot + 1));
        let ends: Vec<usize> = ends.chain([path.len()]).collect();
        starts
            .flat_map(|start| ends.iter().map(move |end| (start, *end)))
            .filter_map(|(start, end)| path.get(start..end))
            .any(|key| !key.is_empty() && self.redacts(key))
    }
}

/// Texts of one person that must not be shown.
#[derive(Default)]
pub struct RedactedTerms(Option<Regex>);

impl fmt::Debug for RedactedTerms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RedactedTerms")
    }
}

impl RedactedTerms {
    fn of(texts: &[String]) -> Self {
        let mut texts: Vec<&str> = texts
            .iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
            .collect();
        // The longer first: a part must not be replaced before the whole.
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
        // A pattern that is too large is as good as one that finds everything: nothing is shown rather than too much.
        Self(Regex::new(&pattern).or_else(|_| Regex::new("(?s).+")).ok())
    }

    /// Text without what must not be shown.
    #[must_use]
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.0 {
            Some(secret) => secret.replace_all(text, REDACTED),
            None => Cow::Borrowed(text),
        }
    }

    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.hide(&text).into_owned().into(),
            Value::Number(number) => match self.hide(&number.to_string()) {
                Cow::Borrowed(_) => number.into(),
                Cow::Owned(hidden) => hidden.into(),
            },
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(key, value)| (key, self.value(value)))
                .collect(),
            other => other,
        }
    }
}

/// A person's properties, read.
fn values(person: &Person) -> Vec<(&str, Value)> {
    let entries = person.properties.entries();
    entries
        .map(|(key, json)| (key, Properties::value(json)))
        .collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a pattern with `*` fits a whole text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match text.split_once(part) {
            Some((_, rest)) => text = rest,
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn person(json: &Value) -> Person {
        serde_json::from_str(&json.to_string()).unwrap()
    }

    fn redaction(keys: &[&str], emails: bool) -> Redaction {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        Redaction::new(&keys, emails)
    }

    #[test]
    fn keys_are_patterns() {
        let redaction = redaction(&["email", "*phone*", "addr*ss"], false);
        for key in [
            "email",
            "Email",
            "phone",
            "home_phone_2",
            "address",
            "addr:ss",
        ] {
            assert!(redaction.redacts(key), "{key}");
        }
        for key in ["e-mail", "emails", "plan", "addresses"] {
            assert!(!redaction.redacts(key), "{key}");
        }
        assert!(self::redaction(&["*"], false).redacts("anything"));
        assert!(!Redaction::default().redacts("email"));
    }

    #[test]
    fn addresses_are_masked_wherever_they_stand() {
        let redaction = redaction(&[], true);
        for (text, shown) in [
            ("ada@example.com", "[email]"),
            ("Ada <ada+x@mail.example.com>", "Ada <[email]>"),
            ("mailto:o'brien@x.ie, and more", "mailto:[email], and more"),
            (
                "https://x/?email=ada%40example.com&a=1",
                "https://x/?email=[email]&a=1",
            ),
            ("\"ada lovelace\"@example.com", "[email]"),
            ("ada@[127.0.0.1]", "[email]"),
            ("größe@bücher.example", "[email]"),
            ("ada＠example.com", "[email]"),
            ("@handle and 3 @ 5", "@handle and 3 @ 5"),
        ] {
            assert_eq!(redaction.mask(text), shown);
        }
        assert_eq!(self::redaction(&["x"], false).mask("a@b.c"), "a@b.c");
    }

    #[test]
    fn a_redacted_value_is_found_in_everything_else_of_the_person() {
        let person = person(&json!({
            "uuid": "u", "name": "ada@example.com", "distinct_ids": ["ADA@example.com", "user-1"],
            "properties": {"email": "ada@example.com", "url": "/?e=ada%40example%2Ecom", "nested": {"email": 5, "plan": "pro"},
                "note": "is ada@example.com"},
        }));
        let redaction = redaction(&["email"], false);
        let shown = redaction.person(&person);
        assert_eq!(shown.name, json!(REDACTED));
        assert_eq!(shown.distinct_ids, [REDACTED, "user-1"]);
        let properties: Vec<String> = shown
            .properties
            .entries()
            .map(|(key, json)| format!("{key}={json}"))
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
    fn a_name_of_unknown_origin_is_withheld() {
        let named = |name: &str| {
            person(
                &json!({"uuid": "u", "name": name, "distinct_ids": ["id-1"], "properties": {"name": "Ada"}}),
            )
        };
        let redaction = redaction(&["email"], false);
        for (name, shown) in [
            ("Ada", "Ada"),
            ("id-1", "id-1"),
            ("somebody", REDACTED),
            ("", ""),
        ] {
            assert_eq!(redaction.person(&named(name)).name, json!(shown));
        }
    }

    #[test]
    fn csv_is_redacted_by_column() {
        let csv = "distinct_ids.0,name,properties.address.email,properties.email,properties.plan\r\n\
                   a@x.org,a@x.org,b@x.org,a@x.org,\"pro, a@x.org\"\r\nrest,\"of";
        let redacted = redaction(&["email"], false).csv(csv, true).into_owned();
        assert_eq!(
            redacted,
            "distinct_ids.0,name,properties.address.email,properties.email,properties.plan\n\
             [redacted],[redacted],[redacted],[redacted],\"pro, [redacted]\"\n"
        );
        let masked = redaction(&[], true).csv(csv, true).into_owned();
        assert!(
            !masked.contains('@') && masked.contains("[email]"),
            "{masked}"
        );
        assert_eq!(Redaction::default().csv(csv, false), csv);
    }
}
