//! `persons-list`: find and page through persons.

mod csv;
mod empty;

use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::csv::csv;
use crate::output::{self, Page, PersonsPage, ToolOutput, page_of_persons};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{Date, DistinctId, Limit, Offset, SearchText, Select, list, select};
use crate::tools::support::filter_names::resolve_names;
use crate::tools::support::person_pages::{PersonPages, PersonsSelection, freshness};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{Filter, FilterMatch, Person, PersonPage, PersonsQuery, RequiredScopes};

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
    /// Property and cohort filters.
    #[serde(default, deserialize_with = "list")]
    properties: Vec<Filter>,
    /// any: one of `properties` suffices. Default: all.
    #[serde(default, rename = "match")]
    filter_match: FilterMatch,
    /// Created at or after: 2026-01-31 (its start, UTC), 2026-01-31T12:00:00Z or -7d.
    created_after: Option<Date>,
    /// Created before, exclusive, such as 2026-02-01 for all of January.
    created_before: Option<Date>,
    /// Last seen at or after, to the hour, such as -24h.
    last_seen_after: Option<Date>,
    /// Last seen before, exclusive, such as -30d: not seen since.
    last_seen_before: Option<Date>,
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
         distinct id, a search text, property and cohort filters, or when they signed up or were last seen, newest \
         first; without filters it lists all. Prefer email or distinct_id to search, which is slow. For known ids use persons-retrieve or \
         persons-batch-retrieve.";
    const SEARCH_HINT: &'static str = "find or search a user, customer, contact, account or lead by email, name or \
         property; list people; who signed up in a week or month; inactive since";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:read"]);
    const PARTS: &'static [(&'static str, &'static str)] = &[
        ("created and last-seen ranges and match", "query:read"),
        ("cohorts by name", "cohort:read"),
        (
            "a check of filters against property types",
            "property_definition:read",
        ),
    ];
    const EXAMPLE: &'static str = r#"{"search": "example", "limit": 10}"#;

    async fn call(context: &Context, mut input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        resolve_names(context, input.properties.iter_mut().collect()).await?;
        let selection = PersonsSelection {
            search: input.search,
            email: input.email,
            distinct_id: input.distinct_id,
            properties: input.properties,
            filter_match: input.filter_match,
            created_after: input.created_after,
            created_before: input.created_before,
            last_seen_after: input.last_seen_after,
            last_seen_before: input.last_seen_before,
        };
        let query = PersonsQuery {
            limit: input.limit.0,
            offset: input.offset.0,
            include_total: input.include_total,
            ..selection.query(Utc::now())?
        };
        let pages = PersonPages::new(context, query).await?;
        let select = select(input.select);
        if input.format == Format::Csv {
            return csv(context, &pages, &select).await;
        }
        let (mut limit, offset) = (input.limit.0, input.offset.0);
        let mut page = pages
            .page(context, limit, offset, input.include_total)
            .await?;
        let count = page.count;
        let mut notes = pages.notes();
        notes.extend(freshness(&page));
        if page.results.is_empty() && offset == 0 && !page.has_next() {
            notes.extend(empty::next_steps(context, pages.query()).await);
        }
        let shown = |page: &PersonPage, limit: u32| {
            page_output(context, pages.query(), page, limit, count, &select, &notes)
        };
        let mut output = shown(&page, limit);
        for _ in 0..MAX_SHORTER_PAGES {
            let rows = output.structured.shown();
            let Some(shorter) = limit_ending_at(&page, limit, rows) else {
                break;
            };
            limit = shorter;
            page = pages.page(context, limit, offset, false).await?;
            output = shown(&page, limit);
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
    (gap || same_millisecond(last, next))
        .then(|| u32::try_from(rows).ok())
        .flatten()
}

fn page_output(
    context: &Context,
    query: &PersonsQuery,
    page: &PersonPage,
    limit: u32,
    count: Option<u64>,
    select: &output::Select,
    notes: &[String],
) -> ToolOutput<PersonsPage> {
    let mut notes = notes.to_vec();
    if let Some(search) = &query.search
        && query.offset == 0
        && !query.needs_query_api()
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
        limit,
        has_next: page.has_next(),
        count,
        select,
        notes,
    };
    page_of_persons(&context.limits, page, |row, _| row)
}

/// Whether these were created in the same millisecond, within which the order of a query is not that of the rows.
fn same_millisecond(a: &Person, b: &Person) -> bool {
    a.created_at_millis() == b.created_at_millis()
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
