//! `persons-batch-retrieve`: many persons by known ids.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arguments::{DistinctId, PersonUuid, Select, select};
use super::{Context, Tool, ToolError};
use crate::answer::{Answer, PersonRow, Screen, fit, push_list, push_notes};
use crate::policy::{Effect, Toolset};
use crate::posthog::{MINIMAL_DISTINCT_IDS, Person};

/// Ten requests.
const MOST_IDS: usize = 2000;

pub(super) struct PersonsBatchRetrieve;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// At most 2000. Give this or uuids
    distinct_ids: Option<Vec<DistinctId>>,
    /// At most 2000 person UUIDs
    uuids: Option<Vec<PersonUuid>>,
    select: Option<Select>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    results: Vec<PersonRow>,
    /// Ids that belong to no person
    not_found: Vec<String>,
    /// Ids whose persons did not fit into this answer
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_shown: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl Tool for PersonsBatchRetrieve {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-batch-retrieve";
    const TITLE: &'static str = "Get many persons";
    const DESCRIPTION: &'static str = "Looks up many persons by distinct ids or UUIDs in one call and names the ids that belong to nobody. \
         A merged person stands once for each id asked for.";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;

    async fn call(context: &Context, input: Input) -> Result<Answer<Output>, ToolError> {
        let posthog = &context.posthog;
        let (ids, mut found) = match (input.distinct_ids, input.uuids) {
            (Some(ids), None) => {
                let ids = distinct(ids.into_iter().map(|id| id.0))?;
                let found = posthog.persons_by_distinct_ids(&ids).await?;
                (ids, found)
            }
            (None, Some(uuids)) => {
                let ids = distinct(uuids.iter().map(|uuid| uuid.0))?;
                let found = posthog.persons_by_uuids(&ids).await?;
                (ids.iter().map(ToString::to_string).collect(), found)
            }
            _ => {
                return Err(ToolError::refused(
                    "Give exactly one of `distinct_ids` and `uuids`.",
                ));
            }
        };
        let (mut persons, mut not_found): (Vec<(String, Person)>, Vec<String>) = Default::default();
        for id in ids {
            match found.remove(&id) {
                Some(person) => persons.push((id, person)),
                None => not_found.push(id),
            }
        }
        Ok(answer(context, &persons, &not_found, &select(input.select)))
    }
}

/// Drops repeated ids and checks how many are left.
fn distinct<T: Clone + Eq + std::hash::Hash>(
    ids: impl Iterator<Item = T>,
) -> Result<Vec<T>, ToolError> {
    let mut seen = HashSet::new();
    let ids: Vec<T> = ids.filter(|id| seen.insert(id.clone())).collect();
    match ids.len() {
        1..=MOST_IDS => Ok(ids),
        0 => Err(ToolError::refused("The list of ids is empty.")),
        count => Err(ToolError::refused(format!(
            "{count} ids are too many; at most {MOST_IDS} in one call."
        ))),
    }
}

fn answer(
    context: &Context,
    persons: &[(String, Person)],
    not_found: &[String],
    select: &crate::answer::Select,
) -> Answer<Output> {
    let screen = Screen::new(0);
    let shown = |ids: &[String]| ids.iter().map(|id| screen.name(id)).collect::<Vec<_>>();
    let not_found = shown(not_found);
    // The names of the missing are part of the answer, so the rows get what is left.
    let mut limits = context.limits;
    let missing_bytes: usize = not_found.iter().map(|id| id.len() + 3).sum();
    limits.bytes = limits
        .bytes
        .saturating_sub(missing_bytes)
        .max(limits.bytes / 4);

    let mut notes = Vec::new();
    let mut fitted = fit(limits, persons, |(id, person), screen| {
        PersonRow::new(person, select, MINIMAL_DISTINCT_IDS, screen).requested(screen.name(id))
    });
    if fitted.rows.len() < persons.len() {
        // Every person with less beats some persons with more: there is no next page to ask for.
        fitted = fit(limits, persons, |(id, person), screen| {
            PersonRow::lean(person, select, screen).requested(screen.name(id))
        });
        notes.push(
            "To show all, distinct ids and dates are left out; ask for fewer persons to see them."
                .to_owned(),
        );
    }
    let left: Vec<&String> = persons
        .iter()
        .skip(fitted.rows.len())
        .map(|(id, _)| id)
        .collect();
    let mut not_shown = Vec::new();
    if let Some(first) = left.first() {
        let total = left.len();
        not_shown = left.iter().take(200).map(|id| screen.name(id)).collect();
        notes.push(format!(
            "{total} persons did not fit, from the id {} on, in the order asked for; call again with the rest, or select \
             fewer properties.",
            screen.name(first)
        ));
    }
    if fitted.shortened > 0 {
        notes.push("Long values are shortened, marked with …; persons-retrieve with select names one in full.".to_owned());
    }
    let mut text = format!(
        "{} found, {} not found\n{}",
        persons.len(),
        not_found.len(),
        fitted.table
    );
    if !not_found.is_empty() {
        text.push_str("not found: ");
        push_list(&mut text, &not_found);
        text.push('\n');
    }
    push_notes(&mut text, &notes);
    Answer {
        structured: Output {
            results: fitted.rows,
            not_found,
            not_shown,
            notes,
        },
        text,
    }
}
