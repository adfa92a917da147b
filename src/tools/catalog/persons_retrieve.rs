//! `persons-retrieve`: one person.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::output::{self, Card, DistinctIdPage, PersonCard, person_card, quoted};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, Id, NonEmptyString, Select, Subject, select, subject};
use crate::tools::support::resolve_person::person_of;
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{ErrorKind, LISTED_DISTINCT_IDS, Person, PersonId, RequiredScopes};

pub(super) struct PersonsRetrieve;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text. Give this or `distinct_id`.
    id: Option<Id>,
    /// Exact distinct id, such as "user_123". Give this or `id`.
    distinct_id: Option<DistinctId>,
    /// As in persons-list.
    select: Option<Select>,
    /// Show the distinct ids after this one, such as "user_123".
    distinct_ids_after: Option<DistinctId>,
    /// Show only distinct ids that begin so, such as "user_".
    distinct_ids_prefix: Option<NonEmptyString>,
}

impl Tool for PersonsRetrieve {
    type Input = Input;
    type Output = PersonCard;
    const NAME: &'static str = "persons-retrieve";
    const TITLE: &'static str = "Get a person";
    const DESCRIPTION: &'static str = "Look up one person (user, customer, contact): selected properties, the names \
         of the other properties, distinct ids and a link to PostHog. To find a person by email or name, use \
         persons-list; for several ids, persons-batch-retrieve.";
    const SEARCH_HINT: &'static str = "look up one user, customer, contact or account by id; profile and details of \
         a person";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:read"]);
    const EXAMPLE: &'static str = r#"{"id": "ada0ada0-1815-4852-8000-000000000101"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<PersonCard>, ToolError> {
        let mut notes = Vec::new();
        let select = select(input.select);
        let page = DistinctIdPage {
            after: input.distinct_ids_after.map(|id| id.0),
            prefix: input.distinct_ids_prefix.map(|prefix| prefix.0),
        };
        let person = match subject(input.id, input.distinct_id)? {
            Subject::Id(id) => by_id(context, &id, &mut notes).await?,
            Subject::DistinctId(distinct_id) => {
                let person = person_of(context, &distinct_id).await?;
                if person.distinct_ids.len() >= LISTED_DISTINCT_IDS {
                    // The lookup by distinct id truncates them, and the count must be exact.
                    context.posthog.person(&PersonId::from(person.uuid)).await?
                } else {
                    person
                }
            }
        };
        if !page.begins_in(&context.limits, &person) {
            return Err(ToolError::invalid_input(
                "The person does not have the distinct id in `distinct_ids_after`. Give one of the person's distinct ids, as it is \
                 shown, or leave the argument out.",
            ));
        }
        if select == output::Select::All {
            notes.push(
                "This is the profile; the person's events and recordings are not part of it."
                    .to_owned(),
            );
        }
        let url = context.posthog.person_url(person.uuid).await?;
        let card = Card {
            person: &person,
            url: &url,
            select: &select,
            distinct_ids: &page,
            notes: &notes,
        };
        Ok(person_card(&context.limits, &card).into())
    }
}

/// The person with this id. A numeric id can as well be a distinct id of another person, which is reported.
async fn by_id(
    context: &Context,
    id: &PersonId,
    notes: &mut Vec<String>,
) -> Result<Person, ToolError> {
    let person = context.posthog.person(id).await;
    if id.uuid().is_some() {
        return Ok(person?);
    }
    if let Err(error) = &person
        && *error.kind() != ErrorKind::NotFound
    {
        return Ok(person?);
    }
    // Not worth failing for.
    let namesake = context
        .posthog
        .person_by_distinct_id(id.as_str())
        .await
        .ok();
    let shown = quoted(id.as_str());
    match (person, namesake) {
        (Ok(person), Some(other)) if other.uuid != person.uuid => {
            notes.push(format!(
                "Distinct id {shown} belongs to another person, UUID {}; call with distinct_id to see that one.",
                other.uuid
            ));
            Ok(person)
        }
        (Err(_), Some(other)) => Err(ToolError::invalid_input(format!(
            "No person has the numeric id {}, but the person with the UUID {} has the distinct id {shown}; call with distinct_id \
                 to see that one.",
            id.as_str(),
            other.uuid
        ))),
        (person, _) => Ok(person?),
    }
}
