//! `persons-lifecycle`: who was new, returning, resurrecting or dormant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::PersonsPage;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    Action, Date, Event, Interval, Limit, Offset, OpaqueObject, Select, select,
};
use crate::tools::support::insight_page::{actor_page, arguments_of};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::RequiredScopes;

pub(super) struct PersonsLifecycle;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    // In the period to look at.
    target_date: Date,
    lifecycle_type: LifecycleType,
    /// {id: event name, properties}; or actions {id: number}
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<OpaqueObject>")]
    events: Vec<Event>,
    // By number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<OpaqueObject>")]
    actions: Vec<Action>,
    date_from: Option<Date>,
    date_to: Option<Date>,
    #[schemars(with = "Option<String>")]
    interval: Option<Interval>,
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    offset: Offset,
    #[serde(skip_serializing)]
    select: Option<Select>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum LifecycleType {
    New,
    Returning,
    Resurrecting,
    Dormant,
}

impl Tool for PersonsLifecycle {
    type Input = Input;
    type Output = PersonsPage;
    const NAME: &'static str = "persons-lifecycle";
    const TITLE: &'static str = "Lifecycle persons";
    const DESCRIPTION: &'static str = "Lists who was new, returning, resurrecting or dormant. Unscoped keys only; \
         else persons-list by cohort.";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Insights;
    const ACCESS: RequiredScopes = RequiredScopes::ClosedToScopedKeys;
    const EXAMPLE: &'static str = r#"{"target_date": "2026-10-28", "lifecycle_type": "new"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<PersonsPage>, ToolError> {
        if !input.events.is_empty() && !input.actions.is_empty() {
            return Err(ToolError::invalid_input(
                "Give `events` or `actions`, not both.",
            ));
        }
        let arguments = arguments_of(&input)?;
        let page = context.posthog.lifecycle(&arguments).await;
        let range = (input.limit, input.offset);
        actor_page(
            context,
            Self::NAME,
            page,
            range,
            &select(input.select),
            |row, _| row,
        )
    }
}
