//! `persons-lifecycle`: who was new, returning, resurrecting or dormant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actors::{actor_page, arguments_of};
use super::arguments::{Action, Date, Event, Interval, Limit, Offset, Select, select};
use super::{Context, Step, Tool, ToolError};
use crate::answer::PersonsPage;
use crate::policy::{Effect, Toolset};

pub(super) struct PersonsLifecycle;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The period to look at
    target_date: Date,
    lifecycle_type: LifecycleType,
    /// Give this or actions
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<Event>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
    date_from: Option<Date>,
    date_to: Option<Date>,
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
    const TITLE: &'static str = "List persons by lifecycle";
    const DESCRIPTION: &'static str = "Lists who was new, returning, resurrecting or dormant in a period, judged by an event or action. PostHog \
         serves it to unscoped keys only; otherwise persons-list with a cohort filter.";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Insights;

    async fn call(context: &Context, input: Input) -> Result<Step<PersonsPage>, ToolError> {
        if !input.events.is_empty() && !input.actions.is_empty() {
            return Err(ToolError::refused("Give `events` or `actions`, not both."));
        }
        let arguments = arguments_of(&input)?;
        let page = context.posthog.lifecycle(&arguments).await;
        let range = (input.limit, input.offset);
        actor_page(context, Self::NAME, page, range, &select(input.select))
    }
}
