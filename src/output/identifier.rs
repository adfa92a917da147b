//! Identifiers as they are shown and given back: distinct ids and property names.
//!
//! One that holds characters that a reader does not see is shown quoted, with escapes, so that it differs from another that
//! looks the same, and can be given back in that form.

use std::fmt::Write;

use serde_json::Value;

use super::characters::is_invisible;

/// An identifier as a JSON string in which every character is visible.
pub(super) fn escape(identifier: &str) -> String {
    let mut escaped = String::new();
    for character in Value::from(identifier).to_string().chars() {
        if is_invisible(character) || matches!(character, '\u{2028}' | '\u{2029}') {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// What an identifier stands for if it was given as results show it, quoted. It can as well be meant literally.
#[must_use]
pub fn unescape(given: &str) -> Option<String> {
    if given.len() < 2 || !given.starts_with('"') {
        return None;
    }
    serde_json::from_str(given).ok()
}

/// An identifier in quotes, for a sentence: what end users wrote must not continue it.
#[must_use]
pub fn quoted(identifier: &str) -> String {
    if unescape(identifier).is_some() {
        identifier.to_owned()
    } else {
        escape(identifier)
    }
}

/// Appends an identifier, quoted unless it is already, where it would be ambiguous among others.
pub(super) fn write_identifier(out: &mut String, identifier: &str) {
    let ambiguous = identifier.is_empty()
        || identifier
            .bytes()
            .any(|byte| matches!(byte, b',' | b'"' | b'\t' | b'\n'))
        || identifier.starts_with('…')
        || identifier.trim() != identifier;
    if ambiguous && unescape(identifier).is_none() {
        out.push_str(&escape(identifier));
    } else {
        out.push_str(identifier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_identifier_is_visible_and_can_be_given_back() {
        for (identifier, shown) in [
            ("ann@example.com\u{200b}", r#""ann@example.com\u200b""#),
            ("a\nb\t\"c\"\\", r#""a\nb\t\"c\"\\""#),
            ("\u{feff}x\u{e0041}\u{85}", r#""\ufeffx\udb40\udc41\u0085""#),
        ] {
            assert_eq!(escape(identifier), shown);
            assert_eq!(unescape(shown).as_deref(), Some(identifier));
            let mut written = String::new();
            write_identifier(&mut written, shown);
            assert_eq!(written, shown);
        }
        for plain in ["ann", "", "\"", "\"a", "a\"b\""] {
            assert_eq!(unescape(plain), None, "{plain}");
        }
    }
}
