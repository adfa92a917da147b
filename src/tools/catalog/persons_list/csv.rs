//! The persons of a query as CSV.

use super::{Output, empty};
use crate::output::{self, PersonsPage, ToolOutput, csv_page, quoted, write_notes};
use crate::tools::support::filters::filters_failed;
use crate::tools::support::person_pages::{PersonPages, freshness};
use crate::tools::{Context, ToolError, ToolOutcome};
use posthog_client::{Person, persons_as_csv};

/// Bytes of PostHog's file that are read: it has every column, and a result only the selected ones.
const MAX_READ: usize = 8 * 1024 * 1024;

/// Bytes that a row has at least: a UUID and a line break.
const MIN_ROW: usize = 37;
/// Persons of one page.
const PAGE: u32 = 1000;

pub(super) async fn csv(
    context: &Context,
    pages: &PersonPages,
    select: &output::Select,
) -> Result<ToolOutcome<Output>, ToolError> {
    let query = pages.query();
    let mut notes = pages.notes();
    let (csv, cut) = if pages.has_csv() {
        match context.posthog.persons_csv(query, MAX_READ).await {
            Ok(csv) => csv,
            Err(error) => return Err(filters_failed(context, query, error).await),
        }
    } else {
        let (persons, more) = read(context, pages, &mut notes).await?;
        // Never truncated within a record.
        let csv = persons_as_csv(&persons);
        (csv, more)
    };
    let sanitizer = context.limits.sanitizer();
    let is_partial = cut && pages.has_csv();
    let page = csv_page(&context.limits, &sanitizer.csv(&csv, is_partial), select);
    if page.too_large_count > 0 {
        let rows = page.too_large.join(", ");
        notes.push(match page.too_large_count {
            1 => format!(
                "1 row is left out, because it alone exceeds the maximum size of a tool result: {rows}. persons-retrieve shows this \
                 person."
            ),
            count => format!(
                "{count} rows are left out, because each alone exceeds the maximum size of a tool result: {rows}. persons-retrieve \
                 shows these persons."
            ),
        });
    }
    if !page.never_set.is_empty() && page.rows > 0 {
        let names: Vec<String> = page
            .never_set
            .iter()
            .map(|key| sanitizer.given_identifier(key))
            .collect();
        let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        notes.push(format!(
            "No person here has {}. Property names are case-sensitive.",
            names.join(", ")
        ));
    }
    if cut || page.truncated {
        notes.push(
            "The CSV is truncated at the maximum size of a tool result; more persons match. Narrow the filters, select fewer \
             properties, or page with format json."
                .to_owned(),
        );
    } else if page.rows == 0 && page.too_large_count == 0 {
        notes.push("No person matches.".to_owned());
        notes.extend(empty::next_steps(context, query).await);
    }
    let mut text = page.text.clone();
    write_notes(&mut text, &notes);
    Ok(ToolOutput {
        structured: Output {
            page: PersonsPage::empty(notes),
            count: None,
            csv: Some(page.text),
        },
        text,
    }
    .into())
}

/// As many persons as a result can hold, and whether there are more.
async fn read(
    context: &Context,
    pages: &PersonPages,
    notes: &mut Vec<String>,
) -> Result<(Vec<Person>, bool), ToolError> {
    let most = context.limits.bytes / MIN_ROW;
    let mut persons = Vec::new();
    let mut offset = 0;
    loop {
        let page = pages.page(context, PAGE, offset, false).await?;
        if offset == 0 {
            notes.extend(freshness(&page));
        }
        let more = page.has_next();
        persons.extend(page.results);
        if !more || persons.len() >= most {
            return Ok((persons, more));
        }
        offset += PAGE;
    }
}
