//! What the tools that change properties have in common: nothing is done when PostHog answers, only queued.

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::output::{OutputOptions, ToolOutput, write_list};
use crate::tools::{Outcome, Status, ToolError, WriteResult};
use posthog_client::Error;

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::tools) struct Changed {
    pub(in crate::tools) person_uuid: String,
    // Names of properties.
    pub(in crate::tools) queued: Vec<String>,
    // The read that shows the result.
    pub(in crate::tools) check: String,
}

/// Refuses names that no property can have.
pub(in crate::tools) fn check_keys<'a>(
    keys: impl IntoIterator<Item = &'a String>,
) -> Result<(), ToolError> {
    if keys.into_iter().any(|key| key.trim().is_empty()) {
        return Err(ToolError::invalid_input("A property needs a name."));
    }
    Ok(())
}

/// A write that failed, with the read that tells what became of it.
pub(in crate::tools) fn failed(error: Error, uuid: Uuid) -> ToolError {
    ToolError::from(error).with_verification_hint(format!(
        "persons-retrieve with id {uuid} and select [\"*\"], in half a minute, shows whether it happened."
    ))
}

/// The result where PostHog accepted everything.
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

/// The read that shows what became of properties.
pub(in crate::tools) fn check(uuid: Uuid, keys: &[String]) -> String {
    format!(
        "PostHog works through it within seconds, and says nothing if it fails: persons-retrieve with id {uuid} and select {} shows \
         whether it happened.",
        serde_json::json!(keys)
    )
}
