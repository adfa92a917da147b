//! `persons-bulk-delete`: delete persons, their events, their recordings.

use std::collections::HashSet;
use std::fmt::Write as _;

use futures::{FutureExt, StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::output::{
    Cells, OutputOptions, Row, ToolOutput, truncate_names, truncate_rows, write_list, write_notes,
};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, PersonUuid, distinct};
use crate::tools::support::confirmation_text::{self, Target};
use crate::tools::{
    Context, Outcome, PendingWrite, Preview, Status, Tool, ToolError, ToolOutcome, WriteResult,
};
use posthog_client::{
    BulkDeletion, BulkDeletionSummary, MAX_DELETED, MINIMAL_DISTINCT_IDS, Person, PersonId,
    RequiredScopes,
};

/// Persons whose distinct ids are counted one by one, because a batch does not send them all.
const MAX_COUNTED: usize = 20;
/// Requests of one preview that run at the same time.
const CONCURRENCY: usize = 8;

pub(super) struct PersonsBulkDelete;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// At most 1000 UUIDs; or distinct_ids
    ids: Option<Vec<PersonUuid>>,
    /// At most 1000; one deletes the whole person
    distinct_ids: Option<Vec<DistinctId>>,
    /// Also their events
    #[serde(default)]
    delete_events: bool,
    /// Also their recordings
    #[serde(default)]
    delete_recordings: bool,
    /// Only events or recordings
    #[serde(default)]
    keep_person: bool,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Output {
    project: u64,
    persons: Vec<PersonToDelete>,
    person_count: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_found: Vec<String>,
    not_found_count: usize,
    delete_events: bool,
    delete_recordings: bool,
    keep_person: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Summary>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct PersonToDelete {
    uuid: String,
    name: String,
    distinct_id_count: usize,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    count_is_minimum: bool,
}

// As PostHog says it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Summary {
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

impl Row for PersonToDelete {
    fn header(_: &[Self]) -> Vec<String> {
        ["uuid", "name", "distinct_id_count"]
            .map(str::to_owned)
            .to_vec()
    }

    fn cells(&self, _: &[String], cells: &mut Cells<'_>) {
        cells.text(&self.uuid);
        cells.text(&self.name);
        if self.count_is_minimum {
            cells.text(&format!("{}+", self.distinct_id_count));
        } else {
            cells.number(self.distinct_id_count);
        }
    }
}

impl Tool for PersonsBulkDelete {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-bulk-delete";
    const TITLE: &'static str = "Delete persons";
    const DESCRIPTION: &'static str = "Deletes persons for good, with all distinct ids and properties; events and \
         recordings if asked for. The user is shown whom and asked first; dry_run only shows. Progress: \
         persons-retrieve (profile), persons-deletion-status-list (events).";
    const EFFECT: Effect = Effect::Delete { idempotent: true };
    const TOOLSET: Toolset = Toolset::Delete;
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:write"]);
    const STATUSES: &'static [Status] = &[
        Status::Queued,
        Status::Deleted,
        Status::Partly,
        Status::Failed,
    ];

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let ids = validate_ids(&input)?;
        let (found, not_found) = resolve(context, &ids).await?;
        if found.is_empty() {
            return Err(ToolError::invalid_input(format!(
                "None of the {} ids belongs to a person of this project; nothing was sent. Look the persons up with persons-list.",
                not_found.len()
            )));
        }
        let plan = Plan::new(context, &input, found, not_found).await?;
        let preview = plan.preview(context);
        let (context, deletion) = (context.clone(), plan.deletion.clone());
        Ok(ToolOutcome::PendingWrite(PendingWrite {
            persons: deletion.uuids.iter().map(Uuid::to_string).collect(),
            property_keys: Vec::new(),
            preview: Some(preview),
            execute: async move {
                let summary = context.posthog.bulk_delete(&deletion).await;
                let summary = summary.map_err(|error| {
                    ToolError::from(error).with_verification_hint(
                        "persons-batch-retrieve with the uuids shows which persons are gone, in a few minutes; \
                         persons-deletion-status-list shows queued events. Do not delete again before you have looked."
                            .to_owned(),
                    )
                })?;
                Ok(plan.result(&context, &summary))
            }
            .boxed(),
        }))
    }
}

