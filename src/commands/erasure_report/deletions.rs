//! The deletions that an audit log records. Lines of other kinds are skipped.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::tools::PersonData;

const DELETE: &str = "persons-bulk-delete";
const MERGE: &str = "persons-merge";

/// One line of the log, as far as it is read.
#[derive(Deserialize)]
struct Line {
    time: DateTime<Utc>,
    id: Option<String>,
    tool: String,
    host: Option<String>,
    project: Option<u64>,
    key: Option<String>,
    #[serde(default)]
    persons: Vec<String>,
    deletes: Option<Vec<String>>,
    merged_into: Option<Uuid>,
    /// Only writes have it; the preview of a deletion can have a line as a read.
    confirmation: String,
    outcome: String,
}

/// A deletion, or a merge.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Deletion {
    /// When it was about to be sent.
    pub(super) time: DateTime<Utc>,
    pub(super) is_merge: bool,
    /// Absent in logs of version 0.1.
    pub(super) host: Option<String>,
    pub(super) project: Option<u64>,
    pub(super) key: Option<String>,
    pub(super) persons: Vec<Uuid>,
    /// What was to be deleted of them, where the log says it.
    pub(super) deletes: Option<Vec<&'static str>>,
    /// The person that others are merged into: their profiles end without being erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) merged_into: Option<Uuid>,
    pub(super) confirmation: String,
    /// As the log has it; `started` where it has no outcome, because the server was interrupted.
    pub(super) outcome: String,
}

/// The deletions of a log that began in this time, the first one first.
pub(super) fn read(log: &[u8], since: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Deletion> {
    let mut deletions: Vec<Deletion> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    for line in log.split(|byte| *byte == b'\n') {
        let Ok(line) = serde_json::from_slice::<Line>(line) else {
            continue;
        };
        if line.tool != DELETE && line.tool != MERGE {
            continue;
        }
        let begun = line.id.as_ref().and_then(|id| by_id.get(id));
        if let Some(begun) = begun.and_then(|index| deletions.get_mut(*index)) {
            begun.outcome = word(&line.outcome);
            continue;
        }
        if let Some(id) = line.id.clone() {
            by_id.insert(id, deletions.len());
        }
        deletions.push(deletion(line));
    }
    deletions.retain(|deletion| since <= deletion.time && deletion.time < until);
    deletions
}

fn deletion(line: Line) -> Deletion {
    let known = |names: Vec<String>| {
        let is_named = |data: &PersonData| names.iter().any(|name| name == data.name());
        let named = PersonData::ALL.into_iter().filter(is_named);
        named.map(PersonData::name).collect()
    };
    Deletion {
        time: line.time,
        is_merge: line.tool == MERGE,
        host: line.host.as_deref().map(word),
        project: line.project,
        key: line.key.as_deref().map(word),
        persons: line
            .persons
            .iter()
            .filter_map(|uuid| Uuid::try_parse(uuid).ok())
            .collect(),
        deletes: line.deletes.map(known),
        merged_into: line.merged_into,
        confirmation: word(&line.confirmation),
        outcome: word(&line.outcome),
    }
}

/// A short text of the log, which may have been changed, without anything that Markdown reads.
fn word(text: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || " .:/-".contains(*c);
    text.chars().filter(plain).take(200).collect()
}
