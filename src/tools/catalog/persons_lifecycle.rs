//! `persons-lifecycle`: who was new, returning, resurrecting or dormant.

use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::PersonsPage;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    Action, AnyFilter, Date, Event, Limit, Offset, Select, list, select, series,
};
use crate::tools::support::filter_names::resolve_names;
use crate::tools::support::insight_page::{ACCESS, actor_page, actors_query, arguments_of};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{
    ActorsSource, Filter, Insight, InsightBase, Interval, LifecycleStatus, Period, RequiredScopes,
    Series,
};

pub(super) struct PersonsLifecycle;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// A date in the period to look at, such as 2026-01-31.
    target_date: Date,
    /// Lifecycle stage in that period: new; returning from the previous period; resurrecting after a pause; dormant since then.
    lifecycle_type: LifecycleStatus,
    /// The event that counts as activity, such as [{"id": "sign up"}]; or give `actions`. Default: $pageview.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list"
    )]
    #[schemars(with = "Vec<AnyFilter>")]
    events: Vec<Event>,
    /// The action that counts as activity, such as [{"id": 12}].
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list"
    )]
    #[schemars(with = "Vec<AnyFilter>")]
    actions: Vec<Action>,
    // The period and the one before are all that counts; still accepted.
    date_from: Option<Date>,
    date_to: Option<Date>,
    /// Length of a period. Default: day.
    interval: Option<Interval>,
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

impl Tool for PersonsLifecycle {
    type Input = Input;
    type Output = PersonsPage;
    const NAME: &'static str = "persons-lifecycle";
    const TITLE: &'static str = "List persons by lifecycle stage";
    const DESCRIPTION: &'static str = "List the persons who were new, returning, resurrecting or dormant in a period, by their \
         activity in it and in the period before.";
    const SEARCH_HINT: &'static str = "new, returning, inactive, dormant or churned users and customers; who came \
         back, who left";
    const UNLISTED: &'static [&'static str] = &["date_from", "date_to"];
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Insights;
    const ACCESS: RequiredScopes = ACCESS;
    const EXAMPLE: &'static str = r#"{"target_date": "2026-10-28", "lifecycle_type": "new"}"#;

    async fn call(
        context: &Context,
        mut input: Input,
    ) -> Result<ToolOutcome<PersonsPage>, ToolError> {
        if !input.events.is_empty() && !input.actions.is_empty() {
            return Err(ToolError::invalid_input(
                "Give `events` or `actions`, not both.",
            ));
        }
        let of_events = input.events.iter_mut().flat_map(Event::filters_mut);
        let filters = input.properties.iter_mut().chain(of_events).collect();
        resolve_names(context, filters).await?;
        let source = lifecycle(&input)?;
        let query = actors_query(source, None, input.limit, input.offset);
        let page = context
            .posthog
            .insight_persons(&query, Insight::Lifecycle, &arguments_of(&input)?)
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

fn lifecycle(input: &Input) -> Result<ActorsSource, ToolError> {
    let interval = input.interval.unwrap_or(Interval::Day);
    let period = Period::around(&input.target_date.0, interval, Utc::now())
        .ok_or_else(|| ToolError::invalid_input("`target_date` is a date in the period."))?;
    let mut activity = series(&input.events, &input.actions);
    if activity.len() > 1 {
        return Err(ToolError::invalid_input(
            "PostHog looks at one event or action; give only one.",
        ));
    }
    if activity.is_empty() {
        activity.push(Series::event("$pageview".to_owned(), &[], None));
    }
    Ok(ActorsSource::Lifecycle {
        base: InsightBase::new(activity)
            .between(Some(period.from), Some(period.to))
            .in_periods_of(Some(interval))
            .matching(&input.properties)
            .without_test_accounts(input.filter_test_accounts),
        day: period.day,
        status: input.lifecycle_type,
    })
}
