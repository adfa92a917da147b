//! `persons-properties-at-time-retrieve`: a person's properties as they were.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::output::{PersonCard, person_card};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, PersonUuid, Select, Timestamp, select};
use crate::tools::support::known_person::limits_knowing;
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{PersonId, PropertiesAtTimeQuery, PropertiesAtTimeSubject, RequiredScopes};

pub(super) struct PersonsPropertiesAtTimeRetrieve;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Exact distinct id, such as "user_123". Give this or `person_id`.
    distinct_id: Option<DistinctId>,
    /// Person UUID. Give this or `distinct_id`.
    person_id: Option<PersonUuid>,
    /// Point in time in ISO 8601, at most 2 years ago, such as 2026-01-31T12:00:00Z.
    timestamp: Timestamp,
    /// Include properties that were set with $set_once.
    #[serde(default)]
    include_set_once: bool,
    /// Property names to show, such as ["plan", "$os"]; ["*"] shows all. Default: name, email and country.
    select: Option<Select>,
}

impl Tool for PersonsPropertiesAtTimeRetrieve {
    type Input = Input;
    type Output = PersonCard;
    const NAME: &'static str = "persons-properties-at-time-retrieve";
    const TITLE: &'static str = "Person properties at a point in time";
    const DESCRIPTION: &'static str = "Get the properties of a person as they were at a point in time (the profile in the past, such as last month), \
         rebuilt from events. Call it for two points in time to see what changed between them.";
    const SEARCH_HINT: &'static str = "what a user or customer profile looked like in the past, at a date, before a \
         change, last month; old value of a property";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::History;
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:read"]);
    const EXAMPLE: &'static str =
        r#"{"person_id": "ada0ada0-1815-4852-8000-000000000101", "timestamp": "2026-06-01"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<PersonCard>, ToolError> {
        let subject = match (input.distinct_id, input.person_id) {
            (Some(id), None) => PropertiesAtTimeSubject::DistinctId(id.0),
            (None, Some(uuid)) => PropertiesAtTimeSubject::Person(uuid.0),
            _ => {
                return Err(ToolError::invalid_input(
                    "Give exactly one of `distinct_id` and `person_id` (the person's UUID).",
                ));
            }
        };
        let query = PropertiesAtTimeQuery {
            subject,
            timestamp: input.timestamp.0,
            include_set_once: input.include_set_once,
        };
        let person = context.posthog.properties_at_time(&query).await?;
        let id = PersonId::from(person.uuid);
        let limits = limits_knowing(context, &id).await?;
        let url = context.posthog.person_url(person.uuid).await?;
        let notes = [format!(
            "Properties as of {}, rebuilt from events; name, distinct ids and dates are today's.",
            query.timestamp
        )];
        Ok(person_card(&limits, &person, &url, &select(input.select), &notes).into())
    }
}
