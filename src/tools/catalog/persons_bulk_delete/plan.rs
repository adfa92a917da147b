//! What would be deleted, for the user and the model to review.

use std::fmt::Write as _;

use futures::{StreamExt, stream};

use super::Input;
use super::result::{Output, PersonToDelete};
use crate::output::{OutputOptions, truncate_names, truncate_rows, write_list, write_notes};
use crate::tools::support::confirmation_text::{self, Target};
use crate::tools::{Context, Preview, ToolError};
use posthog_client::{BulkDeletion, MINIMAL_DISTINCT_IDS, Person, PersonId, Untrusted};

/// Persons whose distinct ids are counted by separate requests, because a batch truncates them.
const MAX_COUNTED: usize = 20;
/// Requests of one preview that run at the same time.
const CONCURRENCY: usize = 8;

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
        persons: Vec<Person>,
        not_found: Vec<Untrusted<String>>,
    ) -> Result<Self, ToolError> {
        let sanitizer = context.limits.sanitizer();
        Ok(Self {
            // By UUID even if distinct ids were given: one of them could move to another person before the request
            // arrives, and that person was not previewed.
            deletion: BulkDeletion {
                uuids: persons.iter().map(|person| person.uuid).collect(),
                delete_events: input.delete_events,
                delete_recordings: input.delete_recordings,
                keep_person: input.keep_person,
            },
            targets: with_distinct_id_counts(context, persons).await?,
            not_found: not_found.iter().map(|id| sanitizer.text(id)).collect(),
            not_found_bytes: context.limits.bytes / 4,
            project: context.posthog.project().await?,
            host: context.posthog.host().to_owned(),
        })
    }

    pub(super) fn facts(&self, limits: &OutputOptions) -> (Output, String) {
        let limits = limits.without(self.not_found_bytes);
        let truncated = truncate_rows(&limits, &self.targets, |target, _| PersonToDelete {
            uuid: target.uuid.clone(),
            name: target.name.clone(),
            distinct_id_count: target.distinct_id_count,
            count_is_minimum: target.count_is_minimum,
        });
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
        if facts.persons.len() < self.targets.len() {
            facts.notes.push(format!(
                "Only {} persons are listed here.",
                facts.persons.len()
            ));
        }
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
        }
    }

    /// The question for the user: every person is listed, and names cannot forge lines.
    fn question(&self) -> String {
        let count = self.targets.len();
        let persons = confirmation_text::persons(count as u64);
        let what = if self.deletion.keep_person {
            format!("Delete {} of {persons} (the persons stay) in", self.data())
        } else {
            format!("Delete {persons} from")
        };
        let mut text = format!(
            "{what} PostHog project {} at {}? This cannot be undone.\n",
            self.project, self.host
        );
        confirmation_text::write_targets(&mut text, &self.targets);
        text.push_str(&self.consequences());
        text.push('\n');
        self.write_not_found(&mut text);
        text
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
        let _ = write!(text, "Not found ({count}): ");
        write_list(text, &named);
        text.push_str(if named.len() < count { ", …\n" } else { "\n" });
    }
}

/// The persons with exact distinct id counts, if few enough of them have truncated lists.
async fn with_distinct_id_counts(
    context: &Context,
    persons: Vec<Person>,
) -> Result<Vec<Target>, ToolError> {
    let open = |person: &Person| person.distinct_ids.len() >= MINIMAL_DISTINCT_IDS;
    let few = persons.iter().filter(|person| open(person)).count() <= MAX_COUNTED;
    let mut counts = Vec::new();
    for person in persons {
        let id = (open(&person) && few).then(|| PersonId::from(person.uuid));
        counts.push(async move {
            let mut target = Target::new(&context.limits, &person);
            target.count_is_minimum = open(&person);
            if let Some(id) = id {
                let whole = context.posthog.person(&id).await?;
                target.distinct_id_count = whole.distinct_ids.len();
                target.count_is_minimum = false;
            }
            Ok(target)
        });
    }
    let targets: Vec<Result<Target, ToolError>> =
        stream::iter(counts).buffered(CONCURRENCY).collect().await;
    targets.into_iter().collect()
}
