//! `persons-funnel`: who reached or left a step of a funnel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::output::PersonsPage;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    Action, AnyFilter, BreakdownType, Date, Event, Interval, Limit, NonEmptyString, Offset,
    Periods, SearchText, Select, select,
};
use crate::tools::support::insight_page::{actor_page, arguments_of};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{Filter, RequiredScopes};

pub(super) struct PersonsFunnel;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Steps of the funnel, in the order of `order`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<Event>,
    /// Steps that are actions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
    /// n lists who reached step n, counted from 1; -n who reached step n-1 and not step n.
    #[schemars(range(min = -100, max = 100))]
    funnel_step: Option<i32>,
    /// Several steps at the same time, such as [1, 2]; in place of funnel_step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    funnel_custom_steps: Vec<i32>,
    /// Value of the breakdown whose persons are listed, such as "pro".
    funnel_step_breakdown: Option<NonEmptyString>,
    /// Time to complete the funnel, in funnel_window_interval_unit. Default: 14 days.
    funnel_window_interval: Option<Periods>,
    /// Unit of funnel_window_interval. Default: day.
    funnel_window_interval_unit: Option<WindowUnit>,
    /// Kind of funnel. Default: steps.
    funnel_viz_type: Option<VizType>,
    /// Whether the order of the steps counts. Default: ordered.
    funnel_order_type: Option<OrderType>,
    /// Period of entry, for funnel_viz_type trends: a date such as 2026-01-31.
    entrance_period_start: Option<Date>,
    /// With entrance_period_start: list who dropped off instead of who completed. Default: false.
    drop_off: Option<bool>,
    /// Start: 2026-01-31, 2026-01-31T12:00:00Z, or relative such as -30d. Default: -7d.
    date_from: Option<Date>,
    /// End, in the same formats; a date includes its whole day. Default: now.
    date_to: Option<Date>,
    /// Length of a period, for funnel_viz_type trends. Default: day.
    interval: Option<Interval>,
    /// Property name such as "plan", or a list of property names, to break down by.
    breakdown: Option<Breakdown>,
    /// Kind of the breakdown. Default: event.
    breakdown_type: Option<BreakdownType>,
    /// Property filters, as in persons-list, such as [{"key": "plan", "value": "pro"}]. All must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<AnyFilter>")]
    properties: Vec<Filter>,
    /// Leave out the project's internal and test users. Default: false.
    filter_test_accounts: Option<bool>,
    /// Part of an email, name, distinct id or UUID, such as "@example.com".
    search: Option<SearchText>,
    /// Number of persons per page.
    #[serde(default)]
    limit: Limit,
    /// Number of persons to skip; take it from `next_offset` of the previous page.
    #[serde(default)]
    offset: Offset,
    /// Property names to show, such as ["plan", "$os"]; ["*"] shows all. Default: name, email and country.
    #[serde(skip_serializing)]
    select: Option<Select>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
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

#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("type" = ["string", "array"]))]
struct Breakdown(#[schemars(with = "Vec<String>")] Value);

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
            "expected a property name or a list of property names",
        ))
    }
}

impl Tool for PersonsFunnel {
    type Input = Input;
    type Output = PersonsPage;
    const NAME: &'static str = "persons-funnel";
    const TITLE: &'static str = "List persons in a funnel step";
    const DESCRIPTION: &'static str = "List the persons who reached a step of a funnel, or dropped off before it. Works only with an \
         API key without scopes; otherwise use persons-list with a cohort filter.";
    const SEARCH_HINT: &'static str = "who converted or dropped off in a funnel, such as signup or checkout; users \
         and customers who were lost at a step";
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
        check_step(&input)?;
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

/// PostHog fails on a funnel without a step, and on one over time without a period.
fn check_step(input: &Input) -> Result<(), ToolError> {
    if matches!(input.funnel_viz_type, Some(VizType::Trends)) {
        if input.entrance_period_start.is_none() || input.drop_off.is_none() {
            return Err(ToolError::invalid_input(
                "funnel_viz_type trends needs `entrance_period_start` and `drop_off`.",
            ));
        }
        return Ok(());
    }
    if input.funnel_step.is_none() && input.funnel_custom_steps.is_empty() {
        return Err(ToolError::invalid_input(
            "Give `funnel_step` (1 for those who entered, 2 for those who reached the second step, -2 for those who dropped off before it) \
             or `funnel_custom_steps`.",
        ));
    }
    Ok(())
}
