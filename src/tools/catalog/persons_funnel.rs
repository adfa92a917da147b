//! `persons-funnel`: who reached or left a step of a funnel.

use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::PersonsPage;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    Action, AnyFilter, BreakdownKeys, Date, Event, Limit, NonEmptyString, Offset, Periods,
    SearchText, Select, breakdown, list, select, series,
};
use crate::tools::support::filter_names::resolve_names;
use crate::tools::support::insight_page::{ACCESS, actor_page, actors_query, arguments_of};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{
    ActorsSource, BreakdownType, Filter, FunnelActors, FunnelOrder, FunnelWindow, FunnelWindowUnit,
    Insight, InsightBase, Interval, Period, RequiredScopes,
};

pub(super) struct PersonsFunnel;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Steps of the funnel, in the order of `order`; with actions at least two.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list"
    )]
    events: Vec<Event>,
    /// Steps that are actions.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list"
    )]
    actions: Vec<Action>,
    /// n lists who reached step n, counted from 1; -n who reached step n-1 and not step n.
    #[schemars(range(min = -100, max = 100))]
    funnel_step: Option<i32>,
    /// Several steps, each as the last one reached, such as [1, 2]; in place of funnel_step.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list"
    )]
    funnel_custom_steps: Vec<i32>,
    /// Value of the breakdown whose persons are listed, such as "pro".
    funnel_step_breakdown: Option<NonEmptyString>,
    /// Time to complete the funnel, in funnel_window_interval_unit. Default: 14 days.
    funnel_window_interval: Option<Periods>,
    /// Unit of funnel_window_interval. Default: day.
    funnel_window_interval_unit: Option<FunnelWindowUnit>,
    /// Kind of funnel. Default: steps.
    funnel_viz_type: Option<VizType>,
    /// Whether the order of the steps counts. Default: ordered.
    funnel_order_type: Option<FunnelOrder>,
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
    breakdown: Option<BreakdownKeys>,
    /// Kind of the breakdown. Default: event.
    breakdown_type: Option<BreakdownType>,
    /// As in persons-list; all must match.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list"
    )]
    #[schemars(with = "Vec<AnyFilter>")]
    properties: Vec<Filter>,
    /// Leave out the project's internal and test users. Default: false.
    filter_test_accounts: Option<bool>,
    /// As in persons-list.
    search: Option<SearchText>,
    /// Persons per page.
    #[serde(default)]
    limit: Limit,
    /// Persons to skip: `next_offset` of the previous page.
    #[serde(default)]
    offset: Offset,
    /// As in persons-list.
    #[serde(skip_serializing)]
    select: Option<Select>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum VizType {
    Steps,
    Trends,
}

impl Tool for PersonsFunnel {
    type Input = Input;
    type Output = PersonsPage;
    const NAME: &'static str = "persons-funnel";
    const TITLE: &'static str = "List persons in a funnel step";
    const DESCRIPTION: &'static str = "List the persons who reached a step of a funnel, or dropped off before it: who did one event and \
         then another, or did not.";
    const SEARCH_HINT: &'static str = "who converted or dropped off in a funnel, such as signup or checkout; users \
         and customers who were lost at a step";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Insights;
    const ACCESS: RequiredScopes = ACCESS;
    const EXAMPLE: &'static str =
        r#"{"events": [{"id": "sign up"}, {"id": "purchase"}], "funnel_step": 1}"#;

    async fn call(
        context: &Context,
        mut input: Input,
    ) -> Result<ToolOutcome<PersonsPage>, ToolError> {
        let of_events = input.events.iter_mut().flat_map(Event::filters_mut);
        let filters = input.properties.iter_mut().chain(of_events).collect();
        resolve_names(context, filters).await?;
        let query = actors_query(
            ActorsSource::Funnel(funnel(&input)?),
            input.search.as_ref(),
            input.limit,
            input.offset,
        );
        let page = context
            .posthog
            .insight_persons(&query, Insight::Funnel, &arguments_of(&input)?)
            .await;
        let range = (input.limit, input.offset);
        actor_page(
            context,
            Self::NAME,
            page,
            range,
            &select(input.select),
            |row, _, _| row,
        )
    }
}

fn funnel(input: &Input) -> Result<FunnelActors, ToolError> {
    let steps = series(&input.events, &input.actions);
    let entered = match input.funnel_viz_type {
        Some(VizType::Trends) => Some(entered(input)?),
        _ => {
            check_steps(input, steps.len())?;
            None
        }
    };
    if steps.len() < 2 {
        return Err(ToolError::invalid_input(
            "A funnel has at least two steps: give them in `events`, or in `actions`.",
        ));
    }
    let breakdown = breakdown(
        input.breakdown.as_ref(),
        input.breakdown_type,
        input.funnel_step_breakdown.as_ref(),
        "funnel_step_breakdown",
    )?;
    let (breakdown, breakdown_value) = breakdown.unzip();
    let date = |date: &Option<Date>| date.as_ref().map(|date| date.0.clone());
    Ok(FunnelActors {
        base: InsightBase::new(steps)
            .between(date(&input.date_from), date(&input.date_to))
            .in_periods_of(input.interval)
            .matching(&input.properties)
            .without_test_accounts(input.filter_test_accounts),
        step: input.funnel_step,
        furthest: input.funnel_custom_steps.clone(),
        entered,
        window: FunnelWindow {
            interval: input.funnel_window_interval.map(|window| window.0),
            unit: input.funnel_window_interval_unit,
        },
        order: input.funnel_order_type,
        breakdown,
        breakdown_value: breakdown_value.flatten(),
    })
}

/// PostHog fails on a funnel over time without a period.
fn entered(input: &Input) -> Result<(String, bool), ToolError> {
    let start = input.entrance_period_start.as_ref();
    let start = start.and_then(|start| Period::start(&start.0, Utc::now()));
    start.zip(input.drop_off).ok_or_else(|| {
        ToolError::invalid_input(
            "funnel_viz_type trends needs `entrance_period_start` and `drop_off`.",
        )
    })
}

/// PostHog fails on a step 0 or -1, and lists other persons for a step beyond the last.
fn check_steps(input: &Input, steps: usize) -> Result<(), ToolError> {
    let exists = |step: i32| usize::try_from(step.unsigned_abs()).is_ok_and(|step| step <= steps);
    if let Some(step) = input
        .funnel_custom_steps
        .iter()
        .find(|step| **step < 1 || !exists(**step))
    {
        return Err(ToolError::invalid_input(format!(
            "`funnel_custom_steps` has {step}, and the funnel has steps 1 to {steps}."
        )));
    }
    match input.funnel_step {
        None if input.funnel_custom_steps.is_empty() => Err(ToolError::invalid_input(
            "Give `funnel_step` (1 for those who entered, 2 for those who reached the second step, -2 for those who dropped off before it) \
             or `funnel_custom_steps`.",
        )),
        Some(0) => Err(ToolError::invalid_input(
            "`funnel_step` counts from 1; a negative number means those who left before that step.",
        )),
        Some(-1) => Err(ToolError::invalid_input(
            "`funnel_step` -1 has no persons: nobody leaves before the first step. Use -2 for those who dropped off before the second.",
        )),
        Some(step) if !exists(step) => Err(ToolError::invalid_input(format!(
            "`funnel_step` {step} does not exist: the last step is {steps}."
        ))),
        _ => Ok(()),
    }
}
