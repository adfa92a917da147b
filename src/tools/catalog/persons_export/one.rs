//! The export of one person.

use chrono::Utc;
use posthog_client::{PersonId, TimeRange};

use super::{Counts, FileFields, Input, Output, pending, result};
use crate::export::{Attempt, Exports, PersonExport, PersonManifest, export_person};
use crate::output::ToolOutput;
use crate::tools::arguments::{Date, subject};
use crate::tools::support::resolve_person::uuid_of;
use crate::tools::{Context, ToolError, ToolOutcome};

/// The first moment of the events, where no other is given.
const BEGINNING: &str = "1970-01-01";
/// Missing parts that the result names, each in one line.
const MAX_MISSING: usize = 12;

pub(super) async fn export(
    context: &Context,
    exports: Exports,
    input: Input,
) -> Result<ToolOutcome<Output>, ToolError> {
    let resolve = |now| {
        let date = |date: &Option<Date>| date.as_ref().map(|date| date.0.clone());
        let (from, to) = (date(&input.date_from), date(&input.date_to));
        let from = from.as_deref().unwrap_or(BEGINNING);
        TimeRange::resolve(Some(from), to.as_deref(), 0, now).ok_or_else(|| {
            ToolError::invalid_input("`date_from` must be a moment before `date_to`.")
        })
    };
    resolve(Utc::now())?;
    let subject = subject(input.id, input.distinct_id)?;
    let uuid = uuid_of(context, &subject).await?;
    // By UUID: only then PostHog sends all distinct ids.
    let person = context.posthog.person(&PersonId::from(uuid)).await?;
    let arguments = format!("person {uuid} {:?} {:?}", input.date_from, input.date_to);
    let redaction = &context.limits.redaction;
    let attempt = Attempt::new(&context.posthog, &exports, redaction, &arguments).await?;
    let range = resolve(attempt.began())?;
    let redaction = redaction.clone();
    Ok(pending(vec![uuid.to_string()], Vec::new(), async move {
        let exported = export_person(&PersonExport {
            attempt: &attempt,
            redaction: &redaction,
            person: &person,
            range,
            from_first: input.date_from.is_none(),
        })
        .await
        .map_err(ToolError::of_export)?;
        let file = FileFields::new(&exported.file, None);
        Ok((output(file, &exported.manifest), exported.file))
    }))
}

fn output(file: FileFields, manifest: &PersonManifest) -> ToolOutput<Output> {
    let check = manifest.events.as_ref();
    let missing: Vec<String> = manifest
        .missing
        .iter()
        .take(MAX_MISSING)
        .map(|part| format!("{}: {}", part.what, part.why))
        .collect();
    let mut files = String::new();
    for entry in &manifest.files {
        let rows = entry
            .rows
            .map(|rows| format!("\t{rows} rows"))
            .unwrap_or_default();
        files.push_str(&format!("  {}\t{} bytes{rows}\n", entry.name, entry.bytes));
    }
    let found = match check {
        None => "The events could not be read.".to_owned(),
        Some(check) if check.complete => format!(
            "{} events until {}, as many as PostHog counts.",
            check.exported, manifest.events_until
        ),
        Some(check) => format!(
            "{} events until {}; PostHog counts {}. Events arrived or were removed meanwhile: export again to have them.",
            check.exported,
            manifest.events_until,
            check.counted_after.unwrap_or(check.counted_before)
        ),
    };
    let heading = "Missing, as report.md and manifest.json in the archive say:".to_owned();
    let counts = Counts {
        persons: None,
        events: check.map(|check| check.exported),
        counted: check.map(|check| check.counted_before),
        complete: check.is_some_and(|check| check.complete),
    };
    let title = format!("Exported person {}", manifest.person);
    result(&title, file, &files, counts, missing, vec![found, heading])
}
