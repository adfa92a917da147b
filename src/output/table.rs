//! Rows as text: a header, then a line for each row, with cells separated by tabs.
//!
//! Numbers, true, false, null, lists and objects are JSON; text that looks like JSON is quoted, other text is not. An empty
//! cell has no value.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use super::identifier::write_identifier;

/// A row, as fields and as cells.
pub trait Row: Serialize + Sized {
    /// The columns that these rows need.
    fn header(rows: &[Self]) -> Vec<String>;

    /// Writes one cell for each column.
    fn cells(&self, header: &[String], cells: &mut Cells<'_>);
}

/// The line being written.
pub struct Cells<'a> {
    text: &'a mut String,
    first: bool,
}

impl Cells<'_> {
    fn next(&mut self) {
        if !self.first {
            self.text.push('\t');
        }
        self.first = false;
    }

    /// A cell without a value.
    pub fn empty(&mut self) {
        self.next();
    }

    /// Text.
    pub fn text(&mut self, text: &str) {
        self.next();
        write_text(self.text, text);
    }

    /// A distinct id or a property name.
    pub fn identifier(&mut self, identifier: &str) {
        self.next();
        write_identifier(self.text, identifier);
    }

    /// Text that is no JSON even if it looks like it.
    pub fn plain(&mut self, text: &str) {
        self.next();
        if text.bytes().any(|byte| matches!(byte, b'\t' | b'\n')) || text.is_empty() {
            write_quoted(self.text, text);
        } else {
            self.text.push_str(text);
        }
    }

    /// Text or nothing.
    pub fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.empty(),
        }
    }

    /// A number.
    pub fn number(&mut self, number: impl std::fmt::Display) {
        self.next();
        let _ = write!(self.text, "{number}");
    }

    /// Any value.
    pub fn value(&mut self, value: &Value) {
        self.next();
        write_value(self.text, value);
    }

    /// A comma-separated list of names, and their total where these are not all.
    pub fn list<'b>(&mut self, items: impl IntoIterator<Item = &'b String>, of: Option<&str>) {
        self.next();
        write_list(self.text, items);
        if let Some(of) = of {
            let _ = write!(self.text, ", … ({of})");
        }
    }
}

/// Renders rows as a table; without rows, it is empty.
pub(super) fn table<R: Row>(rows: &[R]) -> String {
    let mut text = String::new();
    if rows.is_empty() {
        return text;
    }
    let header = R::header(rows);
    let mut cells = Cells {
        text: &mut text,
        first: true,
    };
    for column in &header {
        cells.identifier(column);
    }
    text.push('\n');
    for row in rows {
        let mut cells = Cells {
            text: &mut text,
            first: true,
        };
        row.cells(&header, &mut cells);
        text.push('\n');
    }
    text
}

/// Writes text as a cell or after `key: `.
pub(super) fn write_text(out: &mut String, text: &str) {
    if needs_quotes(text) {
        write_quoted(out, text);
    } else {
        out.push_str(text);
    }
}

pub(super) fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => write_text(out, text),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// Appends identifiers, separated by commas and quoted where that would be ambiguous.
pub fn write_list<'a>(out: &mut String, items: impl IntoIterator<Item = &'a String>) {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_identifier(out, item);
    }
}

/// Appends the notes, a line each.
pub fn write_notes(text: &mut String, notes: &[String]) {
    for note in notes {
        text.push_str(note);
        text.push('\n');
    }
}

fn write_quoted(out: &mut String, text: &str) {
    out.push_str(&Value::from(text).to_string());
}

/// Whether text looks like an empty cell or like JSON.
fn needs_quotes(text: &str) -> bool {
    match text.as_bytes() {
        [] | [b'"' | b'[' | b'{' | b' ', ..] | [.., b' '] => true,
        [b'-' | b'0'..=b'9', ..] => serde_json::from_str::<serde_json::Number>(text).is_ok(),
        bytes => {
            matches!(text, "null" | "true" | "false")
                || bytes.iter().any(|byte| matches!(byte, b'\t' | b'\n'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_and_json_are_distinguished() {
        let cell = |value: Value| {
            let mut text = String::new();
            write_value(&mut text, &value);
            text
        };
        for (value, shown) in [
            (json!("plain text"), "plain text"),
            (json!("2026-01-31T12:00:00Z"), "2026-01-31T12:00:00Z"),
            (json!(12), "12"),
            (json!("12"), "\"12\""),
            (json!(null), "null"),
            (json!("null"), "\"null\""),
            (json!(""), "\"\""),
            (json!("[1]"), "\"[1]\""),
            (json!([1, "a"]), "[1,\"a\"]"),
            (json!("a\tb"), "\"a\\tb\""),
        ] {
            assert_eq!(cell(value), shown);
        }
        let mut list = String::new();
        write_list(
            &mut list,
            &["a", "b,c", "", "… (9 in all)"].map(str::to_owned),
        );
        assert_eq!(list, "a, \"b,c\", \"\", \"… (9 in all)\"");
    }
}
