//! The export of one person.

use chrono::Utc;
use posthog_client::{PersonId, TimeRange};

use super::{FileFields, Input, Output, pending};
use crate::export::{Exports, PersonExport, PersonManifest, export_person};
use crate::output::{ToolOutput, write_notes};
use crate::tools::arguments::subject;
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
    let from = input
        .date_from
        .as_ref()
        .map_or(BEGINNING, |date| date.0.as_str());
    let to = input.date_to.as_ref().map(|date| date.0.as_str());
    let range = TimeRange::resolve(Some(from), to, 0, Utc::now()).ok_or_else(|| {
        ToolError::invalid_input("`date_from` must be a moment before `date_to`.")
    })?;
    let subject = subject(input.id, input.distinct_id)?;
    let uuid = uuid_of(context, &subject).await?;
    // By UUID: only then PostHog sends all distinct ids.
    let person = context.posthog.person(&PersonId::from(uuid)).await?;
    let context = context.clone();
    Ok(pending(vec![uuid.to_string()], Vec::new(), async move {
        let exported = export_person(&PersonExport {
            posthog: &context.posthog,
            exports: &exports,
            redaction: &context.limits.redaction,
            person: &person,
            range,
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
    let mut text = format!("Exported person {}\n{}", manifest.person, file.lines());
    for entry in &manifest.files {
        let rows = entry
            .rows
            .map(|rows| format!("\t{rows} rows"))
            .unwrap_or_default();
        text.push_str(&format!("  {}\t{} bytes{rows}\n", entry.name, entry.bytes));
    }
    let mut notes = Vec::new();
    match check {
        None => notes.push("The events could not be read.".to_owned()),
        Some(check) if check.complete => notes.push(format!(
            "{} events until {}, as many as PostHog counts.",
            check.exported, manifest.events_until
        )),
        Some(check) => notes.push(format!(
            "{} events until {}; PostHog counts {}. Events arrived or were removed meanwhile: export again to have them.",
            check.exported,
            manifest.events_until,
            check.counted_after.unwrap_or(check.counted_before)
        )),
    }
    notes.push("Missing, as report.md and manifest.json in the archive say:".to_owned());
    notes.extend(missing.iter().cloned());
    notes.push(file.advice());
    write_notes(&mut text, &notes);
    ToolOutput {
        structured: Output {
            file,
            persons: None,
            events: check.map(|check| check.exported),
            counted: check.map(|check| check.counted_before),
            complete: check.is_some_and(|check| check.complete),
            missing,
            notes,
        },
        text,
    }
}
