//! `persons-bulk-delete`: delete persons, their events, their recordings.

mod plan;
mod result;

use futures::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use self::plan::Plan;
use self::result::Output;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, PersonUuid, WaitSeconds, distinct};
use crate::tools::support::resolve_person::{once_each, partition, persons_of};
use crate::tools::{Context, PendingWrite, PersonData, Status, Tool, ToolError, ToolOutcome};
use posthog_client::{BulkDeletion, MAX_DELETED, Person, RequiredScopes, Untrusted};

pub(super) struct PersonsBulkDelete;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Up to 1000 person UUIDs. Give this or `distinct_ids`.
    ids: Option<Vec<PersonUuid>>,
    /// Up to 1000 distinct ids, such as ["user_123"]; each deletes its whole person.
    distinct_ids: Option<Vec<DistinctId>>,
    /// Also delete their events, in PostHog's weekly batch.
    #[serde(default)]
    delete_events: bool,
    /// Also delete their session recordings.
    #[serde(default)]
    delete_recordings: bool,
    /// Keep the persons and delete only events or recordings.
    #[serde(default)]
    keep_person: bool,
    /// Seconds to wait until the persons are deleted.
    #[serde(default)]
    wait_seconds: WaitSeconds,
}

impl Tool for PersonsBulkDelete {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-bulk-delete";
    const TITLE: &'static str = "Delete persons";
    const DESCRIPTION: &'static str = "Delete persons (users, customers) permanently, with all their distinct ids \
         and properties, and optionally their events and recordings. To erase or forget a person (GDPR), set \
         delete_events and delete_recordings. The user must confirm. Verify with \
         persons-deletion-status-list and person_uuids.";
    const SEARCH_HINT: &'static str = "delete, remove, erase or forget a user, customer, contact or account; GDPR, \
         CCPA, right to be forgotten, privacy request";
    const EFFECT: Effect = Effect::Delete { idempotent: true };
    const TOOLSET: Toolset = Toolset::Delete;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:write"]);
    const EXAMPLE: &'static str = r#"{"ids": ["326043c7-9577-586f-b399-8da3ff6a80ff"]}"#;
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
                "None of the {} ids belongs to a person in this project. Nothing was sent. Find the persons with persons-list.",
                not_found.len()
            )));
        }
        let plan = Plan::new(context, &input, found, not_found).await?;
        for feature in plan.deletion.features() {
            context.posthog.require(feature).await?;
        }
        let preview = plan.preview(context);
        let (context, deletion) = (context.clone(), plan.deletion.clone());
        let wait = input.wait_seconds;
        Ok(ToolOutcome::PendingWrite(PendingWrite {
            persons: deletion.uuids.iter().map(Uuid::to_string).collect(),
            property_keys: Vec::new(),
            deletes: deleted_data(&deletion),
            merged_into: None,
            preview: Some(Box::new(preview)),
            execute: async move {
                let summary = context.posthog.bulk_delete(&deletion).await;
                let summary = summary.map_err(|error| {
                    ToolError::from(error).with_verification_hint(
                        "persons-batch-retrieve with the uuids shows in a few minutes which persons are deleted; persons-deletion-status-list shows queued event deletions. Do not delete again before checking."
                            .to_owned(),
                    )
                })?;
                let left = plan.left(&context, summary.as_ref(), wait).await;
                Ok(plan.result(&context, summary.as_ref(), left))
            }
            .boxed(),
        }))
    }
}

fn deleted_data(deletion: &BulkDeletion) -> Vec<PersonData> {
    let is_deleted = |data: &PersonData| match data {
        PersonData::Profile => !deletion.keep_person,
        PersonData::Events => deletion.delete_events,
        PersonData::Recordings => deletion.delete_recordings,
    };
    PersonData::ALL.into_iter().filter(is_deleted).collect()
}

/// The persons to delete, by UUID or by distinct id.
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
                "{count} ids are too many; at most {MAX_DELETED} are allowed per call, so that the user can review them. Nothing was sent."
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

/// The persons of the ids, each once with the distinct ids that led to it, and the ids without one.
async fn resolve(
    context: &Context,
    ids: &Ids,
) -> Result<
    (
        Vec<(Person, Vec<Untrusted<String>>)>,
        Vec<Untrusted<String>>,
    ),
    ToolError,
> {
    let posthog = &context.posthog;
    let (found, not_found) = match ids {
        Ids::Uuids(uuids) => {
            let found = posthog.persons_by_uuids(uuids).await?;
            let (persons, not_found) = partition(uuids.clone(), found);
            let persons = persons.into_iter().map(|(_, person)| (person, None));
            let not_found = not_found.iter().map(|uuid| uuid.to_string().into());
            (persons.collect::<Vec<_>>(), not_found.collect())
        }
        Ids::DistinctIds(ids) => {
            let found = persons_of(context, ids).await?;
            let ids = ids.iter().map(|id| Untrusted::from(id.clone())).collect();
            let (persons, not_found) = partition(ids, found);
            let persons = persons.into_iter().map(|(id, person)| (person, Some(id)));
            (persons.collect(), not_found)
        }
    };
    Ok((once_each(found), not_found))
}
