//! Persons in a confirmation: plain text, a line for each, that no name can forge.

use std::fmt::Write as _;

use crate::output::{OutputOptions, quote};
use posthog_client::Person;

/// Names are truncated to this length, and further where there are many persons, so that all fit into one question.
const MAX_NAME_CHARS: usize = 60;
const MAX_NAME_CHARS_IF_MANY: usize = 12;
const MANY: usize = 200;

/// A person that would be deleted or split.
#[derive(Debug, Clone)]
pub(in crate::tools) struct Target {
    pub(in crate::tools) uuid: String,
    pub(in crate::tools) name: String,
    pub(in crate::tools) distinct_id_count: usize,
    pub(in crate::tools) count_is_minimum: bool,
}

impl Target {
    pub(in crate::tools) fn new(limits: &OutputOptions, person: &Person) -> Self {
        Self {
            uuid: person.uuid.to_string(),
            name: limits.sanitizer().person_name(person),
            distinct_id_count: person.distinct_ids.len(),
            count_is_minimum: false,
        }
    }
}

/// "1 person", "2 persons".
pub(in crate::tools) fn persons(count: u64) -> String {
    match count {
        1 => "1 person".to_owned(),
        count => format!("{count} persons"),
    }
}

/// "1 distinct id", "2 distinct ids", "10 or more distinct ids".
pub(in crate::tools) fn distinct_ids(count: usize, more: &str) -> String {
    let plural = if count == 1 && more.is_empty() {
        ""
    } else {
        "s"
    };
    format!("{count}{more} distinct id{plural}")
}

/// Writes a line for each person: the UUID and the count, then the name, quoted and last, so that it cannot be mistaken for
/// other text.
pub(in crate::tools) fn write_targets(text: &mut String, targets: &[Target]) {
    let max_chars = if targets.len() > MANY {
        MAX_NAME_CHARS_IF_MANY
    } else {
        MAX_NAME_CHARS
    };
    for target in targets {
        let more = if target.count_is_minimum {
            " or more"
        } else {
            ""
        };
        let ids = distinct_ids(target.distinct_id_count, more);
        let _ = writeln!(
            text,
            "- {}, {ids}, {}",
            target.uuid,
            quote(&target.name, max_chars)
        );
    }
}
