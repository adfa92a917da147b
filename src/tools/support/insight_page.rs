//! Shared by the tools for the persons of an insight.

use serde::Serialize;

use crate::output::{Page, PersonRow, PersonsPage, Row, Select, page_of_persons};
use crate::tools::arguments::{Limit, Offset, SearchText};
use crate::tools::{Context, ToolError, ToolOutcome};
use posthog_client::{
    ActorPage, ActorsQuery, ActorsSource, Error, InsightArguments, Person, RequiredScopes,
};

/// What the tools of this kind require.
pub(in crate::tools) const ACCESS: RequiredScopes = RequiredScopes(&["query:read"]);

/// The alternative where this PostHog serves insights to no key with scopes.
const ALTERNATIVE: &str = "The user can open the insight in PostHog and save its persons as a cohort; persons-list \
     with a cohort filter then lists them.";

/// The next steps after an empty page.
const NOBODY: &str = "Names of events and properties are case-sensitive, and dates limit what is counted: give a wider range, or fewer \
     filters. persons-events-list with `summary` shows the names of one person's events.";

/// A tool's arguments as the API's parameters, which have the same names.
pub(in crate::tools) fn arguments_of(
    input: &impl Serialize,
) -> Result<InsightArguments, ToolError> {
    InsightArguments::of(input)
        .map_err(|_| ToolError::invalid_input("The arguments could not be encoded as a request."))
}

/// The query for a page of an insight.
pub(in crate::tools) fn actors_query(
    source: ActorsSource,
    search: Option<&SearchText>,
    limit: Limit,
    offset: Offset,
) -> ActorsQuery {
    ActorsQuery {
        source,
        search: search.map(|text| text.0.clone()),
        limit: limit.0,
        offset: offset.0,
    }
}

/// The output of a page. `row` adds the columns that only this tool has.
pub(in crate::tools) fn actor_page<R: Row>(
    context: &Context,
    tool: &'static str,
    page: Result<ActorPage, Error>,
    (limit, offset): (Limit, Offset),
    select: &Select,
    row: impl Fn(PersonRow, &Person, &ActorPage) -> R,
) -> Result<ToolOutcome<PersonsPage<R>>, ToolError> {
    let actors = page.map_err(|error| ToolError::from(error).with_alternative(ALTERNATIVE))?;
    let mut notes = Vec::new();
    if actors.missing_persons > 0 {
        notes.push(format!(
            "Persons counted in the insight that no longer exist: {}.",
            actors.missing_persons
        ));
    }
    if actors.people.is_empty() && actors.missing_persons == 0 && offset.0 == 0 {
        notes.push(NOBODY.to_owned());
    }
    let page = Page {
        tool,
        offset: offset.0,
        limit: limit.0,
        has_next: actors.has_next,
        count: None,
        select,
        notes,
        persons: &actors.people,
    };
    let output = page_of_persons(&context.limits, page, |shown, person| {
        row(shown, person, &actors)
    });
    Ok(output.into())
}
