//! The result: what PostHog did with the deletion.

use std::collections::HashMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::plan::Plan;
use crate::output::{ToolOutput, write_notes};
use crate::tools::arguments::WaitSeconds;
use crate::tools::support::confirmation_text;
use crate::tools::support::poll::poll;
use crate::tools::support::target::Target;
use crate::tools::{Context, Outcome, Status, WriteResult};
use posthog_client::BulkDeletionSummary;

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::tools) struct Output {
    pub(super) project: u64,
    pub(super) persons: Vec<Target>,
    pub(super) person_count: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) not_found: Vec<String>,
    pub(super) not_found_count: usize,
    pub(super) delete_events: bool,
    pub(super) delete_recordings: bool,
    pub(super) keep_person: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<Summary>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

// As reported by PostHog.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Summary {
    persons_found: u64,
    persons_deleted: u64,
    persons_queued_for_deletion: u64,
    events_queued_for_deletion: bool,
    recordings_queued_for_deletion: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deletion_errors: Vec<NotDeleted>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct NotDeleted {
    person_uuid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
}

/// In place of a UUID, where PostHog names no person.
const UNNAMED: &str = "unknown";

impl Plan {
    /// What PostHog's response means. `left` is the number of persons that were still there after waiting.
    pub(super) fn result(
        &self,
        context: &Context,
        summary: Option<&BulkDeletionSummary>,
        left: Option<u64>,
    ) -> WriteResult<Output> {
        summary.map_or_else(
            || self.result_without_summary(context, left),
            |summary| self.result_of(context, summary, left),
        )
    }

    /// PostHog before April 2026 accepts a deletion without a response body.
    fn result_without_summary(&self, context: &Context, left: Option<u64>) -> WriteResult<Output> {
        let (mut facts, _) = self.facts(&context.limits);
        let persons = confirmation_text::persons(self.targets.len() as u64);
        let (status, outcome, mut text) = if left == Some(0) {
            let text = format!("Deleted: {persons}.\n");
            (Status::Deleted, Outcome::Done, text)
        } else {
            facts.notes.push(
                "persons-batch-retrieve with the uuids shows which persons are gone; a deleted one is missing there."
                    .to_owned(),
            );
            let text =
                format!("Accepted by PostHog, which does not report what it deletes: {persons}.\n");
            (Status::Queued, Outcome::Queued, text)
        };
        facts.notes.extend(waited(left));
        self.write_not_found(&mut text);
        write_notes(&mut text, &facts.notes);
        WriteResult {
            status,
            output: ToolOutput {
                structured: facts,
                text,
            },
            outcome,
        }
    }

