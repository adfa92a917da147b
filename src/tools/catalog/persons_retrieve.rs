//! `persons-retrieve`: one person.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::output::{PersonCard, person_card};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, Id, Select, Subject, select, subject};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{LISTED_DISTINCT_IDS, PersonId, RequiredScopes};

pub(super) struct PersonsRetrieve;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text. Give this or `distinct_id`.
    id: Option<Id>,
    /// Exact distinct id, such as "user_123". Give this or `id`.
    distinct_id: Option<DistinctId>,
    /// Property names to show, such as ["plan", "$os"]; ["*"] shows all. Default: name, email and country.
    select: Option<Select>,
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
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:read"]);
    const EXAMPLE: &'static str = r#"{"id": "ada0ada0-1815-4852-8000-000000000101"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<PersonCard>, ToolError> {
        let posthog = &context.posthog;
        let person = match subject(input.id, input.distinct_id)? {
            Subject::Id(id) => posthog.person(&id).await?,
            Subject::DistinctId(distinct_id) => {
                let person = posthog.person_by_distinct_id(&distinct_id).await?;
                if person.distinct_ids.len() >= LISTED_DISTINCT_IDS {
                    // The lookup by distinct id truncates them, and the count must be exact.
                    posthog.person(&PersonId::from(person.uuid)).await?
                } else {
                    person
                }
            }
        };
        let url = posthog.person_url(person.uuid).await?;
        Ok(person_card(&context.limits, &person, &url, &select(input.select), &[]).into())
    }
}
