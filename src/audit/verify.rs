//! Checking a log: whether each line follows the one before it.
//!
//! A line that was changed, removed or moved no longer fits its neighbours. What no chain shows by itself is a removed end,
//! which the hash of the last line shows (`--head`), and a file that was rewritten as a whole, which a key shows.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufRead};

use serde::Deserialize;

use super::chain::{ChainKey, NOTHING_BEFORE};
use super::read::SHOWN;

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Lines of the chain.
    pub chained: usize,
    /// Lines of version 0.1, which had no chain.
    pub unchained: usize,
    /// Notes that the file was replaced, truncated or removed while a server wrote to it.
    pub notes: usize,
    /// Lines about reads.
    pub reads: usize,
    /// Writes whose outcome is missing.
    pub without_outcome: usize,
    /// Problems, each with its line.
    pub problems: Vec<String>,
    /// The hash of the last line.
    pub head: Option<String>,
}

#[derive(Deserialize)]
struct Fields {
    id: Option<String>,
    outcome: Option<String>,
    note: Option<String>,
    prev: Option<String>,
}

/// Checks a log, and that its last line has the hash `head`, if one is given.
///
/// # Errors
/// When it cannot be read.
pub fn verify(log: impl BufRead, key: &ChainKey, head: Option<&str>) -> io::Result<Report> {
    let mut report = Report::default();
    let mut before = NOTHING_BEFORE.to_owned();
    let mut open = HashSet::new();
    let mut began = false;
    for (number, line) in (1..).zip(log.split(b'\n')) {
        let line = line?;
        let mut problem = |what: &str| report.problems.push(format!("line {number}: {what}"));
        match serde_json::from_slice::<Fields>(&line) {
            Err(_) => problem("damaged: it is not a JSON object of the log"),
            Ok(fields) => match fields.prev {
                None if began => problem("it has no hash of the line before, unlike earlier lines"),
                None => report.unchained += 1,
                Some(prev) => {
                    if prev != before {
                        problem(
                            "it does not follow the line before: a line was changed, removed, inserted or moved",
                        );
                    }
                    began = true;
                    report.chained += 1;
                    report.notes += usize::from(fields.note.is_some());
                    match (fields.id, fields.outcome.as_deref()) {
                        (Some(id), Some("started")) => drop(open.insert(id)),
                        (Some(_), Some(SHOWN)) => report.reads += 1,
                        // It may stand in the file that was replaced.
                        (Some(id), Some(_)) if !open.remove(&id) && report.notes == 0 => {
                            problem("the outcome of a write whose first line is missing");
                        }
                        _ => {}
                    }
                }
            },
        }
        before = key.hash(&line);
        report.head = Some(before.clone());
    }
    report.without_outcome = open.len();
    if let Some(expected) = head
        && report.head.as_deref() != Some(expected)
    {
        report.problems.push(
            "the last line is not the one with the given hash: lines were removed or added"
                .to_owned(),
        );
    }
    Ok(report)
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(formatter, "{problem}")?;
        }
        write!(formatter, "{} lines in the chain", self.chained)?;
        for (number, what) in [
            (self.unchained, "lines of version 0.1 without a chain"),
            (self.reads, "about reads"),
            (self.without_outcome, "writes without an outcome"),
            (
                self.notes,
                "notes that the file was replaced, truncated or removed",
            ),
        ] {
            if number > 0 {
                write!(formatter, ", {number} {what}")?;
            }
        }
        writeln!(formatter)?;
        if let Some(head) = &self.head {
            writeln!(formatter, "head {head}")?;
        }
        Ok(())
    }
}
