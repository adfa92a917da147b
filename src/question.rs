//! What a person is asked before a write: who is affected and what happens, as facts.
//!
//! A client shows the facts as lines; a page shows them as tables. Both come from here, so neither says what the other
//! does not.
//!
//! Invariant: knows no tool, no protocol and no settings.

pub(crate) mod lines;
mod target;

pub use target::{FactsDigest, Target};

/// A question for a human, in lines of at most 70 characters that no name of a person can forge.
#[derive(Debug, Clone)]
pub struct Question {
    /// What is done, as a button says it: "Delete 30 persons". Begins with a verb.
    pub action: String,
    /// What happens to how many; their names; what goes and what stays; where. Complete in themselves: some clients show
    /// four lines, each cut at the width of the terminal.
    pub summary: [String; 4],
    /// The third line in full, by what happens.
    pub consequences: Vec<Consequence>,
    /// Every person, and what else there is to know.
    pub sections: Vec<Section>,
}

/// What happens to some of the data, in the server's words.
#[derive(Debug, Clone)]
pub struct Consequence {
    /// What happens: "Deleted", "Stays".
    pub label: &'static str,
    /// To what: "their events", "their recordings".
    pub what: Vec<String>,
}

/// A part of a question below its summary.
#[derive(Debug, Clone)]
pub enum Section {
    /// A sentence of the server.
    Note(String),
    /// Persons that the write is about, each of them.
    Persons(Vec<Target>),
    /// What is set or moved, row by row.
    Table(Table),
    /// Ids of the call that belong to no person.
    NotFound(Vec<String>),
}

/// Rows of texts that strangers may have written.
#[derive(Debug, Clone)]
pub struct Table {
    /// What the rows are, in the server's words.
    pub caption: &'static str,
    /// The names of the columns.
    pub columns: Vec<&'static str>,
    /// The texts, sanitized and redacted.
    pub rows: Vec<Vec<String>>,
    /// The same as lines.
    pub lines: Vec<String>,
}

impl Consequence {
    /// What happens to what.
    #[must_use]
    pub fn new<T: Into<String>>(label: &'static str, what: impl IntoIterator<Item = T>) -> Self {
        let what = what.into_iter().map(Into::into).collect();
        Self { label, what }
    }
}

impl Question {
    /// The whole question. `open_for` says how long it can be answered.
    #[must_use]
    pub fn text(&self, open_for: &str) -> String {
        let open_for = format!("This question is open for {open_for}.");
        let details = self.sections.iter().flat_map(Section::lines);
        let lines = self.summary.iter().cloned().chain([open_for]);
        lines
            .chain(details)
            .fold(String::new(), |text, line| text + &line + "\n")
    }
}

impl Section {
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Note(sentence) => lines::wrapped(sentence),
            Self::Persons(targets) => lines::target_lines(targets),
            Self::Table(table) => table.lines.clone(),
            Self::NotFound(ids) if ids.is_empty() => Vec::new(),
            Self::NotFound(ids) => vec![lines::not_found_line(ids)],
        }
    }
}
