//! Shared by the tools that change properties. PostHog responds once a change is queued, before it is applied.

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::output::{OutputOptions, ToolOutput, write_list};
use crate::tools::{Outcome, Status, ToolError, WriteResult};
use posthog_client::Error;

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

/// The result if PostHog accepted everything.
pub(in crate::tools) fn queued(
    limits: &OutputOptions,
    uuid: Uuid,
    keys: &[String],
    verb: &str,
) -> WriteResult<Changed> {
    let sanitizer = limits.sanitizer();
    let queued: Vec<String> = keys.iter().map(|key| sanitizer.argument(key)).collect();
    let check = check(uuid, &queued);
    let mut text = format!("Queued, not done yet: {verb} ");
    write_list(&mut text, &queued);
    text.push_str(&format!(" of person {uuid}.\n{check}\n"));
    let structured = Changed {
        person_uuid: uuid.to_string(),
        queued,
        check,
    };
    WriteResult {
        status: Status::Queued,
        output: ToolOutput { structured, text },
        outcome: Outcome::Queued,
    }
}

/// The read that shows the outcome of a change.
pub(in crate::tools) fn check(uuid: Uuid, keys: &[String]) -> String {
    format!(
        "PostHog applies it asynchronously and reports no failure; verify with persons-retrieve, id {uuid} and select {}.",
        serde_json::json!(keys)
    )
}
