//! `persons-property-set`: set one property of a person.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::output::unescape;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, Id, NonEmptyString, WaitSeconds, subject};
use crate::tools::support::poll::poll;
use crate::tools::support::property_change::{self, Changed, Seen};
use crate::tools::support::resolve_person::{own_property, person_with_properties, uuid_of};
use crate::tools::{Context, PendingWrite, Status, Tool, ToolError, ToolOutcome};
use posthog_client::{Person, PersonId, RequiredScopes};

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
    /// Seconds to wait for the effect.
    #[serde(default)]
    wait_seconds: WaitSeconds,
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
    const ACCESS: RequiredScopes = RequiredScopes(&["person:write"]);
    const EXAMPLE: &'static str =
        r#"{"id": "ada0ada0-1815-4852-8000-000000000101", "key": "plan", "value": "team"}"#;
    const STATUSES: &'static [Status] = &[Status::Queued, Status::Done];

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Changed>, ToolError> {
        let subject = subject(input.id, input.distinct_id)?;
        let (key, value, wait) = (input.key.0, input.value, input.wait_seconds);
        property_change::check_keys([&key])?;
        let (uuid, key) = if unescape(&key).is_some() {
            let person = person_with_properties(context, &subject).await?;
            (person.uuid, own_property(&person, key)?)
        } else {
            (uuid_of(context, &subject).await?, key)
        };
        let context = context.clone();
        Ok(ToolOutcome::PendingWrite(PendingWrite {
            persons: vec![uuid.to_string()],
            property_keys: vec![key.clone()],
            deletes: Vec::new(),
            merged_into: None,
            preview: None,
            execute: async move {
                let id = PersonId::from(uuid);
                let sent = context.posthog.set_property(&id, &key, &value).await;
                sent.map_err(|error| property_change::failed(error, uuid))?;
                let applied = |person: &Person| person.properties.has(&key, &value);
                let person = poll(&context, wait, || context.posthog.person(&id), applied).await;
                let seen = Seen::new(wait, person.as_ref().map(applied));
                let keys = std::slice::from_ref(&key);
                Ok(property_change::accepted(
                    &context.limits,
                    uuid,
                    keys,
                    "set",
                    seen,
                ))
            }
            .boxed(),
        }))
    }
}
