//! `persons-retention`: who came back after an event, and when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::{ACTIVE_PERIODS, Cells, PersonRow, PersonsPage, Row};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    AnyFilter, Date, Limit, NonEmptyString, Offset, Select, list, select,
};
use crate::tools::support::filter_names::resolve_names;
use crate::tools::support::insight_page::{ACCESS, actor_page, actors_query};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{ActorsSource, Filter, InsightBase, Interval, RequiredScopes, Retention};

/// Periods at most, as in PostHog's own tools.
const MAX_PERIODS: u32 = 32;
const DEFAULT_PERIODS: u32 = 8;

pub(super) struct PersonsRetention;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Event that a person begins with, such as "sign up".
    start_event: NonEmptyString,
    /// Event that counts as coming back, such as "$pageview".
    return_event: NonEmptyString,
    /// Length of a period. Default: day.
    period: Option<PeriodLength>,
    /// Number of periods, up to 32.
    #[schemars(range(min = 1, max = 32))]
    #[serde(default = "default_periods")]
    periods: u32,
    /// Period in which the persons begin, from 0. Default: any.
    #[schemars(range(max = 31))]
    start_period: Option<u32>,
    /// Only persons whose first start_event ever it is.
    #[serde(default)]
    first_time: bool,
    /// Start: 2026-01-31, or relative such as -30d. Default: as many periods before now.
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

fn default_periods() -> u32 {
    DEFAULT_PERIODS
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum PeriodLength {
    Hour,
    #[default]
    Day,
    Week,
    Month,
}

impl PeriodLength {
    /// With the unit of a relative date.
    fn interval(self) -> (Interval, char) {
        match self {
            Self::Hour => (Interval::Hour, 'h'),
            Self::Day => (Interval::Day, 'd'),
            Self::Week => (Interval::Week, 'w'),
            Self::Month => (Interval::Month, 'm'),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct RetentionRow {
    #[serde(flatten)]
    person: PersonRow,
    // Periods after the start, from 0.
    active_periods: Vec<u64>,
}

impl Row for RetentionRow {
    fn header(rows: &[Self]) -> Vec<String> {
        let mut header = PersonRow::columns(rows.iter().map(|row| &row.person));
        header.push(ACTIVE_PERIODS.to_owned());
        header
    }

    fn cells(&self, header: &[String], cells: &mut Cells<'_>) {
        let (_, columns) = header.split_last().unwrap_or((&String::new(), header));
        self.person.cells(columns, cells);
        cells.value(&self.active_periods.clone().into());
    }
}

impl Tool for PersonsRetention {
    type Input = Input;
    type Output = PersonsPage<RetentionRow>;
    const NAME: &'static str = "persons-retention";
    const TITLE: &'static str = "List persons by their return";
    const DESCRIPTION: &'static str = "List the persons who did one event and in which later periods they did another: who came back, and \
         who stayed away.";
    const SEARCH_HINT: &'static str = "retained or lost users and customers after signup; who returned in later days, \
         weeks or months";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Insights;
    const ACCESS: RequiredScopes = ACCESS;
    const EXAMPLE: &'static str = r#"{"start_event": "sign up", "return_event": "$pageview", "date_from": "2026-10-26", "date_to": "2026-11-02"}"#;

    async fn call(
        context: &Context,
        mut input: Input,
    ) -> Result<ToolOutcome<PersonsPage<RetentionRow>>, ToolError> {
        let periods = input.periods;
        if !(1..=MAX_PERIODS).contains(&periods) {
            return Err(ToolError::invalid_input(format!(
                "`periods` is from 1 to {MAX_PERIODS}."
            )));
        }
        if input.start_period.is_some_and(|start| start >= periods) {
            return Err(ToolError::invalid_input(format!(
                "`start_period` counts from 0 and is less than `periods`, {periods}."
            )));
        }
        resolve_names(context, input.properties.iter_mut().collect()).await?;
        let (period, unit) = input.period.unwrap_or_default().interval();
        let from = input
            .date_from
            .map_or_else(|| format!("-{periods}{unit}"), |date| date.0);
        let source = ActorsSource::Retention(Retention {
            base: InsightBase::new(Vec::new())
                .between(Some(from), input.date_to.map(|date| date.0))
                .matching(&input.properties),
            period,
            periods,
            start_event: input.start_event.0,
            return_event: input.return_event.0,
            first_time: input.first_time,
            start_period: input.start_period,
        });
        let query = actors_query(source, None, input.limit, input.offset);
        let page = context.posthog.actors(&query).await;
        let range = (input.limit, input.offset);
        actor_page(
            context,
            Self::NAME,
            page,
            range,
            &select(input.select),
            |row, person, page| RetentionRow {
                person: row,
                active_periods: page
                    .active_periods
                    .get(&person.uuid)
                    .cloned()
                    .unwrap_or_default(),
            },
        )
    }
}
