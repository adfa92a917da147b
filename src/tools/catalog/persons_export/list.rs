//! The export of a list of persons.

use posthog_client::{Client, Error, Filter};
use serde_json::Value;

use super::{FileFields, Input, Output, masked, pending};
use crate::export::{ExportError, Exports, ListExport, ListSource, PersonsPage, export_list};
use crate::output::{self, ToolOutput, write_notes};
use crate::tools::arguments::{read, select};
use crate::tools::support::cohort_names::resolve_cohorts;
use crate::tools::support::filters::filters_failed;
use crate::tools::support::person_pages::{PersonPages, PersonsSelection};
use crate::tools::{Context, ToolError, ToolOutcome};

pub(super) async fn export(
    context: &Context,
    exports: Exports,
    input: Input,
) -> Result<ToolOutcome<Output>, ToolError> {
    if input.all && input.is_filtered() {
        return Err(ToolError::invalid_input(
            "`all` exports everybody. Give either it or filters.",
        ));
    }
    let filters: Vec<Value> = input.properties.into_iter().map(Value::Object).collect();
    let mut properties = read::<Vec<Filter>>(filters.into())?;
    resolve_cohorts(context, properties.iter_mut().collect()).await?;
    let selection = PersonsSelection {
        search: input.search,
        email: input.email,
        distinct_id: None,
        properties,
        filter_match: input.filter_match,
        created_after: input.created_after,
        created_before: input.created_before,
        last_seen_after: input.last_seen_after,
        last_seen_before: input.last_seen_before,
    };
    let query = selection.query()?;
    let select = select(input.select);
    let keys = match &select {
        output::Select::Default => Vec::new(),
        output::Select::All => vec!["*".to_owned()],
        output::Select::Keys(keys) => keys.clone(),
    };
    let filtered = query
        .properties
        .iter()
        .map(|filter| filter.key().to_owned());
    let keys = masked(
        keys.into_iter().chain(filtered),
        &context.limits.sanitizer(),
    );
    let pages = PersonPages::new(context, query).await?;
    let context = context.clone();
    Ok(pending(Vec::new(), keys, async move {
        let posthog = &context.posthog;
        let source = Pages {
            posthog,
            pages: &pages,
        };
        let redaction = &context.limits.redaction;
        let exported = match export_list(posthog, &exports, redaction, &select, &source).await {
            Ok(exported) => exported,
            Err(ExportError::NotBegun(error)) => {
                return Err(filters_failed(&context, pages.query(), error).await);
            }
            Err(ExportError::PostHog(error)) => {
                let error = filters_failed(&context, pages.query(), error).await;
                return Err(error.into_failed_export());
            }
            Err(error) => return Err(ToolError::of_export(error)),
        };
        let file = FileFields::new(&exported.file, Some(exported.sha256.clone()));
        Ok((output(file, &exported, pages.notes()), exported.file))
    }))
}

/// The pages of persons-list.
struct Pages<'a> {
    posthog: &'a Client,
    pages: &'a PersonPages,
}

impl ListSource for Pages<'_> {
    async fn page(&self, limit: u32, offset: u32, count: bool) -> Result<PersonsPage, Error> {
        let page = self
            .pages
            .request(self.posthog, limit, offset, count)
            .await?;
        Ok(PersonsPage {
            has_next: page.has_next(),
            count: page.count,
            persons: page.results,
        })
    }
}

fn output(file: FileFields, exported: &ListExport, mut notes: Vec<String>) -> ToolOutput<Output> {
    let rows = exported.rows;
    let mut text = match rows {
        1 => "Exported 1 person\n".to_owned(),
        _ => format!("Exported {rows} persons\n"),
    };
    text.push_str(&file.lines());
    let columns = exported.columns.len();
    text.push_str(&format!("  columns\t{columns}\n"));
    let mut missing = Vec::new();
    match exported.counted {
        Some(counted) if counted == rows => {
            notes.push("As many persons as PostHog counted, each once.".to_owned());
        }
        Some(counted) => missing.push(format!(
            "PostHog counted {counted} persons when the export began. Persons came or went meanwhile, or are counted though they are deleted."
        )),
        None => missing.push("PostHog does not count this list, so that the number could not be compared.".to_owned()),
    }
    notes.extend(missing.iter().cloned());
    notes.push(file.advice());
    write_notes(&mut text, &notes);
    ToolOutput {
        structured: Output {
            file,
            persons: Some(rows),
            events: None,
            counted: exported.counted,
            complete: exported.counted == Some(rows),
            missing,
            notes,
        },
        text,
    }
}
