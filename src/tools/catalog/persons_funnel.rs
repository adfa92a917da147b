//! `persons-funnel`: who reached or left a step of a funnel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::output::PersonsPage;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    Action, BreakdownType, Date, Event, Interval, Limit, NonEmptyString, Offset, OpaqueObject,
    Periods, Select, select,
};
use crate::tools::support::insight_page::{actor_page, arguments_of};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{Filter, RequiredScopes};

pub(super) struct PersonsFunnel;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Steps {id: event name, order, properties}; actions {id: number}
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<OpaqueObject>")]
    events: Vec<Event>,
    // By number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<OpaqueObject>")]
    actions: Vec<Action>,
    /// n: reached step n; -n: left before
    funnel_step: Option<i32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    funnel_custom_steps: Vec<i32>,
    funnel_step_breakdown: Option<NonEmptyString>,
    funnel_window_interval: Option<Periods>,
    #[schemars(with = "Option<String>")]
    funnel_window_interval_unit: Option<WindowUnit>,
    funnel_viz_type: Option<VizType>,
    funnel_order_type: Option<OrderType>,
    // For trends.
    entrance_period_start: Option<Date>,
    /// In trends: who left
    drop_off: Option<bool>,
    date_from: Option<Date>,
    date_to: Option<Date>,
    #[schemars(with = "Option<String>")]
    interval: Option<Interval>,
    breakdown: Option<Breakdown>,
    #[schemars(with = "Option<String>")]
    breakdown_type: Option<BreakdownType>,
    /// Filters as in persons-list
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<OpaqueObject>")]
    properties: Vec<Filter>,
    filter_test_accounts: Option<bool>,
    search: Option<NonEmptyString>,
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    offset: Offset,
    #[serde(skip_serializing)]
    select: Option<Select>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WindowUnit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum VizType {
    Steps,
    Trends,
    TimeToConvert,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum OrderType {
    Ordered,
    Strict,
    Unordered,
}

/// A property or a list
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
struct Breakdown(Value);

impl<'de> Deserialize<'de> for Breakdown {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let scalar = |value: &Value| value.is_string() || value.is_number();
        let known = match &value {
            Value::Array(items) => !items.is_empty() && items.iter().all(scalar),
            other => scalar(other),
        };
        if known {
            return Ok(Self(value));
        }
        Err(serde::de::Error::custom(
            "a property's name or a list of names is wanted",
        ))
    }
}

impl Tool for PersonsFunnel {
    type Input = Input;
    type Output = PersonsPage;
    const NAME: &'static str = "persons-funnel";
    const TITLE: &'static str = "Funnel persons";
    const DESCRIPTION: &'static str = "Lists who reached a funnel's step, or left before it. Unscoped keys only; \
         else persons-list by cohort.";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Insights;
    const ACCESS: RequiredScopes = RequiredScopes::ClosedToScopedKeys;
    const EXAMPLE: &'static str =
        r#"{"events": [{"id": "sign up"}, {"id": "purchase"}], "funnel_step": 1}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<PersonsPage>, ToolError> {
        if input.funnel_step == Some(0) {
            return Err(ToolError::invalid_input(
                "`funnel_step` counts from 1; a negative number means those who left before that step.",
            ));
        }
        let arguments = arguments_of(&input)?;
        let page = context.posthog.funnel(&arguments).await;
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
