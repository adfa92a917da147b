//! What would be deleted, for the user and the model to review.

use std::fmt::Write as _;

use super::Input;
use super::result::Output;
use crate::output::{OutputOptions, truncate_names, truncate_rows, write_list, write_notes};
use crate::question::{Consequence, Question, Section};
use crate::tools::support::confirmation_text;
use crate::tools::support::target::{
    Target, digest_of, note_earlier_deletions, note_unlisted, targets,
};
use crate::tools::{Context, Preview, ToolError};
use posthog_client::{BulkDeletion, Person, Untrusted};

/// A deletion that can be previewed and sent.
pub(super) struct Plan {
    pub(super) deletion: BulkDeletion,
    pub(super) targets: Vec<Target>,
    not_found: Vec<String>,
    /// The maximum size of the unknown ids in the result.
    not_found_bytes: usize,
    project: u64,
    host: String,
}

impl Plan {
    pub(super) async fn new(
        context: &Context,
        input: &Input,
        persons: Vec<(Person, Vec<Untrusted<String>>)>,
        not_found: Vec<Untrusted<String>>,
    ) -> Result<Self, ToolError> {
        let sanitizer = context.limits.sanitizer();
        let uuids = persons.iter().map(|(person, _)| person.uuid).collect();
        let mut targets = targets(context, persons).await?;
        note_earlier_deletions(context, &mut targets).await;
        Ok(Self {
            // By UUID even if distinct ids were given: one of them could move to another person before the request
            // arrives, and that person was not previewed.
            deletion: BulkDeletion {
                uuids,
                delete_events: input.delete_events,
                delete_recordings: input.delete_recordings,
                keep_person: input.keep_person,
            },
            targets,
            not_found: not_found.iter().map(|id| sanitizer.text(id)).collect(),
            not_found_bytes: context.limits.bytes / 4,
            project: context.posthog.project().await?,
            host: context.posthog.host().to_owned(),
        })
    }

    pub(super) fn facts(&self, limits: &OutputOptions) -> (Output, String) {
        let limits = limits.without(self.not_found_bytes);
        let truncated = truncate_rows(&limits, &self.targets, |target, _| target.clone());
        let facts = Output {
            project: self.project,
            persons: truncated.rows,
            person_count: self.targets.len(),
            not_found: truncate_names(self.not_found_bytes, self.not_found.clone()),
            not_found_count: self.not_found.len(),
            delete_events: self.deletion.delete_events,
            delete_recordings: self.deletion.delete_recordings,
            keep_person: self.deletion.keep_person,
            result: None,
            notes: Vec::new(),
        };
        (facts, truncated.table)
    }

    pub(super) fn preview(&self, context: &Context) -> Preview<Output> {
        let (mut facts, table) = self.facts(&context.limits);
        note_unlisted(&mut facts.notes, facts.persons.len(), self.targets.len());
        let what = if self.deletion.keep_person {
            self.data()
        } else {
            "these persons"
        };
        let mut text = format!(
            "delete {what}, in project {} at {}:\n{table}{}\n",
            self.project,
            self.host,
            self.consequences()
        );
        self.write_not_found(&mut text);
        write_notes(&mut text, &facts.notes);
        Preview {
            question: self.question(),
            text,
            facts,
            digest: digest_of(&self.targets),
        }
    }

    fn question(&self) -> Question {
        let persons = confirmation_text::persons(self.targets.len() as u64);
        let (events, recordings) = (self.deletion.delete_events, self.deletion.delete_recordings);
        let with = match (events, recordings) {
            (true, true) => ", with their events and recordings",
            (true, false) => ", with their events",
            (false, true) => ", with their recordings",
            (false, false) => "",
        };
        let (action, what, consequences) = if self.deletion.keep_person {
            (
                format!("Delete data of {persons}"),
                format!("Delete {} of {persons} for good?", self.data()),
                match (events, recordings) {
                    (true, true) => "The persons, their properties and distinct ids stay.",
                    (true, false) => "The persons, their properties and recordings stay.",
                    (false, _) => "The persons, their properties and events stay.",
                },
            )
        } else {
            (
                format!("Delete {persons}"),
                format!("Delete {persons} for good{with}?"),
                match (events, recordings) {
                    (true, true) => "All distinct ids, properties, events and recordings go.",
                    (true, false) => "All distinct ids and properties go. Recordings stay.",
                    (false, true) => "All distinct ids and properties go. Events stay.",
                    (false, false) => {
                        "All distinct ids and properties go. Events and recordings stay."
                    }
                },
            )
        };
        let mut sections = Vec::new();
        if events {
            let weekly = "PostHog deletes the events in a weekly batch.";
            sections.push(Section::Note(weekly.to_owned()));
        }
        sections.push(Section::Persons(self.targets.clone()));
        sections.push(Section::NotFound(self.not_found.clone()));
        Question {
            action,
            summary: [
                what,
                confirmation_text::names_line(&self.targets),
                consequences.to_owned(),
                confirmation_text::place_line(self.project, &self.host),
            ],
            consequences: self.gone_and_kept(),
            sections,
        }
    }

    /// What is deleted and what stays.
    fn gone_and_kept(&self) -> Vec<Consequence> {
        let persons = "the persons entirely, with all properties and all distinct ids, including those not listed here";
        let all = [
            (
                !self.deletion.keep_person,
                persons,
                "the persons, with their properties and distinct ids",
            ),
            (self.deletion.delete_events, "their events", "their events"),
            (
                self.deletion.delete_recordings,
                "their recordings",
                "their recordings",
            ),
        ];
        let gone = all
            .iter()
            .filter(|(goes, ..)| *goes)
            .map(|(_, gone, _)| *gone);
        let kept = all
            .iter()
            .filter(|(goes, ..)| !goes)
            .map(|(_, _, kept)| *kept);
        [
            ("Deleted", gone.collect::<Vec<_>>()),
            ("Stays", kept.collect()),
        ]
        .into_iter()
        .filter(|(_, what)| !what.is_empty())
        .map(|(label, what)| Consequence::new(label, what))
        .collect()
    }

    /// The data that is deleted if the persons are kept.
    fn data(&self) -> &'static str {
        match (self.deletion.delete_events, self.deletion.delete_recordings) {
            (true, true) => "the events and the recordings",
            (true, false) => "the events",
            (false, _) => "the recordings",
        }
    }

    fn consequences(&self) -> String {
        let (events, recordings) = (self.deletion.delete_events, self.deletion.delete_recordings);
        if self.deletion.keep_person {
            let weekly = if events {
                " PostHog deletes events in a weekly batch."
            } else {
                ""
            };
            return format!(
                "Deleted: {}. The persons and their properties stay.{weekly}",
                self.data()
            );
        }
        let extra = match (events, recordings) {
            (true, true) => {
                "Also deleted: their events (in PostHog's weekly batch) and their recordings."
            }
            (true, false) => {
                "Also deleted: their events (in PostHog's weekly batch). Recordings stay."
            }
            (false, true) => "Also deleted: their recordings. Events stay.",
            (false, false) => "Their events and recordings stay.",
        };
        format!(
            "Each person is deleted entirely, with all properties and all distinct ids, including those not listed here. {extra}"
        )
    }

    pub(super) fn write_not_found(&self, text: &mut String) {
        let count = self.not_found.len();
        if count == 0 {
            return;
        }
        let named = truncate_names(self.not_found_bytes.min(4000), self.not_found.clone());
        let _ = write!(text, "Ids of nobody ({count}): ");
        write_list(text, &named);
        text.push_str(if named.len() < count { ", …\n" } else { "\n" });
    }
}
