//! `persons-property-set`: set one property of a person.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, Id, NonEmptyString, subject};
use crate::tools::support::property_change::{self, Changed};
use crate::tools::support::resolve_person::uuid_of;
use crate::tools::{Context, PendingWrite, Status, Tool, ToolError, ToolOutcome};
use posthog_client::{PersonId, RequiredScopes};

pub(super) struct PersonsPropertySet;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text. Give this or `distinct_id`.
    id: Option<Id>,
    /// Exact distinct id, such as "user_123". Give this or `id`.
    distinct_id: Option<DistinctId>,
    /// Property name, such as "plan".
    key: NonEmptyString,
    /// Any JSON value, such as "pro", 5, true or ["a"]; null is stored as null.
    value: Value,
}

impl Tool for PersonsPropertySet {
    type Input = Input;
    type Output = Changed;
    const NAME: &'static str = "persons-property-set";
    const TITLE: &'static str = "Set a person property";
    const DESCRIPTION: &'static str = "Set one property of one person and overwrite its value. For several properties use \
         persons-update.";
    const SEARCH_HINT: &'static str = "set, change or correct a property, field or attribute of a user, customer, \
         contact or account";
    const EFFECT: Effect = Effect::Change;
    const TOOLSET: Toolset = Toolset::Write;
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:write"]);
    const EXAMPLE: &'static str =
        r#"{"id": "ada0ada0-1815-4852-8000-000000000101", "key": "plan", "value": "team"}"#;
    const STATUSES: &'static [Status] = &[Status::Queued];

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Changed>, ToolError> {
        let subject = subject(input.id, input.distinct_id)?;
        let (key, value) = (input.key.0, input.value);
        property_change::check_keys([&key])?;
        let uuid = uuid_of(context, &subject).await?;
        let context = context.clone();
        Ok(ToolOutcome::PendingWrite(PendingWrite {
            persons: vec![uuid.to_string()],
            property_keys: vec![key.clone()],
            preview: None,
            execute: async move {
                let sent = context
                    .posthog
                    .set_property(&PersonId::from(uuid), &key, &value)
                    .await;
                sent.map_err(|error| property_change::failed(error, uuid))?;
                Ok(property_change::queued(
                    &context.limits,
                    uuid,
                    &[key],
                    "set",
                ))
            }
            .boxed(),
        }))
    }
}
