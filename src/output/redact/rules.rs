//! The rules of redaction: which properties are redacted, and whether e-mail addresses are masked.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use posthog_client::Properties;
use regex_lite::Regex;
use serde_json::Value;

/// Replaces a redacted value.
pub(in crate::output) const REDACTED: &str = "[redacted]";
/// Replaces an e-mail address.
const EMAIL: &str = "[email]";

/// Anything of the form x@y, also within a longer text, with quoted local parts and percent-encoded addresses.
///
/// Wider than the standard: text that looks like an address may be masked by mistake, an address never remains.
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
    /// Redacts the values of these properties (`*` is a wildcard, case is ignored) and, with `emails`, masks every e-mail
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
        // Most servers redact nothing; then no key is copied.
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
        // In this order, so that the pattern is compiled for the first address only.
        if self.masks_emails()
            && may_hold_one()
            && let Some(address) = &*ADDRESS
        {
            return address.replace_all(text, EMAIL);
        }
        Cow::Borrowed(text)
    }

    /// Redacts a property's value; nested keys count as property keys.
    pub(in crate::output) fn value(&self, key: &str, value: Value) -> Value {
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
            // Its keys are unknown, so any of them could be a redacted one.
            Value::String(text) if Properties::is_undecoded(&text) => REDACTED.into(),
            other => other,
        }
    }
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
}
