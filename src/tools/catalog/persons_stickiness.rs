//! `persons-stickiness`: who was active in how many periods.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::output::PersonsPage;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    AnyFilter, Date, Limit, NonEmptyString, Offset, Periods, Select, list, select,
};
use crate::tools::support::filter_names::resolve_names;
use crate::tools::support::insight_page::{ACCESS, actor_page, actors_query};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{
    ActorsSource, Filter, InsightBase, Interval, RequiredScopes, Series, StickinessOperator,
};

pub(super) struct PersonsStickiness;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Event that counts as activity, such as "$pageview".
    event: NonEmptyString,
    /// Number of periods with that event.
    periods: Periods,
    /// How `periods` is compared: at least, exactly or at most.
    #[serde(default)]
    operator: StickinessOperator,
    /// Length of a period. Default: day.
    interval: Option<Interval>,
    /// Start: 2026-01-31, or relative such as -30d. Default: -7d.
    date_from: Option<Date>,
    /// End, in the same formats; a date includes its whole day. Default: now.
    date_to: Option<Date>,
    /// As in persons-list; all must match.
    #[serde(default, deserialize_with = "list")]
    #[schemars(with = "Vec<AnyFilter>")]
    properties: Vec<Filter>,
    /// Persons per page.
    #[serde(default)]
    limit: Limit,
    /// Persons to skip: `next_offset` of the previous page.
    #[serde(default)]
    offset: Offset,
    /// As in persons-list.
    select: Option<Select>,
}

impl Tool for PersonsStickiness {
    type Input = Input;
    type Output = PersonsPage;
    const NAME: &'static str = "persons-stickiness";
    const TITLE: &'static str = "List persons by number of active days";
    const DESCRIPTION: &'static str = "List the persons who did an event on a number of days, weeks or other periods of a range: the \
         regular or the rare users.";
    const SEARCH_HINT: &'static str = "regular, loyal, power or rare users and customers; on how many days or weeks \
         they used a feature";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Insights;
    const ACCESS: RequiredScopes = ACCESS;
    const EXAMPLE: &'static str = r#"{"event": "$pageview", "periods": 2, "date_from": "2026-10-26", "date_to": "2026-11-02"}"#;

    async fn call(
        context: &Context,
        mut input: Input,
    ) -> Result<ToolOutcome<PersonsPage>, ToolError> {
        resolve_names(context, input.properties.iter_mut().collect()).await?;
        let series = Series::event(input.event.0, &[], None);
        let source = ActorsSource::Stickiness {
            base: InsightBase::new(vec![series])
                .between(
                    input.date_from.map(|date| date.0),
                    input.date_to.map(|date| date.0),
                )
                .in_periods_of(Some(input.interval.unwrap_or(Interval::Day)))
                .matching(&input.properties),
            periods: input.periods.0,
            operator: input.operator,
        };
        let query = actors_query(source, None, input.limit, input.offset);
        let page = context.posthog.actors(&query).await;
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
