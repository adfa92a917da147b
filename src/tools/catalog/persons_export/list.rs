//! The export of a list of persons.

use posthog_client::{Client, Error, Filter, PersonCursor, PersonLogPage, PersonPage};
use serde_json::Value;

use super::{Counts, FileFields, Input, Output, PersonsExport, masked, pending, result};
use crate::export::{Attempt, ExportError, Exports, ListExport, ListSource, export_list};
use crate::output::{self, ToolOutput};
use crate::tools::arguments::{read, select};
use crate::tools::support::filter_names::resolve_names;
use crate::tools::support::filters::filters_failed;
use crate::tools::support::person_pages::{PersonPages, PersonsSelection};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};

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
    // All arguments: with any other the list would be another one.
    let arguments = format!("list {input:?}");
    let filters: Vec<Value> = input.properties.into_iter().map(Value::Object).collect();
    let mut properties = read::<Vec<Filter>>(filters.into(), PersonsExport::EXAMPLE)?;
    resolve_names(context, properties.iter_mut().collect()).await?;
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
    let redaction = &context.limits.redaction;
    let attempt = Attempt::new(&context.posthog, &exports, redaction, &arguments).await?;
    let query = selection.query(attempt.began())?;
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
        let exported = match export_list(&attempt, redaction, &select, &source).await {
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
    async fn after(
        &self,
        limit: u32,
        cursor: Option<&PersonCursor>,
        size_limit: usize,
    ) -> Result<PersonLogPage, Error> {
        let page = self.pages.after(self.posthog, limit, cursor, size_limit);
        page.await
    }

    async fn by_offset(&self, limit: u32, offset: u32, count: bool) -> Result<PersonPage, Error> {
        let page = self.pages.request(self.posthog, limit, offset, count);
        page.await
    }
}

fn output(file: FileFields, exported: &ListExport, mut notes: Vec<String>) -> ToolOutput<Output> {
    let rows = exported.rows;
    let title = match rows {
        1 => "Exported 1 person".to_owned(),
        _ => format!("Exported {rows} persons"),
    };
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
    if exported.by_position {
        missing.push(
            "Without queries (scope query:read) PostHog lists persons by position. Each is in the file once, but if many were deleted \
             meanwhile, some may be left out."
                .to_owned(),
        );
    }
    let counts = Counts {
        persons: Some(rows),
        events: None,
        counted: exported.counted,
        complete: exported.counted == Some(rows),
    };
    let columns = format!("  columns\t{}\n", exported.columns.len());
    result(&title, file, &columns, counts, missing, notes)
}
