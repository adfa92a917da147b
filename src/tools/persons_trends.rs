//! `persons-trends`: who is behind a data point of a trend.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actors::{actor_page, arguments_of};
use super::arguments::{Date, Limit, Offset, Select, Text, select};
use super::{Context, Step, Tool, ToolError};
use crate::answer::PersonsPage;
use crate::policy::{Effect, Toolset};
use crate::posthog::Filter;

pub(super) struct PersonsTrends;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Event name, or an action's number
    entity_id: Text,
    #[serde(default)]
    entity_type: EntityType,
    /// Such as total or dau
    entity_math: Option<Text>,
    date_from: Option<Date>,
    date_to: Option<Date>,
    breakdown_value: Option<Text>,
    /// Filters
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Filter>,
    /// Part of an email, name or distinct id
    search: Option<Text>,
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    offset: Offset,
    #[serde(skip_serializing)]
    select: Option<Select>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum EntityType {
    #[default]
    Events,
    Actions,
}

impl Tool for PersonsTrends {
    type Input = Input;
    type Output = PersonsPage;
    const NAME: &'static str = "persons-trends";
    const TITLE: &'static str = "List persons of a trend";
    const DESCRIPTION: &'static str = "Lists who did an event or action in a time, most often first. PostHog serves it to unscoped keys only; \
         otherwise persons-list with a cohort filter.";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Insights;

    async fn call(context: &Context, input: Input) -> Result<Step<PersonsPage>, ToolError> {
        let arguments = arguments_of(&input)?;
        let page = context.posthog.trends(&arguments).await;
        let range = (input.limit, input.offset);
        actor_page(context, Self::NAME, page, range, &select(input.select))
    }
}
