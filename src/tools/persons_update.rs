//! `persons-update`: set several properties of a person.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::arguments::{DistinctId, Id, subject};
use super::change::{self, Changed};
use super::person::uuid_of;
use super::{Context, Outcome, Step, Tool, ToolError, Write};
use crate::policy::{Effect, Toolset};
use crate::posthog::PersonId;

pub(super) struct PersonsUpdate;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// UUID or numeric id. Give this or distinct_id
    id: Option<Id>,
    /// One of the person's distinct ids
    distinct_id: Option<DistinctId>,
    /// Properties to set, by name; others stay
    properties: Map<String, Value>,
}

impl Tool for PersonsUpdate {
    type Input = Input;
    type Output = Changed;
    const NAME: &'static str = "persons-update";
    const TITLE: &'static str = "Set properties of a person";
    const DESCRIPTION: &'static str = "Sets several properties of one person at once; properties not named stay as they are. One property: \
         persons-property-set. To remove some: persons-property-delete.";
    const EFFECT: Effect = Effect::Change;
    const TOOLSET: Toolset = Toolset::Write;

    async fn call(context: &Context, input: Input) -> Result<Step<Changed>, ToolError> {
        let subject = subject(input.id, input.distinct_id)?;
        if input.properties.is_empty() {
            return Err(ToolError::refused(
                "`properties` is empty: there is nothing to set.",
            ));
        }
        change::check_keys(input.properties.keys())?;
        let uuid = uuid_of(context, &subject).await?;
        let keys: Vec<String> = input.properties.keys().cloned().collect();
        let context = context.clone();
        let properties = input.properties;
        Ok(Step::Write(Write {
            persons: vec![uuid.to_string()],
            property_keys: keys.clone(),
            preview: None,
            send: async move {
                let id = PersonId::from(uuid);
                let sent = context.posthog.update_properties(&id, &properties).await;
                sent.map_err(|error| change::failed(error, uuid))?;
                Ok((
                    change::queued(&context.limits, uuid, &keys, "set"),
                    Outcome::Queued,
                ))
            }
            .boxed(),
        }))
    }
}