    fn result_of(
        &self,
        context: &Context,
        summary: &BulkDeletionSummary,
        left: Option<u64>,
    ) -> WriteResult<Output> {
        let queued = summary.persons_queued_for_deletion.unwrap_or(0);
        let failed = summary.deletion_errors.len() as u64;
        let keeps = self.deletion.keep_person;
        let went = if keeps {
            summary.persons_found.saturating_sub(failed)
        } else {
            summary.persons_deleted + queued
        };
        let (status, outcome) = match (went, failed) {
            (0, _) => (Status::Failed, Outcome::NotDone),
            (_, 1..) => (Status::Partly, Outcome::Partly),
            // A response that reports a failure with its status alone.
            _ if went < summary.persons_found => (Status::Partly, Outcome::Partly),
            _ if keeps || (queued > 0 && left != Some(0)) => (Status::Queued, Outcome::Queued),
            _ => (Status::Deleted, Outcome::Done),
        };
        let sanitizer = context.limits.sanitizer();
        let (mut facts, _) = self.facts(&context.limits);
        let errors: Vec<NotDeleted> = summary
            .deletion_errors
            .iter()
            .map(|error| NotDeleted {
                person_uuid: error
                    .person_uuid
                    .as_ref()
                    .map_or_else(|| UNNAMED.to_owned(), |uuid| sanitizer.word(uuid)),
                step: error.step.as_ref().map(|step| sanitizer.word(step)),
            })
            .collect();
        let all = self.targets.len();
        let mut text = match status {
            Status::Queued if keeps => {
                "Queued, not done yet: deletion of the requested data. The persons stay.\n"
                    .to_owned()
            }
            Status::Queued if summary.persons_deleted > 0 => format!(
                "Deleted: {}. Queued, not done yet: deletion of {}. PostHog completes it within minutes.\n",
                confirmation_text::persons(summary.persons_deleted),
                confirmation_text::persons(queued)
            ),
            Status::Queued => format!(
                "Queued, not done yet: deletion of {}. PostHog completes it within minutes.\n",
                confirmation_text::persons(queued)
            ),
            Status::Deleted => format!("Deleted: {}.\n", confirmation_text::persons(went)),
            Status::Failed if keeps => "No data was deleted.\n".to_owned(),
            Status::Failed => "No person was deleted.\n".to_owned(),
            _ if keeps => format!(
                "Partly done: the data of {went} of {} is queued for deletion.\n",
                confirmation_text::persons(all as u64)
            ),
            _ => format!(
                "Partly done: {went} of {} are deleted or queued.\n",
                confirmation_text::persons(all as u64)
            ),
        };
        for error in &errors {
            // A step can fail without a person, for data beside the profile.
            if error.person_uuid == UNNAMED {
                text.push_str("A step failed, and PostHog does not say for which person");
            } else {
                let _ = write!(text, "NOT deleted: {}", error.person_uuid);
            }
            if let Some(step) = &error.step {
                let _ = write!(text, " (failed at {step})");
            }
            text.push('\n');
        }
        let notes = &mut facts.notes;
        if errors.iter().any(|error| error.person_uuid != UNNAMED) {
            notes.push("Call again with only the persons that were not deleted.".to_owned());
        }
        if summary.persons_found < self.targets.len() as u64 {
            notes.push(format!(
                "PostHog found {} of the {} persons shown; the others were already deleted.",
                summary.persons_found,
                self.targets.len()
            ));
        }
        notes.extend(waited(left));
        if !keeps && left != Some(0) {
            notes.push(
                "Verify with persons-retrieve and the uuid: it reports `not found` once the person is deleted."
                    .to_owned(),
            );
        }
        if summary.events_queued_for_deletion {
            notes.push("Verify the event deletion with persons-deletion-status-list and person_uuid, after the weekly batch.".to_owned());
        }
        if summary.recordings_queued_for_deletion {
            notes.push(
                "Recordings are deleted in the background; this cannot be verified.".to_owned(),
            );
        }
        self.write_not_found(&mut text);
        write_notes(&mut text, notes);
        facts.result = Some(Summary {
            persons_found: summary.persons_found,
            persons_deleted: summary.persons_deleted,
            persons_queued_for_deletion: queued,
            events_queued_for_deletion: summary.events_queued_for_deletion,
            recordings_queued_for_deletion: summary.recordings_queued_for_deletion,
            deletion_errors: errors,
        });
        WriteResult {
            status,
            output: ToolOutput {
                structured: facts,
                text,
            },
            outcome,
        }
    }

    /// Waits until all persons are deleted, and returns how many are left; nothing where there is nothing to wait for.
    pub(super) async fn left(
        &self,
        context: &Context,
        summary: Option<&BulkDeletionSummary>,
        wait: WaitSeconds,
    ) -> Option<u64> {
        let queued = summary.is_none_or(|summary| {
            summary.deletion_errors.is_empty() && summary.persons_queued_for_deletion > Some(0)
        });
        if self.deletion.keep_person || !queued {
            return None;
        }
        let read = || context.posthog.persons_by_uuids(&self.deletion.uuids);
        let left = poll(context, wait, read, HashMap::is_empty).await;
        left.map(|left| left.len() as u64)
    }
}

/// What was seen of the deletion while waiting for it.
fn waited(left: Option<u64>) -> Option<String> {
    match left? {
        0 => Some("persons-batch-retrieve no longer finds them.".to_owned()),
        left => Some(format!(
            "Not done within wait_seconds: {} still there.",
            confirmation_text::persons(left)
        )),
    }
}
