//! The budget: the maximum size of a tool result, and how rows are truncated to it.

use std::io;

use serde::Serialize;
use serde_json::Value;

use super::redact::{RedactedTerms, Redaction};
use super::sanitize::Sanitizer;
use super::table::{self, Row, write_notes};

/// The default maximum size of a tool result, in bytes.
///
/// Claude Code hides what is above about 48,000 from its model.
pub const BYTES: u32 = 40_000;

/// Reserved for the lines before and after a table.
const MARGIN: usize = 4096;

/// The maximum length of values and of names: the first pair and, where not even one row fits with it, the next. The last
/// one fits into the smallest budget that can be set, so that every page has a row.
const LENGTHS: [(usize, usize); 5] = [(300, 400), (100, 400), (30, 100), (0, 100), (0, 30)];

/// The size of a tool result, and what is redacted in it.
#[derive(Debug, Clone)]
pub struct OutputOptions {
    /// Maximum size in bytes, of the text and of the structured content.
    pub bytes: usize,
    /// Whether structured content is sent.
    pub structured: bool,
    /// What is redacted.
    pub redaction: Redaction,
}

impl Default for OutputOptions {
    fn default() -> Self {
        Self {
            bytes: BYTES as usize,
            structured: false,
            redaction: Redaction::default(),
        }
    }
}

impl OutputOptions {
    /// The size from which on the processing of a response can take more than about five milliseconds.
    #[must_use]
    pub fn large_response_bytes(&self) -> usize {
        if self.redaction.is_active() || self.redaction.masks_emails() {
            64 * 1024
        } else {
            1024 * 1024
        }
    }

    /// The bytes available to rows.
    #[must_use]
    pub fn for_rows(&self) -> usize {
        self.bytes.saturating_sub(MARGIN).max(self.bytes / 2)
    }

    /// The same with `bytes` less, but at least half of the budget.
    #[must_use]
    pub fn without(&self, bytes: usize) -> Self {
        Self {
            bytes: self.bytes - bytes.min(self.bytes / 2),
            ..self.clone()
        }
    }

    /// The same for a result about a person of whom these texts are withheld.
    #[must_use]
    pub fn knowing(&self, terms: RedactedTerms) -> Self {
        Self {
            redaction: self.redaction.knowing(terms),
            ..self.clone()
        }
    }

    /// A sanitizer for names, keys and messages.
    #[must_use]
    pub fn sanitizer(&self) -> Sanitizer {
        Sanitizer::names_only(self.redaction.clone())
    }
}

/// The first lines of a file, as many as fit into the budget. Structured content is larger than the text, because quotes
/// and line breaks are escaped there.
#[must_use]
pub fn truncate_lines<'a>(options: &OutputOptions, text: &'a str) -> &'a str {
    let budget = options.for_rows();
    let mut kept = text;
    loop {
        let size = if options.structured {
            json_len(&kept)
        } else {
            kept.len()
        };
        if size <= budget {
            return kept;
        }
        let mut max = (kept.len() * budget / size).min(kept.len() - 1);
        while !kept.is_char_boundary(max) {
            max -= 1;
        }
        let head = kept.get(..max).unwrap_or_default();
        kept = head
            .rfind('\n')
            .and_then(|end| head.get(..=end))
            .unwrap_or_default();
    }
}

/// The first names of a list, as many as fit into `max_bytes`.
#[must_use]
pub fn truncate_names(max_bytes: usize, names: Vec<String>) -> Vec<String> {
    let mut used = 0;
    names
        .into_iter()
        .take_while(|name| {
            used += json_len(name) + 2;
            used <= max_bytes
        })
        .collect()
}

/// The output of a tool: the same facts as fields and as text.
#[derive(Debug)]
pub struct ToolOutput<T> {
    /// The facts as fields.
    pub structured: T,
    /// The facts as text.
    pub text: String,
}

/// The rows that fit into the budget.
#[derive(Debug)]
pub struct Truncated<R> {
    /// The first rows, as many as fit, each of them whole.
    pub rows: Vec<R>,
    /// The same as text.
    pub table: String,
    /// Texts that were truncated in them.
    pub truncated_values: usize,
    /// Whether even one row had no room for property values.
    pub values_omitted: bool,
}

impl<R> Truncated<R> {
    /// A tool's output: the head, the table and a line for each note. `fields` takes the rows and the notes.
    pub fn into_output<T>(
        self,
        head: &str,
        notes: Vec<String>,
        fields: impl FnOnce(Vec<R>, Vec<String>) -> T,
    ) -> ToolOutput<T> {
        let mut text = format!("{head}{}", self.table);
        write_notes(&mut text, &notes);
        ToolOutput {
            structured: fields(self.rows, notes),
            text,
        }
    }
}

/// Makes rows of items, as many as fit into the budget.
pub fn truncate_rows<P, R: Row>(
    options: &OutputOptions,
    items: &[P],
    make: impl Fn(&P, &Sanitizer) -> R,
) -> Truncated<R> {
    let budget = options.for_rows();
    let mut truncated = None;
    for (value, name) in LENGTHS {
        let sanitizer = Sanitizer::new(options.redaction.clone(), value, name);
        let rows = rows_within(options.structured.then_some(budget), items, |item| {
            make(item, &sanitizer)
        });
        let (rows, table) = table_within(budget, rows);
        let done = !rows.is_empty() || items.is_empty();
        truncated = Some(Truncated {
            rows,
            table,
            truncated_values: sanitizer.truncated(),
            values_omitted: sanitizer.values_omitted(),
        });
        if done {
            break;
        }
    }
    truncated.unwrap_or_else(|| Truncated {
        rows: Vec::new(),
        table: String::new(),
        truncated_values: 0,
        values_omitted: true,
    })
}

fn rows_within<P, R: Row>(budget: Option<usize>, items: &[P], make: impl Fn(&P) -> R) -> Vec<R> {
    let mut used = 0;
    let mut rows = Vec::with_capacity(items.len());
    for item in items {
        let row = make(item);
        if let Some(budget) = budget {
            used += json_len(&row) + 1;
            if used > budget {
                break;
            }
        }
        rows.push(row);
    }
    rows
}

/// Drops rows from the end until their table fits. Fewer rows can need fewer columns, so the table is rendered again.
fn table_within<R: Row>(budget: usize, mut rows: Vec<R>) -> (Vec<R>, String) {
    loop {
        let table = table::table(&rows);
        if table.len() <= budget || rows.is_empty() {
            return (rows, table);
        }
        let share = rows.len().saturating_mul(budget) / table.len();
        rows.truncate(share.min(rows.len() - 1));
    }
}

/// Whether an output is within the budget.
pub fn fits<T: Serialize>(options: &OutputOptions, output: &ToolOutput<T>) -> bool {
    output.text.len() <= options.bytes
        && (!options.structured || json_len(&output.structured) <= options.bytes)
}

/// The fields of a write's result within the budget: its `message` says everything, so that lists are dropped first.
#[must_use]
pub fn fit_fields(options: &OutputOptions, mut fields: Value) -> Value {
    let complete = fields.get("message").is_some();
    if let (true, Value::Object(fields)) = (complete, &mut fields)
        && json_len(fields) > options.bytes
    {
        for field in fields.values_mut() {
            if let Value::Array(items) = field {
                items.clear();
            }
        }
        let others = json_len(fields);
        if let Some(Value::String(message)) = fields.get_mut("message")
            && others > options.bytes
        {
            *message = truncate_lines(options, message).to_owned();
        }
    }
    fields
}

pub(super) fn json_len(value: &impl Serialize) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX / 2,
    }
}
