//! The rules of redaction: which properties are redacted, and whether e-mail addresses are masked.

use std::borrow::Cow;
use std::sync::Arc;

use posthog_client::Properties;
use serde_json::{Map, Value};

use super::emails;
use super::normal_form::NormalForm;
use super::spans::TOO_LARGE;
use super::terms::RedactedTerms;
use super::texts::{insert_renamed, map_texts};

/// Replaces a redacted value.
pub(in crate::output) const REDACTED: &str = "[redacted]";
/// Replaces an e-mail address.
pub(super) const EMAIL: &str = "[email]";

/// Whether a text stands in place of a value that is not shown.
#[must_use]
pub fn is_withheld(text: &str) -> bool {
    [REDACTED, EMAIL, TOO_LARGE].contains(&text)
}

/// Longer keys, and keys of more parts, are redacted unread: comparing them costs too much.
const MAX_KEY_BYTES: usize = 1000;
const MAX_KEY_PARTS: usize = 64;
/// Outer keys that are remembered of a nested one.
const MAX_OUTER_KEYS: usize = 8;

/// What is redacted; nothing by default. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    rules: Option<Arc<Rules>>,
    /// What is withheld besides, because it is known of the person that a result is about.
    terms: Option<Arc<RedactedTerms>>,
}

#[derive(Debug)]
struct Rules {
    /// Property keys in normal form, `*` standing for anything.
    keys: Vec<String>,
    emails: bool,
}

impl Redaction {
    /// Redacts the values of these properties (`*` is a wildcard, spelling is ignored as in the normal form) and, with
    /// `emails`, masks every e-mail address.
    #[must_use]
    pub fn new(keys: &[String], emails: bool) -> Self {
        let keys: Vec<String> = keys
            .iter()
            .map(|key| normal(key))
            .filter(|key| !key.is_empty())
            .collect();
        let any = emails || !keys.is_empty();
        Self {
            rules: any.then(|| Arc::new(Rules { keys, emails })),
            terms: None,
        }
    }

    /// The same for a result about a person of whom these texts are withheld.
    #[must_use]
    pub fn knowing(&self, terms: RedactedTerms) -> Self {
        Self {
            rules: self.rules.clone(),
            terms: Some(Arc::new(terms)),
        }
    }

    /// Whether the person that a result is about is known.
    #[must_use]
    pub fn knows_person(&self) -> bool {
        self.terms.is_some()
    }

    /// Whether the values of this property are redacted. Nested keys are joined by dots, and keys can hold dots: a property
    /// is redacted if any part of its path is, with or without the dollar sign of PostHog's own properties.
    #[must_use]
    pub fn redacts(&self, path: &str) -> bool {
        let keys = self.keys();
        // Most servers redact nothing; then no key is copied.
        if keys.is_empty() {
            return false;
        }
        if path.len() > MAX_KEY_BYTES {
            return true;
        }
        let path = normal(path);
        let dots = || path.match_indices('.').map(|(at, _)| at);
        if dots().nth(MAX_KEY_PARTS).is_some() {
            return true;
        }
        let starts = std::iter::once(0).chain(dots().map(|dot| dot + 1));
        starts
            .flat_map(|start| dots().chain([path.len()]).map(move |end| (start, end)))
            .filter_map(|(start, end)| path.get(start..end))
            .filter(|part| !part.is_empty())
            .any(|part| {
                let own = part.strip_prefix('$').unwrap_or(part);
                keys.iter()
                    .any(|key| matches(key, part) || matches(key, own))
            })
    }

    /// What is withheld, to tell it from other settings.
    #[must_use]
    pub fn settings(&self) -> String {
        format!("{:?} {}", self.keys(), self.masks_emails())
    }

