//! Lines about what was read: of whom, and which fields.

use std::io;

use serde::Serialize;
use uuid::Uuid;

use super::log::{AuditLog, now};

/// The outcome of a read.
pub(super) const SHOWN: &str = "shown";

/// Persons in a line at most; a read of more has several lines with one `id`.
const MAX_PERSONS: usize = 1000;

/// What a call showed or exported. Names only: there is no place for a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Read {
    /// The tool's name, or the method of the protocol.
    pub tool: &'static str,
    /// The project that the call is about.
    pub project: u64,
    /// UUIDs of the persons; numeric ids where PostHog named a person by nothing else.
    pub persons: Vec<String>,
    /// Names of the fields that were shown; those of properties begin with `properties.`.
    pub fields: Vec<String>,
    /// Names of the fields whose values were redacted.
    pub withheld: Vec<String>,
}

#[derive(Serialize)]
struct Entry<'a> {
    time: String,
    id: Uuid,
    tool: &'static str,
    project: u64,
    persons: &'a [String],
    fields: &'a [String],
    withheld: &'a [String],
    outcome: &'static str,
    prev: &'a str,
}

impl AuditLog {
    /// Writes the line of a read, before its result is shown or its file can be fetched. Whether calls that only read are
    /// recorded is for the caller to ask ([`AuditLog::records_reads`]); an export always is.
    ///
    /// # Errors
    /// When it cannot be written: nothing must be shown then.
    pub async fn record_read(&self, read: Read) -> io::Result<()> {
        let id = Uuid::new_v4();
        let persons: Vec<Vec<String>> = match read.persons.len() {
            0..=MAX_PERSONS => vec![read.persons],
            _ => read
                .persons
                .chunks(MAX_PERSONS)
                .map(<[String]>::to_vec)
                .collect(),
        };
        for persons in persons {
            let (fields, withheld) = (read.fields.clone(), read.withheld.clone());
            let line = move |prev: &str| {
                serde_json::to_string(&Entry {
                    time: now(),
                    id,
                    tool: read.tool,
                    project: read.project,
                    persons: &persons,
                    fields: &fields,
                    withheld: &withheld,
                    outcome: SHOWN,
                    prev,
                })
            };
            self.append(line).await?;
        }
        Ok(())
    }
}
