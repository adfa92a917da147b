//! `persons-trends`: who is behind a data point of a trend.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::output::{Cells, PersonRow, PersonsPage, Row, VALUE_AT_DATA_POINT};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    AnyFilter, BreakdownKeys, Date, Limit, NonEmptyString, Offset, SearchText, Select, breakdown,
    list, select,
};
use crate::tools::support::filter_names::resolve_names;
use crate::tools::support::insight_page::{ACCESS, actor_page, actors_query, arguments_of};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{
    ActorsSource, BreakdownType, Filter, Insight, InsightBase, RequiredScopes, Series,
};

pub(super) struct PersonsTrends;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Event name such as "$pageview", or the action's number.
    entity_id: NonEmptyString,
    /// Whether entity_id names an event or an action.
    #[serde(default)]
    entity_type: EntityType,
    // Changes the number in a chart, not the persons of a range; still accepted.
    entity_math: Option<Math>,
    /// Start: 2026-01-31, 2026-01-31T12:00:00Z, or relative such as -30d. Default: -7d.
    date_from: Option<Date>,
    /// End, in the same formats; a date includes its whole day. Default: now.
    date_to: Option<Date>,
    /// Property name such as "plan" to break down by.
    breakdown: Option<BreakdownKeys>,
    /// Kind of the breakdown. Default: event.
    breakdown_type: Option<BreakdownType>,
    /// Value of the breakdown whose persons are listed, such as "pro".
    breakdown_value: Option<NonEmptyString>,
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

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Math {
    Total,
    /// For a week or a month PostHog would look at the days before the end of the range, or before its start, and not at the range.
    #[serde(alias = "weekly_active", alias = "monthly_active")]
    Dau,
    UniqueSession,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum EntityType {
    #[default]
    Events,
    Actions,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct TrendRow {
    #[serde(flatten)]
    person: PersonRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_at_data_point: Option<Number>,
}

impl Row for TrendRow {
    fn header(rows: &[Self]) -> Vec<String> {
        let mut header = PersonRow::columns(rows.iter().map(|row| &row.person));
        header.push(VALUE_AT_DATA_POINT.to_owned());
        header
    }

    fn cells(&self, header: &[String], cells: &mut Cells<'_>) {
        let (_, columns) = header.split_last().unwrap_or((&String::new(), header));
        self.person.cells(columns, cells);
        match &self.value_at_data_point {
            Some(number) => cells.number(number),
            None => cells.empty(),
        }
    }
}

impl Tool for PersonsTrends {
    type Input = Input;
    type Output = PersonsPage<TrendRow>;
    const NAME: &'static str = "persons-trends";
    const TITLE: &'static str = "List persons behind a trend";
    const DESCRIPTION: &'static str = "List the persons who did an event or action, most active first, with their counts. For one \
         person's events use persons-events-list.";
    const SEARCH_HINT: &'static str = "most active users or customers; who did an event or action, used a feature or \
         purchased, and how often";
    const UNLISTED: &'static [&'static str] = &["entity_math"];
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Insights;
    const ACCESS: RequiredScopes = ACCESS;
    const EXAMPLE: &'static str = r#"{"entity_id": "sign up"}"#;

    async fn call(
        context: &Context,
        mut input: Input,
    ) -> Result<ToolOutcome<PersonsPage<TrendRow>>, ToolError> {
        resolve_names(context, input.properties.iter_mut().collect()).await?;
        let query = actors_query(
            trend(&input)?,
            input.search.as_ref(),
            input.limit,
            input.offset,
        );
        let page = context
            .posthog
            .insight_persons(&query, Insight::Trends, &arguments_of(&input)?)
            .await;
        let range = (input.limit, input.offset);
        actor_page(
            context,
            Self::NAME,
            page,
            range,
            &select(input.select),
            |person, sent, _| TrendRow {
                person,
                value_at_data_point: sent.value_at_data_point.clone(),
            },
        )
    }
}

fn trend(input: &Input) -> Result<ActorsSource, ToolError> {
    let series = match input.entity_type {
        EntityType::Events => Series::event(input.entity_id.0.clone(), &[], None),
        EntityType::Actions => {
            let id = input.entity_id.0.trim().parse().map_err(|_| {
                ToolError::invalid_input("`entity_id` is the number of the action.")
            })?;
            Series::ActionsNode { id, math: None }
        }
    };
    let breakdown = breakdown(
        input.breakdown.as_ref(),
        input.breakdown_type,
        input.breakdown_value.as_ref(),
        "breakdown_value",
    )?;
    let date = |date: &Option<Date>| date.as_ref().map(|date| date.0.clone());
    Ok(ActorsSource::Trend {
        base: InsightBase::new(vec![series])
            .between(date(&input.date_from), date(&input.date_to))
            .matching(&input.properties)
            .without_test_accounts(input.filter_test_accounts),
        breakdown: match breakdown {
            Some((breakdown, Some(value))) => Some((breakdown, value)),
            // Without a value, the persons of every value.
            _ => None,
        },
    })
}
