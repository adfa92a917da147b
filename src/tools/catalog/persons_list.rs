//! `persons-list`: find and page through persons.

mod csv;
mod empty;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::csv::csv;
use crate::output::{self, Page, PersonsPage, ToolOutput, page_of_persons};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, Limit, Offset, SearchText, Select, select};
use crate::tools::support::cohort_names::resolve_cohorts;
use crate::tools::support::filters::{FilterChecks, filters_failed};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{CohortCheck, Filter, PersonPage, PersonsQuery, RequiredScopes};

pub(super) struct PersonsList;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Part of an email, name, distinct id or UUID, such as "@example.com", ignoring case. Slow. % and _ are wildcards. For a whole address use `email`.
    search: Option<SearchText>,
    /// Exact value of the property `email`, such as "ada@example.com"; case matters.
    email: Option<SearchText>,
    /// Exact distinct id, such as "user_123".
    distinct_id: Option<DistinctId>,
    /// Property and cohort filters. All must match.
    #[serde(default)]
    properties: Vec<Filter>,
    /// Persons per page.
    #[serde(default)]
    limit: Limit,
    /// Persons to skip: `next_offset` of the previous page.
    #[serde(default)]
    offset: Offset,
    /// Count all matching persons; slower.
    #[serde(default)]
    include_total: bool,
    /// Property names to show, such as ["plan", "$os"]; ["*"] shows all. Default: name, email and country.
    select: Option<Select>,
    /// csv: all matching persons, with every column unless `select` names some; ignores limit and offset.
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
    // All matches, if requested.
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
    const DESCRIPTION: &'static str = "Find persons (users, customers, contacts, accounts) by exact email or \
         distinct id, a search text, or property and cohort filters, newest first; without filters it lists all. \
         Prefer email or distinct_id to search, which is slow. For known ids use persons-retrieve or \
         persons-batch-retrieve.";
    const SEARCH_HINT: &'static str = "find or search a user, customer, contact, account or lead by email, name or \
         property; list people; who signed up";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:read"]);
    const EXAMPLE: &'static str = r#"{"search": "example", "limit": 10}"#;

    async fn call(context: &Context, mut input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        resolve_cohorts(context, input.properties.iter_mut().collect()).await?;
        let mut query = PersonsQuery {
            search: input.search.map(|text| text.0),
            email: input.email.map(|text| text.0),
            distinct_id: input.distinct_id.map(|id| id.0),
            properties: input.properties,
            limit: input.limit.0,
            offset: input.offset.0,
            include_total: input.include_total,
        };
        let select = select(input.select);
        if input.format == Format::Csv {
            return csv(context, &query, &select).await;
        }
        let checks = FilterChecks::new(context, &query).await?;
        let mut page = request(context, &query, checks).await?;
        let count = page.count;
        let mut notes = Vec::new();
        if page.results.is_empty() && query.offset == 0 && !page.has_next() {
            notes = empty::next_steps(context, &query).await;
        }
        let mut output = page_output(context, &query, &page, checks, count, &select, &notes);
        for _ in 0..MAX_SHORTER_PAGES {
            let shown = output.structured.shown();
            let Some(limit) = limit_ending_at(&page, query.limit, shown) else {
                break;
            };
            query.limit = limit;
            query.include_total = false;
            page = request(context, &query, checks).await?;
            output = page_output(context, &query, &page, checks, count, &select, &notes);
        }
        Ok(ToolOutput {
            structured: Output {
                page: output.structured,
                count,
                csv: None,
            },
            text: output.text,
        }
        .into())
    }
}

async fn request(
    context: &Context,
    query: &PersonsQuery,
    checks: FilterChecks,
) -> Result<PersonPage, ToolError> {
    let posthog = &context.posthog;
    let page = match checks.cohorts {
        CohortCheck::Members(cohort) => {
            let page = posthog.cohort_members(cohort, query.limit, query.offset);
            page.await
        }
        CohortCheck::Filter | CohortCheck::Unchecked => posthog.persons(query).await,
    };
    match page {
        Ok(page) => Ok(page),
        Err(error) => Err(filters_failed(context, query, error).await),
    }
}

/// Shorter pages that one call requests at most. Each is shorter than the one before, and one is nearly always enough.
const MAX_SHORTER_PAGES: usize = 4;

/// The limit for requesting the page again, if the result shows only its first rows and the offset of the next row is
/// unknown. A page that ends at the last row shown determines that offset.
///
/// The offset is known if the page has no gap and the last row shown differs in time from the next: PostHog omits deleted
/// persons from a page but counts them, and the order of persons with equal times varies between pages.
fn limit_ending_at(page: &PersonPage, limit: u32, rows: usize) -> Option<u32> {
    let next = page.results.get(rows)?;
    let last = page.results.get(rows.checked_sub(1)?)?;
    let gap = page.results.len() < limit as usize;
    (gap || last.created_at == next.created_at)
        .then(|| u32::try_from(rows).ok())
        .flatten()
}

fn page_output(
    context: &Context,
    query: &PersonsQuery,
    page: &PersonPage,
    checks: FilterChecks,
    count: Option<u64>,
    select: &output::Select,
    next_steps: &[String],
) -> ToolOutput<PersonsPage> {
    let mut notes = checks.notes();
    notes.extend_from_slice(next_steps);
    if let Some(search) = &query.search
        && query.offset == 0
        && is_exact_hit(search, page)
    {
        notes.push(
            "The search is exactly an id of this person, and PostHog may then search nothing else: for others with this text in \
             their email, use `email` for a whole address, or a shorter `search`."
                .to_owned(),
        );
    }
    let page = Page {
        persons: &page.results,
        tool: PersonsList::NAME,
        offset: query.offset,
        limit: query.limit,
        has_next: page.has_next(),
        count,
        select,
        notes,
    };
    page_of_persons(&context.limits, page, |row, _| row)
}

/// Whether the only person found has exactly this id. Since September 2026 PostHog searches for an id first, and for
/// nothing else if it is one.
fn is_exact_hit(search: &str, page: &PersonPage) -> bool {
    let [person] = page.results.as_slice() else {
        return false;
    };
    !page.has_next()
        && (person.distinct_ids.iter().any(|id| *id == *search)
            || search.eq_ignore_ascii_case(&person.uuid.to_string()))
}