/// What is to be deleted, by one of its names.
enum Ids {
    Uuids(Vec<Uuid>),
    DistinctIds(Vec<String>),
}

impl Ids {
    fn len(&self) -> usize {
        match self {
            Self::Uuids(ids) => ids.len(),
            Self::DistinctIds(ids) => ids.len(),
        }
    }
}

/// Every check that needs no request.
fn validate_ids(input: &Input) -> Result<Ids, ToolError> {
    let ids = match (&input.ids, &input.distinct_ids) {
        (Some(ids), None) => Ids::Uuids(distinct(ids.iter().map(|id| id.0))),
        (None, Some(ids)) => Ids::DistinctIds(distinct(ids.iter().map(|id| id.0.clone()))),
        _ => {
            return Err(ToolError::invalid_input(
                "Give exactly one of `ids` (person UUIDs) and `distinct_ids`. Nothing was sent.",
            ));
        }
    };
    match ids.len() {
        0 => {
            return Err(ToolError::invalid_input(
                "The list of ids is empty. Nothing was sent.",
            ));
        }
        1..=MAX_DELETED => {}
        count => {
            return Err(ToolError::invalid_input(format!(
                "{count} ids are too many: at most {MAX_DELETED} in one call, so that a human can see whom. Nothing was sent."
            )));
        }
    }
    if input.keep_person && !input.delete_events && !input.delete_recordings {
        return Err(ToolError::invalid_input(
            "`keep_person` without `delete_events` or `delete_recordings` deletes nothing. Nothing was sent.",
        ));
    }
    Ok(ids)
}

/// The persons behind the ids, each once, and the ids that belong to nobody.
async fn resolve(context: &Context, ids: &Ids) -> Result<(Vec<Person>, Vec<String>), ToolError> {
    let posthog = &context.posthog;
    let (names, mut found) = match ids {
        Ids::Uuids(uuids) => {
            let found = posthog.persons_by_uuids(uuids).await?;
            (uuids.iter().map(Uuid::to_string).collect(), found)
        }
        Ids::DistinctIds(ids) => (ids.clone(), posthog.persons_by_distinct_ids(ids).await?),
    };
    let mut seen = HashSet::new();
    let (mut persons, mut not_found) = (Vec::new(), Vec::new());
    for name in names {
        match found.remove(&name) {
            Some(person) => {
                if seen.insert(person.uuid.clone()) {
                    persons.push(person);
                }
            }
            None => not_found.push(name),
        }
    }
    Ok((persons, not_found))
}

/// A deletion that is ready to be shown and to be sent.
struct Plan {
    deletion: BulkDeletion,
    targets: Vec<Target>,
    not_found: Vec<String>,
    /// How much of an answer their names may take.
    not_found_bytes: usize,
    project: u64,
    host: String,
}

impl Plan {
    async fn new(
        context: &Context,
        input: &Input,
        persons: Vec<Person>,
        not_found: Vec<String>,
    ) -> Result<Self, ToolError> {
        let mut uuids = Vec::new();
        for person in &persons {
            let uuid = Uuid::try_parse(&person.uuid).map_err(|_| {
                ToolError::invalid_input(
                    "PostHog gave a person without a usable UUID; nothing was sent.",
                )
            })?;
            uuids.push(uuid);
        }
        let sanitizer = context.limits.sanitizer();
        Ok(Self {
            // By UUID also where distinct ids were given: should one of them move to another person before the
            // request arrives, that person was not shown to anybody.
            deletion: BulkDeletion {
                uuids,
                delete_events: input.delete_events,
                delete_recordings: input.delete_recordings,
                keep_person: input.keep_person,
            },
            targets: with_distinct_id_counts(context, persons).await?,
            not_found: not_found.iter().map(|id| sanitizer.name(id)).collect(),
            not_found_bytes: context.limits.bytes / 4,
            project: context.posthog.project().await?,
            host: context.posthog.host().to_owned(),
        })
    }

