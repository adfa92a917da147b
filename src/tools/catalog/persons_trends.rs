//! `persons-trends`: who is behind a data point of a trend.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::output::{Cells, PersonRow, PersonsPage, Row, VALUE_AT_DATA_POINT};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{Date, Limit, NonEmptyString, Offset, OpaqueObject, Select, select};
use crate::tools::support::insight_page::{actor_page, arguments_of};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{Filter, RequiredScopes};

pub(super) struct PersonsTrends;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Event name, or an action's number
    entity_id: NonEmptyString,
    #[serde(default)]
    entity_type: EntityType,
    // Such as total or dau.
    entity_math: Option<NonEmptyString>,
    date_from: Option<Date>,
    date_to: Option<Date>,
    breakdown_value: Option<NonEmptyString>,
    /// Filters as in persons-list
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<OpaqueObject>")]
    properties: Vec<Filter>,
    search: Option<NonEmptyString>,
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
    const TITLE: &'static str = "Trend persons";
    const DESCRIPTION: &'static str = "Lists who did an event or action, most often first. Unscoped keys only; else \
         persons-list by cohort.";
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