    /// Whether any property is redacted.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.keys().is_empty()
    }

    /// Whether e-mail addresses are masked.
    #[must_use]
    pub fn masks_emails(&self) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.emails)
    }

    /// Whether nothing is redacted at all.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_none() && self.terms.is_none()
    }

    fn keys(&self) -> &[String] {
        self.rules.as_ref().map_or(&[], |rules| &rules.keys)
    }

    /// Text without e-mail addresses, if they are masked, and without what is withheld of the person it is about.
    #[must_use]
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let text = match &self.terms {
            Some(terms) => terms.redact(text),
            None => Cow::Borrowed(text),
        };
        if !self.masks_emails() {
            return text;
        }
        match text {
            Cow::Borrowed(text) => emails::mask(text),
            Cow::Owned(text) => Cow::Owned(emails::mask(&text).into_owned()),
        }
    }

    /// The same for a field that users do not fill. Where properties are redacted, it is shown only if it looks like that.
    pub(in crate::output) fn machine<'a>(
        &self,
        text: &'a str,
        is_expected: fn(char) -> bool,
    ) -> Cow<'a, str> {
        if self.is_active() && !text.chars().all(is_expected) {
            return Cow::Borrowed(REDACTED);
        }
        self.mask(text)
    }

    /// A value without e-mail addresses, if they are masked.
    pub(super) fn masked(&self, value: Value) -> Value {
        map_texts(value, &|text| self.mask(text).into_owned(), &Value::Number)
    }

    /// A date or a time.
    pub(in crate::output) fn time<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.machine(text, |character| {
            character.is_ascii_digit()
                || matches!(character, 'T' | 'Z' | ' ' | ':' | '.' | '+' | '-')
        })
    }

    /// Redacts a property's value; nested keys count as property keys.
    pub(in crate::output) fn value(&self, path: &str, value: Value) -> Value {
        if !self.is_active() {
            return value;
        }
        let value = self.without_redacted(path, value);
        match &self.terms {
            Some(terms) => terms.redact_value(value),
            None => value,
        }
    }

    fn without_redacted(&self, path: &str, value: Value) -> Value {
        if self.redacts(path) {
            return REDACTED.into();
        }
        match value {
            Value::Object(fields) => {
                let mut shown = Map::new();
                for (key, value) in fields {
                    let value = self.without_redacted(&nested_path(path, &key), value);
                    insert_renamed(&mut shown, key, value);
                }
                Value::Object(shown)
            }
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.without_redacted(path, item))
                .collect(),
            // Its keys are unknown, so any of them could be a redacted one.
            Value::String(text) if Properties::is_undecoded(&text) => REDACTED.into(),
            Value::String(text) => self.without_parameters(text).into(),
            other => other,
        }
    }

    /// Redacts what a text that is JSON or a URL holds of redacted properties.
    fn without_parameters(&self, text: String) -> String {
        let texts = self.texts_within(&text);
        if texts.is_empty() {
            return text;
        }
        RedactedTerms::new(texts).redact(&text).into_owned()
    }
}

/// The path of a nested key.
pub(super) fn nested_path(path: &str, key: &str) -> String {
    let outer = match path.rmatch_indices('.').nth(MAX_OUTER_KEYS - 1) {
        Some((dot, _)) => path.get(dot + 1..).unwrap_or_default(),
        None => path,
    };
    format!("{outer}.{key}")
}

fn normal(key: &str) -> String {
    // Most keys hold nothing to decode or to fold.
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$');
    if key.bytes().all(is_plain) {
        return key.to_ascii_lowercase();
    }
    NormalForm::new(key).text()
}

