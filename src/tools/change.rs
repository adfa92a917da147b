//! What the tools that change properties have in common: nothing is done when PostHog answers, only queued.

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{Outcome, ToolError};
use crate::answer::{Answer, Limits, push_list};
use crate::posthog::Error;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Changed {
    /// queued: PostHog has it and will do it; partly: see failed
    status: &'static str,
    person_uuid: String,
    /// Property names that are queued
    queued: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<FailedKey>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_sent: Vec<String>,
    /// The read that shows the result
    check: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FailedKey {
    key: String,
    reason: String,
    /// It may have been done all the same
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    outcome_unknown: bool,
}

/// Refuses names that no property can have.
pub(super) fn check_keys<'a>(keys: impl IntoIterator<Item = &'a String>) -> Result<(), ToolError> {
    if keys.into_iter().any(|key| key.trim().is_empty()) {
        return Err(ToolError::refused("A property needs a name."));
    }
    Ok(())
}

/// A write that failed, with the read that tells what became of it.
pub(super) fn failed(error: Error, uuid: Uuid) -> ToolError {
    ToolError::from(error).settled_by(format!(
        "persons-retrieve with id {uuid} and select [\"*\"], in half a minute, shows whether it happened."
    ))
}

/// The answer where PostHog took everything.
pub(super) fn queued(limits: &Limits, uuid: Uuid, keys: &[String], verb: &str) -> Answer<Changed> {
    let screen = limits.screen();
    let queued: Vec<String> = keys.iter().map(|key| screen.name(key)).collect();
    let check = check(uuid, &queued);
    let mut text = format!("Queued, not done yet: {verb} ");
    push_list(&mut text, &queued);
    text.push_str(&format!(" of person {uuid}.\n{check}\n"));
    Answer {
        structured: Changed {
            status: "queued",
            person_uuid: uuid.to_string(),
            queued,
            failed: Vec::new(),
            not_sent: Vec::new(),
            check,
        },
        text,
    }
}

/// The answer where PostHog took some.
pub(super) fn partly(
    limits: &Limits,
    uuid: Uuid,
    keys: &[String],
    failures: &[(String, Error)],
    not_sent: &[String],
) -> Result<(Answer<Changed>, Outcome), ToolError> {
    let screen = limits.screen();
    let shown = |keys: &[String]| keys.iter().map(|key| screen.name(key)).collect::<Vec<_>>();
    let (queued, not_sent) = (shown(keys), shown(not_sent));
    let failed: Vec<FailedKey> = failures
        .iter()
        .map(|(key, error)| FailedKey {
            key: screen.name(key),
            reason: screen.name(error.reason().unwrap_or_else(|| error.kind().name())),
            outcome_unknown: error.kind().leaves_outcome_open(),
        })
        .collect();
    let touched: Vec<String> = queued
        .iter()
        .chain(failed.iter().map(|failed| &failed.key))
        .cloned()
        .collect();
    let check = check(uuid, &touched);
    let mut text = if queued.is_empty() {
        format!("No property of person {uuid} is known to be removed.")
    } else {
        let mut text = format!(
            "Only some properties of person {uuid} could be removed.\nqueued, not done yet: "
        );
        push_list(&mut text, &queued);
        text
    };
    for failed in &failed {
        let unknown = if failed.outcome_unknown {
            "outcome unknown"
        } else {
            "failed"
        };
        text.push_str(&format!("\n{unknown}: {}: {}", failed.key, failed.reason));
    }
    if !not_sent.is_empty() {
        text.push_str("\nnot sent: ");
        push_list(&mut text, &not_sent);
    }
    text.push_str(&format!("\n{check}\n"));
    let unknown = failed.iter().any(|failed| failed.outcome_unknown);
    let outcome = match (queued.is_empty(), unknown) {
        (_, true) => Outcome::Unknown,
        (true, false) => Outcome::NotDone,
        (false, false) => Outcome::Partly,
    };
    if queued.is_empty() {
        return Err(ToolError::told(text, outcome));
    }
    let structured = Changed {
        status: "partly",
        person_uuid: uuid.to_string(),
        queued,
        failed,
        not_sent,
        check,
    };
    Ok((Answer { structured, text }, outcome))
}

fn check(uuid: Uuid, keys: &[String]) -> String {
    format!(
        "PostHog works through it within seconds, and says nothing if it fails: persons-retrieve with id {uuid} and select {} shows \
         whether it happened.",
        serde_json::json!(keys)
    )
}
