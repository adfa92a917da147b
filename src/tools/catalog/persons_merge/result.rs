//! What a merge did, for each person.

use std::collections::HashSet;
use std::fmt::Write as _;

use posthog_client::Error;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::plan::{Plan, UNDO};
use crate::output::{MergedProperty, ToolOutput, quote, write_notes};
use crate::tools::arguments::WaitSeconds;
use crate::tools::support::confirmation_text::{distinct_ids, persons};
use crate::tools::support::target::Target;
use crate::tools::{Outcome, Status, WriteResult};

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::tools) struct Output {
    pub(super) project: u64,
    /// UUID of the person that stays
    pub(super) person_uuid: String,
    /// Its distinct id that the merge uses
    pub(super) distinct_id: String,
    // The person that stays first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) persons: Vec<Target>,
    /// Of the merged person
    pub(super) distinct_id_count: usize,
    /// Of the merged person
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<String>,
    /// Those that differ, then those that the person gets
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) properties: Vec<MergedProperty>,
    /// Of the merged person
    pub(super) property_count: usize,
    pub(super) conflict_count: usize,
    pub(super) added_count: usize,
    pub(super) merges: Vec<MergeResult>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

// A person that is merged away.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct MergeResult {
    pub(super) person_uuid: String,
    /// Its distinct id that the merge uses
    pub(super) distinct_id: String,
    /// Absent in a preview
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// The outcome of a person whose event was not sent, because one before it ended the series.
const NOT_SENT: &str = "not sent";

impl Plan {
    /// The result; `arrived` holds the persons whose distinct ids were seen on the person that stays, if that was checked.
    pub(super) fn result(
        &self,
        sent: &[Result<(), Error>],
        arrived: Option<&HashSet<Uuid>>,
        wait: WaitSeconds,
    ) -> WriteResult<Output> {
        let results = self.merges.iter().enumerate().map(|(place, one)| {
            let has_arrived = arrived.is_some_and(|arrived| arrived.contains(&one.uuid));
            let (outcome, reason) = match sent.get(place) {
                None => (NOT_SENT, None),
                Some(Ok(())) if has_arrived => (Outcome::Done.name(), None),
                Some(Ok(())) => (Outcome::Queued.name(), None),
                Some(Err(error)) if error.kind().outcome_unknown() => {
                    (Outcome::Unknown.name(), Some(self.reason(error)))
                }
                Some(Err(error)) => (Outcome::NotDone.name(), Some(self.reason(error))),
            };
            MergeResult {
                person_uuid: one.uuid.to_string(),
                distinct_id: one.shown_by.clone(),
                outcome: Some(outcome),
                reason,
            }
        });
        let results: Vec<MergeResult> = results.collect();
        let all = self.merges.len();
        let seen = arrived.map_or(0, HashSet::len);
        let failure = sent.iter().find_map(|result| result.as_ref().err());
        let (status, outcome, head) = match failure {
            Some(error) if error.kind().outcome_unknown() => {
                (Status::Partly, Outcome::Unknown, "Partly done")
            }
            Some(_) => (Status::Partly, Outcome::Partly, "Partly done"),
            None if seen == all => (Status::Done, Outcome::Done, "Done"),
            None if seen > 0 => (Status::Partly, Outcome::Queued, "Sent, partly done"),
            None if wait.0 > 0 => (
                Status::Queued,
                Outcome::Queued,
                "Queued, not done within wait_seconds",
            ),
            None => (Status::Queued, Outcome::Queued, "Queued, not done yet"),
        };
        let mut text = format!(
            "{head}: merge {} into the person {} {} of project {}, with {} in all.\n",
            persons(all as u64),
            self.targets.first().map_or("", |kept| &kept.uuid),
            quote(self.name(), 60),
            self.project,
            distinct_ids(self.distinct_id_count)
        );
        for one in &results {
            let _ = write!(
                text,
                "{}: {} by ",
                one.outcome.unwrap_or_default(),
                one.person_uuid
            );
            text.push_str(&quote(&one.distinct_id, 400));
            if let Some(reason) = &one.reason {
                let _ = write!(text, ": {reason}");
            }
            text.push('\n');
        }
        let mut notes = Vec::new();
        if status != Status::Done {
            notes.push(format!(
                "PostHog merges within minutes and reports no failure; it drops a merge that collides with another, or that moves very many \
                 distinct ids. {}",
                self.verification()
            ));
        }
        notes.push(UNDO.to_owned());
        write_notes(&mut text, &notes);
        WriteResult {
            status,
            output: ToolOutput {
                structured: Output {
                    notes,
                    ..self.facts(results)
                },
                text,
            },
            outcome,
        }
    }
}
