//! `persons-merge`: merge duplicates into one person.

mod plan;
mod question;
mod result;

use std::collections::HashSet;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use posthog_client::{Person, RequiredScopes};
use schemars::JsonSchema;
use serde::Deserialize;

use self::plan::Plan;
use self::result::Output;
use crate::policy::{Effect, OptIn, Toolset};
use crate::tools::arguments::{Id, WaitSeconds};
use crate::tools::{Context, PendingWrite, Status, Tool, ToolError, ToolOutcome};

/// As many as a user can review.
const MAX_PERSONS: usize = 10;
/// Reads that run at the same time.
const CONCURRENCY: usize = 8;

pub(super) struct PersonsMerge;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The person that stays: UUID, or the numeric person id as text.
    into: Id,
    /// Up to 9 others, which are merged into it and deleted: UUIDs or numeric ids. Where several have a property, the earlier one's value stays.
    persons: Vec<Id>,
    /// Seconds to wait for the effect.
    #[serde(default)]
    wait_seconds: WaitSeconds,
}

impl Tool for PersonsMerge {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-merge";
    const TITLE: &'static str = "Merge persons";
    const DESCRIPTION: &'static str = "Merge duplicates into one person: `persons` into the person `into`. It keeps its UUID and, where both have a \
         property, its value; the others are deleted, their distinct ids and events move to it. Cannot be undone: \
         persons-split gives back ids, not properties. The user must confirm.";
    const SEARCH_HINT: &'static str = "merge, combine, join, unify or dedupe two users, customers, contacts or accounts; duplicates, same person twice, \
         alias, identify, link anonymous visitor";
    const EFFECT: Effect = Effect::Delete { idempotent: false };
    const TOOLSET: Toolset = Toolset::Delete;
    const OPT_IN: Option<OptIn> = Some(OptIn::Merge);
    const ACCESS: RequiredScopes = RequiredScopes(&["person:read", "project:read"]);
    const EXAMPLE: &'static str = r#"{"into": "25ff7608-828e-5b6c-a20f-f615d76f4b4a", "persons": ["d702f803-2395-5491-ae8d-fe53d69229d6"]}"#;
    const STATUSES: &'static [Status] = &[Status::Queued, Status::Done, Status::Partly];

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let ids = validate_ids(input.into, input.persons)?;
        let token = context.posthog.project_token().await?;
        let persons = read(context, ids).await?;
        let plan = Plan::new(context, &persons, token).await?;
        let preview = plan.preview();
        let (context, wait) = (context.clone(), input.wait_seconds);
        Ok(ToolOutcome::PendingWrite(PendingWrite {
            persons: plan.uuids(),
            property_keys: Vec::new(),
            deletes: Vec::new(),
            merged_into: Some(plan.kept.to_string()),
            preview: Some(Box::new(preview)),
            execute: async move { plan.send(&context, wait).await }.boxed(),
        }))
    }
}

/// Every check that needs no request. The person that stays is the first.
fn validate_ids(into: Id, mut persons: Vec<Id>) -> Result<Vec<Id>, ToolError> {
    let mut seen = HashSet::new();
    persons.retain(|id| seen.insert(id.0.as_str().to_owned()));
    let others = persons.len();
    if others == 0 {
        return Err(ToolError::invalid_input(
            "`persons` is empty: name the persons that are merged into `into`. Nothing was sent.",
        ));
    }
    if others >= MAX_PERSONS {
        return Err(ToolError::invalid_input(format!(
            "{} persons are too many; at most {MAX_PERSONS} are merged per call, `into` included, so that the user can review them. Nothing was sent.",
            others + 1
        )));
    }
    Ok(std::iter::once(into).chain(persons).collect())
}

/// The persons with all their distinct ids, each once.
async fn read(context: &Context, ids: Vec<Id>) -> Result<Vec<Person>, ToolError> {
    let reads = ids
        .into_iter()
        .map(|id| async move { context.posthog.person(&id.0).await });
    let found: Vec<Person> = stream::iter(reads)
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut persons: Vec<Person> = Vec::new();
    for person in found {
        match persons.iter().position(|known| known.uuid == person.uuid) {
            None => persons.push(person),
            Some(0) => {
                return Err(ToolError::invalid_input(format!(
                    "The person {} is named in `into` and in `persons`: it cannot stay and be merged away. Nothing was sent.",
                    person.uuid
                )));
            }
            Some(_) => {}
        }
    }
    Ok(persons)
}
