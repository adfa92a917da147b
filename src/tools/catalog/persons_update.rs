//! `persons-update`: set several properties of a person, or of several persons.

mod one;
mod several;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, Id, PersonUuid, WaitSeconds, subject};
use crate::tools::support::property_change;
use crate::tools::support::target::Target;
use crate::tools::{Context, Status, Tool, ToolError, ToolOutcome};
use posthog_client::RequiredScopes;

pub(super) struct PersonsUpdate;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID or numeric person id. Give one of the four.
    id: Option<Id>,
    /// Exact distinct id, such as "user_123".
    distinct_id: Option<DistinctId>,
    /// Up to 100 person UUIDs.
    ids: Option<Vec<PersonUuid>>,
    /// Up to 100 distinct ids, such as "user_123".
    distinct_ids: Option<Vec<DistinctId>>,
    /// Properties to set, by name, such as {"plan": "team", "seats": 5}. Values are any JSON.
    properties: Map<String, Value>,
    /// Seconds to wait for the effect.
    #[serde(default)]
    wait_seconds: WaitSeconds,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Output {
    // Of one person.
    #[serde(skip_serializing_if = "Option::is_none")]
    person_uuid: Option<String>,
    // Property keys.
    queued: Vec<String>,
    // The read that verifies the result.
    check: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    persons: Vec<Target>,
    // Of several persons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    results: Vec<PersonResult>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_found: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PersonResult {
    person_uuid: String,
    // done, queued, not done, unknown or not sent
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Tool for PersonsUpdate {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-update";
    const TITLE: &'static str = "Set person properties";
    const DESCRIPTION: &'static str = "Set properties of one person, or the same of up to 100 persons; others stay. The user must confirm \
         more than one person. For one property use persons-property-set, to remove properties persons-property-delete.";
    const SEARCH_HINT: &'static str = "update, edit or change several properties, fields or attributes of a user, \
         customer, contact or account";
    const EFFECT: Effect = Effect::Change;
    const CHANGES_SEVERAL: bool = true;
    const TOOLSET: Toolset = Toolset::Write;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:write"]);
    const EXAMPLE: &'static str =
        r#"{"id": "ada0ada0-1815-4852-8000-000000000101", "properties": {"plan": "team"}}"#;
    const STATUSES: &'static [Status] = &[Status::Queued, Status::Done, Status::Partly];

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let several = input.ids.is_some() || input.distinct_ids.is_some();
        let change = Change {
            properties: input.properties,
            wait: input.wait_seconds,
        };
        if change.properties.is_empty() {
            return Err(ToolError::invalid_input(
                "`properties` is empty: there is nothing to set.",
            ));
        }
        property_change::check_keys(change.properties.keys())?;
        let write = match (input.id, input.distinct_id) {
            (None, None) if several => {
                several::prepare(context, input.ids, input.distinct_ids, change).await?
            }
            (id, distinct_id) if !several => {
                one::prepare(context, subject(id, distinct_id)?, change).await?
            }
            _ => {
                return Err(ToolError::invalid_input(
                    "Give exactly one of `id`, `distinct_id`, `ids` and `distinct_ids`. Nothing was sent.",
                ));
            }
        };
        Ok(ToolOutcome::PendingWrite(write))
    }
}

/// What is set, and how long to wait for it.
struct Change {
    properties: Map<String, Value>,
    wait: WaitSeconds,
}

impl Change {
    fn keys(&self) -> Vec<String> {
        self.properties.keys().cloned().collect()
    }
}