/// Whether a pattern with `*` matches a whole text.
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

    fn redaction(keys: &[&str], emails: bool) -> Redaction {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        Redaction::new(&keys, emails)
    }

    #[test]
    fn keys_are_patterns() {
        let redaction = redaction(&["email", "*phone*", "addr*ss", "Contact.Name"], false);
        for key in [
            "email",
            "Email",
            "$email",
            "ＥＭＡＩＬ",
            "e\u{200b}mail",
            "contact.email",
            "email.work",
            "traits.Contact.Name.first",
            "phone",
            "home_phone_2",
            "address",
            "addr:ss",
            &"x".repeat(1001),
            &"x.".repeat(400),
        ] {
            assert!(redaction.redacts(key), "{key}");
        }
        for key in [
            "e-mail",
            "emails",
            "plan",
            "addresses",
            "contact",
            "name",
            "contact.first.name",
            "",
            ".",
        ] {
            assert!(!redaction.redacts(key), "{key}");
        }
        assert!(self::redaction(&["*"], false).redacts("anything"));
        assert!(!Redaction::default().redacts("email"));
    }

    #[test]
    fn nested_keys_count_as_properties() {
        let redaction = redaction(&["email", "contact.name"], false);
        for (value, shown) in [
            (
                json!({"a": {"email": 1, "b": 2}}),
                json!({"a": {"email": REDACTED, "b": 2}}),
            ),
            (
                json!({"contact": {"name": "Ada", "x": [{"$Email": 5}]}, "name": 1}),
                json!({"contact": {"name": REDACTED, "x": [{"$Email": REDACTED}]}, "name": 1}),
            ),
            (
                json!(r#"{"contact": {"email": "Ada-L"}}"#),
                json!(r#"{"contact": {"email": "[redacted]"}}"#),
            ),
            (
                json!("https://x/?a=1&email=other%40x.org&b=2"),
                json!("https://x/?a=1&email=[redacted]&b=2"),
            ),
        ] {
            assert_eq!(redaction.value("traits", value), shown);
        }
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
            (
                "https://x/?email=ada%2540example.com&a=1",
                "https://x/?email=[email]&a=1",
            ),
            (
                "https://x/?email=a%2Fb%3Dc%26d%40example.com&a=1",
                "https://x/?email=[email]&a=1",
            ),
            (
                "https://y/?to=https%3A%2F%2Fx%2F%3Femail%3Da%252Fb%2540x.org%26z%3D1",
                "https://y/?to=https%3A%2F%2Fx%2F%3Femail%3D[email]%26z%3D1",
            ),
            (
                "https://x/?b=1&email=a/b&c=d@example.com&a=1",
                "https://x/?b=[email]&a=1",
            ),
            ("https://x/u/ada@x.org/", "https://x/[email]/"),
            ("https://ada@example.com", "https://[email]"),
            (
                "https://x/?email=a/b&#64;example.com",
                "https://x/?email=[email]",
            ),
            ("\"ada lovelace\"@example.com", "[email]"),
            ("ada@[127.0.0.1]", "[email]"),
            ("größe@bücher.example", "[email]"),
            ("ada＠example.com", "[email]"),
            ("ada&#64;example.com, ada&#x40;x.org", "[email], [email]"),
            ("ada&commat;example.com", "[email]"),
            ("ada&amp;commat;example&period;com", "[email]"),
            ("&lt;ada&#64example.com&gt;", "&lt;[email]&gt;"),
            (r"ada\u0040example.com", "[email]"),
            (
                r#"{"email":"ada\\u0040example.com"}"#,
                r#"{"email":"[email]"}"#,
            ),
            (r"ada\x40example.com ada\u{40}x.org", "[email] [email]"),
            ("ada%u0040example.com", "[email]"),
            ("ada%EF%BC%A0example.com", "[email]"),
            ("ada%25252540example.com", "[email]"),
            ("see ada%2525252540example.com!", "see [email]"),
            ("customer/department=shipping@example.com", "[email]"),
            ("a&b?c{d}|e=f@example.com.", "[email]"),
            ("ada\u{200b}@exam\u{ad}ple.com", "[email]"),
            ("@handle and 3 @ 5", "@handle and 3 @ 5"),
            ("100% & more; \\o/", "100% & more; \\o/"),
        ] {
            assert_eq!(redaction.mask(text), shown, "{text}");
        }
        assert_eq!(self::redaction(&["x"], false).mask("a@b.c"), "a@b.c");
    }
}
