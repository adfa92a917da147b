//! Shared by the tools that change properties. PostHog responds once a change is queued, before it is applied.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::output::{OutputOptions, ToolOutput, write_list};
use crate::tools::arguments::WaitSeconds;
use crate::tools::{Outcome, Status, ToolError, WriteResult};
use posthog_client::{Error, Person};

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::tools) struct Changed {
    pub(in crate::tools) person_uuid: String,
    // Property keys.
    pub(in crate::tools) queued: Vec<String>,
    // The read that verifies the result.
    pub(in crate::tools) check: String,
}

/// What PostHog does with properties of events, and would store as a property of that name here; and the tool that does it.
const OPERATIONS: [(&str, &str); 4] = [
    ("$set", "give the properties themselves"),
    ("$set_once", "only events can set a property once"),
    ("$unset", "use persons-property-delete"),
    ("$add", "read the value and set the sum"),
];

/// Rejects keys that no property can have, or should have.
pub(in crate::tools) fn check_keys<'a>(
    keys: impl IntoIterator<Item = &'a String>,
) -> Result<(), ToolError> {
    for key in keys {
        if key.trim().is_empty() {
            return Err(ToolError::invalid_input(
                "A property name must not be empty.",
            ));
        }
        let operation = OPERATIONS.iter().find(|(operation, _)| operation == key);
        if let Some((operation, instead)) = operation {
            return Err(ToolError::invalid_input(format!(
                "`{operation}` is no property here: PostHog would store a property of that name. Instead, {instead}. Nothing was sent."
            )));
        }
    }
    Ok(())
}

/// The error of a write that failed, with the read that shows its outcome.
pub(in crate::tools) fn failed(error: Error, uuid: Uuid) -> ToolError {
    ToolError::from(error).with_verification_hint(format!(
        "Wait half a minute, then verify with persons-retrieve, id {uuid} and select [\"*\"]."
    ))
}

/// What was seen of a change that PostHog accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::tools) enum Seen {
    /// Nothing was read.
    NotRead,
    /// The person was read until the time was up, and the change was not there.
    NotYet,
    /// The change is there.
    Applied,
}

impl Seen {
    /// From the last read; `None` if there was none.
    pub(in crate::tools) fn new(wait: WaitSeconds, applied: Option<bool>) -> Self {
        match (wait.0, applied) {
            (0, _) => Self::NotRead,
            (_, Some(true)) => Self::Applied,
            _ => Self::NotYet,
        }
    }
}

/// The result if PostHog accepted everything.
pub(in crate::tools) fn accepted(
    limits: &OutputOptions,
    uuid: Uuid,
    keys: &[String],
    verb: &str,
    seen: Seen,
) -> WriteResult<Changed> {
    let sanitizer = limits.sanitizer();
    let queued: Vec<String> = keys.iter().map(|key| sanitizer.argument(key)).collect();
    let (status, outcome, head, check) = match seen {
        Seen::Applied => (
            Status::Done,
            Outcome::Done,
            "Done",
            format!("{} shows it.", read(uuid, &queued)),
        ),
        Seen::NotRead => (
            Status::Queued,
            Outcome::Queued,
            "Queued, not done yet",
            check(uuid, &queued),
        ),
        Seen::NotYet => (
            Status::Queued,
            Outcome::Queued,
            "Queued, not done within wait_seconds",
            check(uuid, &queued),
        ),
    };
    let mut text = format!("{head}: {verb} ");
    write_list(&mut text, &queued);
    text.push_str(&format!(" of person {uuid}. {check}\n"));
    let structured = Changed {
        person_uuid: uuid.to_string(),
        queued,
        check,
    };
    WriteResult {
        status,
        output: ToolOutput { structured, text },
        outcome,
    }
}

/// The read that shows the outcome of a change.
pub(in crate::tools) fn check(uuid: Uuid, keys: &[String]) -> String {
    format!(
        "PostHog applies it asynchronously and reports no failure; verify with {}.",
        read(uuid, keys)
    )
}

fn read(uuid: Uuid, keys: &[String]) -> String {
    format!(
        "persons-retrieve, id {uuid} and select {}",
        serde_json::json!(keys)
    )
}

/// Whether a person has all of these values.
pub(in crate::tools) fn is_applied(person: &Person, properties: &Map<String, Value>) -> bool {
    let mut properties = properties.iter();
    properties.all(|(key, value)| person.properties.has(key, value))
}
