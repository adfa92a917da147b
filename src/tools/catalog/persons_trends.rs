//! `persons-trends`: who is behind a data point of a trend.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::output::{Cells, PersonRow, PersonsPage, Row, VALUE_AT_DATA_POINT};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    AnyFilter, Date, Limit, NonEmptyString, Offset, SearchText, Select, select,
};
use crate::tools::support::insight_page::{actor_page, arguments_of};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{Filter, RequiredScopes};

pub(super) struct PersonsTrends;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Event name such as "$pageview", or the action's number.
    entity_id: NonEmptyString,
    /// Whether entity_id names an event or an action.
    #[serde(default)]
    entity_type: EntityType,
    /// Aggregation, such as total, dau or weekly_active. Default: total.
    entity_math: Option<NonEmptyString>,
    /// Start: 2026-01-31, 2026-01-31T12:00:00Z, or relative such as -30d. Default: -7d.
    date_from: Option<Date>,
    /// End, in the same formats; a date includes its whole day. Default: now.
    date_to: Option<Date>,
    /// Value of the breakdown whose persons are listed, such as "pro".
    breakdown_value: Option<NonEmptyString>,
    /// Property filters, as in persons-list, such as [{"key": "plan", "value": "pro"}]. All must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<AnyFilter>")]
    properties: Vec<Filter>,
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
    const DESCRIPTION: &'static str = "List the persons who did an event or action, most active first, with their counts. Works only \
         with an API key without scopes; otherwise use persons-list with a cohort filter.";
    const SEARCH_HINT: &'static str = "most active users or customers; who did an event or action, used a feature or \
         purchased, and how often";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Insights;
    const ACCESS: RequiredScopes = RequiredScopes::ClosedToScopedKeys;
    const EXAMPLE: &'static str = r#"{"entity_id": "sign up"}"#;

    async fn call(
        context: &Context,
        input: Input,
    ) -> Result<ToolOutcome<PersonsPage<TrendRow>>, ToolError> {
        let arguments = arguments_of(&input)?;
        let page = context.posthog.trends(&arguments).await;
        let range = (input.limit, input.offset);
        actor_page(
            context,
            Self::NAME,
            page,
            range,
            &select(input.select),
            |person, sent| TrendRow {
                person,
                value_at_data_point: sent.value_at_data_point.clone(),
            },
        )
    }
}
