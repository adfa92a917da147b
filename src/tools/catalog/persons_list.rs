//! `persons-list`: find and page through persons.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::{
    self, Page, PersonsPage, ToolOutput, page_of_persons, truncate_lines, write_notes,
};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, Limit, NonEmptyString, Offset, Select, select};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{Filter, PersonPage, PersonsQuery, RequiredScopes};

pub(super) struct PersonsList;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Part of an email, name, distinct id or UUID, ignoring case. Slow. % and _ are wildcards.
    search: Option<NonEmptyString>,
    /// Exact value of the property `email`.
    email: Option<NonEmptyString>,
    /// Exact distinct id.
    distinct_id: Option<DistinctId>,
    /// Property and cohort filters. All must match.
    #[serde(default)]
    properties: Vec<Filter>,
    /// Number of persons per page.
    #[serde(default)]
    limit: Limit,
    /// Number of persons to skip; take it from `next_offset` of the previous page.
    #[serde(default)]
    offset: Offset,
    /// Count all matching persons; slower.
    #[serde(default)]
    include_total: bool,
    /// Property names to show, such as ["plan", "$os"]; ["*"] shows all. Default: email and $geoip_country_code.
    select: Option<Select>,
    /// csv exports all properties of all matching persons and ignores limit, offset and select.
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Format {
    #[default]
    Json,
    Csv,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    #[serde(flatten)]
    page: PersonsPage,
    // All matches, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    csv: Option<String>,
}

impl Tool for PersonsList {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-list";
    const TITLE: &'static str = "List persons";
    const DESCRIPTION: &'static str = "List persons, newest first, that match an exact email or distinct id, a search text, or \
         property and cohort filters. Without filters it lists all. Prefer email or distinct_id to \
         search, which is slow. For known ids use persons-retrieve or persons-batch-retrieve.";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:read"]);
    const EXAMPLE: &'static str = r#"{"search": "example", "limit": 10}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let mut query = PersonsQuery {
            search: input.search.map(|text| text.0),
            email: input.email.map(|text| text.0),
            distinct_id: input.distinct_id.map(|id| id.0),
            properties: input.properties,
            limit: input.limit.0,
            offset: input.offset.0,
            include_total: input.include_total,
        };
        if input.format == Format::Csv {
            return csv(context, &query, input.select.is_some()).await;
        }
        let select = select(input.select);
        let mut page = context.posthog.persons(&query).await?;
        let count = page.count;
        let mut answer = shown(context, &query, &page, count, &select);
        while let Some(limit) = limit_that_ends(&page, query.limit, answer.structured.shown()) {
            query.limit = limit;
            query.include_total = false;
            page = context.posthog.persons(&query).await?;
            answer = shown(context, &query, &page, count, &select);
        }
        Ok(ToolOutput {
            structured: Output {
                page: answer.structured,
                count,
                csv: None,
            },
            text: answer.text,
        }
        .into())
    }
}

/// The limit to ask for again, where the answer shows the first rows of a page and nobody knows at which offset the next
/// one stands: a page that ends there tells.
///
/// Known it is where the page has no gap and the last row shown is older or newer than the next. PostHog leaves persons
/// that are gone out of a page and counts them all the same, and it sorts persons of one moment anew within each page.
fn limit_that_ends(page: &PersonPage, limit: u32, rows: usize) -> Option<u32> {
    let next = page.results.get(rows)?;
    let last = page.results.get(rows.checked_sub(1)?)?;
    let gap = page.results.len() < limit as usize;
    (gap || last.created_at == next.created_at)
        .then(|| u32::try_from(rows).ok())
        .flatten()
}

fn shown(
    context: &Context,
    query: &PersonsQuery,
    page: &PersonPage,
    count: Option<u64>,
    select: &output::Select,
) -> ToolOutput<PersonsPage> {
    let page = Page {
        persons: &page.results,
        tool: PersonsList::NAME,
        offset: query.offset,
        limit: query.limit,
        has_next: page.has_next(),
        count,
        select,
        notes: Vec::new(),
    };
    page_of_persons(&context.limits, page, |row, _| row)
}

async fn csv(
    context: &Context,
    query: &PersonsQuery,
    selects: bool,
) -> Result<ToolOutcome<Output>, ToolError> {
    let most = context.limits.for_rows();
    let (csv, cut) = context.posthog.persons_csv(query, most).await?;
    let whole = context.limits.sanitizer().csv(&csv, cut);
    let mut csv = truncate_lines(&context.limits, &whole);
    if cut && csv.len() == whole.len() {
        // A quoted value can hold line breaks, so the last whole line may end inside one; it is still a line of the file.
        csv = csv
            .rfind('\n')
            .and_then(|end| csv.get(..=end))
            .unwrap_or_default();
    }
    let mut notes = Vec::new();
    if selects {
        notes.push("CSV contains all properties; `select` does not apply.".to_owned());
    }
    if csv.lines().count() <= 1 && !cut {
        notes.push("No person matches.".to_owned());
    }
    if csv.len() < whole.len() {
        notes.push(
            "The CSV is truncated at the maximum size of a tool result; more persons match. Narrow the filters, or page with format json."
                .to_owned(),
        );
    }
    let csv = csv.to_owned();
    let mut text = csv.clone();
    write_notes(&mut text, &notes);
    let page = PersonsPage::empty(notes);
    Ok(ToolOutput {
        structured: Output {
            page,
            count: None,
            csv: Some(csv),
        },
        text,
    }
    .into())
}
