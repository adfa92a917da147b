//! What an export holds, what it does not, and why: to check it, and to know what it proves.

use serde::Serialize;

/// The manifest of the export of a person.
#[derive(Debug, Clone, Serialize)]
pub struct PersonManifest {
    /// The program that wrote it, and its version.
    pub program: &'static str,
    /// The address of PostHog.
    pub host: String,
    /// The project.
    pub project: u64,
    /// The person.
    pub person: String,
    /// When the export began, by PostHog's clock if it says so.
    pub began_at: String,
    /// The first moment of the events; none if they are all those before `events_until`.
    pub events_from: Option<String>,
    /// The first moment after the events.
    pub events_until: String,
    /// Whether all events are there; none if they could not be read.
    pub events: Option<EventCheck>,
    /// Whether values are withheld, by `--redact` or `--mask-emails`.
    pub withheld: bool,
    /// What is missing.
    pub missing: Vec<Missing>,
    /// Every other file of the archive.
    pub files: Vec<FileEntry>,
}

/// The number of events, compared with PostHog's own.
#[derive(Debug, Clone, Serialize)]
pub struct EventCheck {
    /// Events in the export, each once.
    pub exported: u64,
    /// PostHog's count before they were read.
    pub counted_before: u64,
    /// PostHog's count afterwards, taken where the numbers differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_after: Option<u64>,
    /// Rows that PostHog sent twice, and that are in the export once.
    pub repeated_rows: u64,
    /// Whether the numbers agree.
    pub complete: bool,
}

/// Something that is not in the export.
#[derive(Debug, Clone, Serialize)]
pub struct Missing {
    /// What.
    pub what: &'static str,
    /// Why, as a sentence.
    pub why: String,
}

/// A file of the archive.
#[derive(Debug, Clone, Serialize)]
pub struct FileEntry {
    /// Its name.
    pub name: &'static str,
    /// Its size before compression.
    pub bytes: u64,
    /// The number of its rows, if it has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}