    fn facts(&self, limits: &OutputOptions) -> (Output, String) {
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

    fn preview(&self, context: &Context) -> Preview<Output> {
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

    /// The question for the human: everyone in it, nothing forged.
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

    /// The data that goes where the persons stay.
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
                " Events go in PostHog's weekly batch."
            } else {
                ""
            };
            return format!(
                "Deleted: {}. The persons themselves, with their properties, stay.{weekly}",
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
            "Each person goes as a whole, with all distinct ids and properties, also those not named in the call. {extra}"
        )
    }

    fn write_not_found(&self, text: &mut String) {
        let count = self.not_found.len();
        if count == 0 {
            return;
        }
        let named = truncate_names(self.not_found_bytes.min(4000), self.not_found.clone());
        let _ = write!(text, "Not found, left out ({count}): ");
        write_list(text, &named);
        text.push_str(if named.len() < count { ", …\n" } else { "\n" });
    }

    /// What PostHog's answer means.
    fn result(&self, context: &Context, summary: &BulkDeletionSummary) -> WriteResult<Output> {
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
            _ if keeps || queued > 0 => (Status::Queued, Outcome::Queued),
            _ => (Status::Deleted, Outcome::Done),
        };
        let sanitizer = context.limits.sanitizer();
        let (mut facts, _) = self.facts(&context.limits);
        let errors: Vec<NotDeleted> = summary
            .deletion_errors
            .iter()
            .map(|error| NotDeleted {
                person_uuid: sanitizer.name(error.person_uuid.as_deref().unwrap_or("unknown")),
                step: error.step.as_deref().map(|step| sanitizer.name(step)),
            })
            .collect();
        let all = self.targets.len();
        let mut text = match status {
            Status::Queued if keeps => {
                "Queued, not done yet: deletion of the data asked for. The persons stay.\n"
                    .to_owned()
            }
            Status::Queued if summary.persons_deleted > 0 => format!(
                "Deleted: {}. Queued, not done yet: deletion of {}. PostHog does it within minutes.\n",
                confirmation_text::persons(summary.persons_deleted),
                confirmation_text::persons(queued)
            ),
            Status::Queued => format!(
                "Queued, not done yet: deletion of {}. PostHog does it within minutes.\n",
                confirmation_text::persons(queued)
            ),
            Status::Deleted => format!(
                "Deleted: {}.\n",
                confirmation_text::persons(summary.persons_deleted)
            ),
            Status::Failed if keeps => "No data was deleted.\n".to_owned(),
            Status::Failed => "Nobody was deleted.\n".to_owned(),
            _ if keeps => format!(
                "Only partly done: the data of {went} of {} is queued for deletion.\n",
                confirmation_text::persons(all as u64)
            ),
            _ => format!(
                "Only partly done: {went} of {} are deleted or queued.\n",
                confirmation_text::persons(all as u64)
            ),
        };
        for error in &errors {
            let _ = write!(text, "NOT deleted: {}", error.person_uuid);
            if let Some(step) = &error.step {
                let _ = write!(text, " (failed at {step})");
            }
            text.push('\n');
        }
        let notes = &mut facts.notes;
        if !errors.is_empty() {
            notes.push("Those not deleted can be asked for again, alone.".to_owned());
        }
        if summary.persons_found < self.targets.len() as u64 {
            notes.push(format!(
                "PostHog found {} of the {} persons shown; the others were gone already.",
                summary.persons_found,
                self.targets.len()
            ));
        }
        if !keeps {
            notes.push(
                "persons-retrieve with the uuid says `not found` once a profile is gone."
                    .to_owned(),
            );
        }
        if summary.events_queued_for_deletion {
            notes.push("persons-deletion-status-list with person_uuid shows when the events are gone: after the weekly batch.".to_owned());
        }
        if summary.recordings_queued_for_deletion {
            notes.push("Recordings are deleted in the background; no read shows that.".to_owned());
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
}

/// The persons with the true number of their distinct ids, where a batch did not send them all and they are few.
async fn with_distinct_id_counts(
    context: &Context,
    persons: Vec<Person>,
) -> Result<Vec<Target>, ToolError> {
    let open = |person: &Person| person.distinct_ids.len() >= MINIMAL_DISTINCT_IDS;
    let few = persons.iter().filter(|person| open(person)).count() <= MAX_COUNTED;
    let mut counts = Vec::new();
    for person in persons {
        let id = PersonId::parse(&person.uuid).filter(|_| open(&person) && few);
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
