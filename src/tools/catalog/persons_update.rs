//! `persons-update`: set several properties of a person.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, Id, subject};
use crate::tools::support::property_change::{self, Changed};
use crate::tools::support::resolve_person::uuid_of;
use crate::tools::{Context, PendingWrite, Status, Tool, ToolError, ToolOutcome};
use posthog_client::{PersonId, RequiredScopes};

pub(super) struct PersonsUpdate;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text. Give this or `distinct_id`.
    id: Option<Id>,
    /// Exact distinct id, such as "user_123". Give this or `id`.
    distinct_id: Option<DistinctId>,
    /// Properties to set, by name, such as {"plan": "team", "seats": 5}. Values are any JSON.
    properties: Map<String, Value>,
}

impl Tool for PersonsUpdate {
    type Input = Input;
    type Output = Changed;
    const NAME: &'static str = "persons-update";
    const TITLE: &'static str = "Set person properties";
    const DESCRIPTION: &'static str = "Set several properties of one person; other properties stay. For one property use \
         persons-property-set, to remove properties persons-property-delete.";
    const SEARCH_HINT: &'static str = "update, edit or change several properties, fields or attributes of a user, \
         customer, contact or account";
    const EFFECT: Effect = Effect::Change;
    const TOOLSET: Toolset = Toolset::Write;
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:write"]);
    const EXAMPLE: &'static str =
        r#"{"id": "ada0ada0-1815-4852-8000-000000000101", "properties": {"plan": "team"}}"#;
    const STATUSES: &'static [Status] = &[Status::Queued];

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Changed>, ToolError> {
        let subject = subject(input.id, input.distinct_id)?;
        if input.properties.is_empty() {
            return Err(ToolError::invalid_input(
                "`properties` is empty: there is nothing to set.",
            ));
        }
        property_change::check_keys(input.properties.keys())?;
        let uuid = uuid_of(context, &subject).await?;
        let keys: Vec<String> = input.properties.keys().cloned().collect();
        let context = context.clone();
        let properties = input.properties;
        Ok(ToolOutcome::PendingWrite(PendingWrite {
            persons: vec![uuid.to_string()],
            property_keys: keys.clone(),
            preview: None,
            execute: async move {
                let id = PersonId::from(uuid);
                let sent = context.posthog.update_properties(&id, &properties).await;
                sent.map_err(|error| property_change::failed(error, uuid))?;
                Ok(property_change::queued(&context.limits, uuid, &keys, "set"))
            }
            .boxed(),
        }))
    }
}
