//! The persons of a query as CSV.

use super::{Output, empty};
use crate::output::{self, PersonsPage, ToolOutput, csv_page, quoted, write_notes};
use crate::tools::support::filters::{FilterChecks, filters_failed};
use crate::tools::{Context, ToolError, ToolOutcome};
use posthog_client::{CohortCheck, PersonsQuery};

/// Bytes of PostHog's file that are read: it has every column, and a result only the selected ones.
const MAX_READ: usize = 8 * 1024 * 1024;

pub(super) async fn csv(
    context: &Context,
    query: &PersonsQuery,
    select: &output::Select,
) -> Result<ToolOutcome<Output>, ToolError> {
    let checks = FilterChecks::new(context, query).await?;
    if let CohortCheck::Members(cohort) = checks.cohorts {
        return Err(ToolError::invalid_input(format!(
            "Cohort {cohort} is static, and this PostHog ignores static cohorts in a CSV: it would list everyone. Call without `format`."
        )));
    }
    let (csv, cut) = match context.posthog.persons_csv(query, MAX_READ).await {
        Ok(csv) => csv,
        Err(error) => return Err(filters_failed(context, query, error).await),
    };
    let sanitizer = context.limits.sanitizer();
    let page = csv_page(&context.limits, &sanitizer.csv(&csv, cut), select);
    let mut notes = checks.notes();
    if page.too_large_count > 0 {
        notes.push(format!(
            "{} rows are left out, because each alone exceeds the maximum size of a tool result: {}. persons-retrieve shows these \
             persons.",
            page.too_large_count,
            page.too_large.join(", ")
        ));
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
