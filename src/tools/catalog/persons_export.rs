//! `persons-export`: everything about one person, or a list of persons, as a file.

mod list;
mod one;

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::export::ExportedFile;
use crate::output::{Sanitizer, ToolOutput, write_notes};
use crate::policy::{Effect, OptIn, Toolset};
use crate::tools::arguments::{Date, DistinctId, Id, SearchText, Select, list};
use crate::tools::pending_export::PendingExport;
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{FilterMatch, RequiredScopes};

pub(super) struct PersonsExport;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// One person: the UUID, or the numeric person id as text.
    id: Option<Id>,
    /// One person: any distinct id, such as "ada@example.com".
    distinct_id: Option<DistinctId>,
    /// With one person, the start of the events in UTC: 2026-01-31, 2026-01-31T12:00:00Z, or -90d. Default: all.
    date_from: Option<Date>,
    /// Their end, in the same formats; a date includes its whole day. Default: now.
    date_to: Option<Date>,
    /// A list. As in persons-list.
    search: Option<SearchText>,
    /// A list. As in persons-list.
    email: Option<SearchText>,
    /// A list. As in persons-list.
    #[serde(default, deserialize_with = "list")]
    properties: Vec<Map<String, Value>>,
    /// As in persons-list. Default: all.
    #[serde(default, rename = "match")]
    filter_match: FilterMatch,
    /// As in persons-list.
    created_after: Option<Date>,
    /// As in persons-list.
    created_before: Option<Date>,
    /// As in persons-list.
    last_seen_after: Option<Date>,
    /// As in persons-list.
    last_seen_before: Option<Date>,
    /// Columns of a list. As in persons-list.
    select: Option<Select>,
    /// Export everybody: only without other filters.
    #[serde(default)]
    all: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    file: FileFields,
    // Persons in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    persons: Option<u64>,
    // Events of one person.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<u64>,
    // What PostHog counted before.
    #[serde(skip_serializing_if = "Option::is_none")]
    counted: Option<u64>,
    // Whether the numbers agree.
    complete: bool,
    // What is missing, and why.
    missing: Vec<String>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FileFields {
    name: String,
    uri: String,
    media_type: String,
    bytes: u64,
    // Of a list; an archive has a manifest with that of each file.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    // When it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl Tool for PersonsExport {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-export";
    const TITLE: &'static str = "Export persons as a file";
    const DESCRIPTION: &'static str = "Export one person with all events, recordings (links), activity and cohorts as a zip, such as \
         for a GDPR access request; or a list of persons as a CSV of any length. Returns a link, not the content. For what \
         you want to read yourself use persons-list or persons-events-list.";
    const SEARCH_HINT: &'static str = "export, download, GDPR access request, data portability, everything we hold about a user; CSV \
         or spreadsheet of all customers, contacts or accounts";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Export;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:read"]);
    const PARTS: &'static [(&'static str, &'static str)] = &[
        ("events", "query:read"),
        ("recordings", "session_recording:read"),
        ("activity", "activity_log:read"),
        ("cohorts", "cohort:read"),
    ];
    const EXAMPLE: &'static str = r#"{"search": "example", "select": ["email", "plan"]}"#;
    const OPT_IN: Option<OptIn> = Some(OptIn::Export);
    const BLANK_IS_ABSENT: bool = false;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let Some(exports) = context.exports.clone() else {
            return Err(ToolError::invalid_input(
                "Exports are not enabled. The operator of this server must set --export-dir.",
            ));
        };
        let is_one = input.id.is_some() || input.distinct_id.is_some();
        let is_list = input.all || input.is_filtered();
        match (is_one, is_list) {
            (true, false) if input.select.is_some() => Err(ToolError::invalid_input(
                "`select` chooses the columns of a list. The export of one person has everything.",
            )),
            (true, false) => one::export(context, exports, input).await,
            (false, true) if input.date_from.is_some() || input.date_to.is_some() => {
                Err(ToolError::invalid_input(
                    "`date_from` and `date_to` choose the events of one person, given by `id` or `distinct_id`.",
                ))
            }
            (false, true) => list::export(context, exports, input).await,
            (true, true) => Err(ToolError::invalid_input(
                "Give either one person (`id` or `distinct_id`) or the filters of a list.",
            )),
            (false, false) => Err(ToolError::invalid_input(
                "Give one person (`id` or `distinct_id`), filters of a list, or `all`: true for everybody.",
            )),
        }
    }
}

impl Input {
    /// Whether it has a filter of a list.
    fn is_filtered(&self) -> bool {
        let dates = [
            &self.created_after,
            &self.created_before,
            &self.last_seen_after,
            &self.last_seen_before,
        ];
        self.search.is_some()
            || self.email.is_some()
            || !self.properties.is_empty()
            || dates.into_iter().any(Option::is_some)
    }
}

impl FileFields {
    fn new(file: &ExportedFile, sha256: Option<String>) -> Self {
        let expires_at = file
            .expires_at
            .map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
        Self {
            name: file.name.clone(),
            uri: file.uri.clone(),
            media_type: file.media_type.to_owned(),
            bytes: file.bytes,
            sha256,
            expires_at,
        }
    }

    /// The lines of the text about the file.
    fn lines(&self) -> String {
        let mut lines = format!("  file\t{}\n  size\t{} bytes\n", self.uri, self.bytes);
        if let Some(sha256) = &self.sha256 {
            lines.push_str("  sha256\t");
            lines.push_str(sha256);
            lines.push('\n');
        }
        lines
    }

    /// What to tell the user.
    fn advice(&self) -> String {
        match &self.expires_at {
            None => "Tell the user where the file is. It holds personal data, and stays until it is deleted.".to_owned(),
            Some(at) => format!(
                "Give the user this link: it works until {at}, with the same Authorization header as this server. The file holds personal data."
            ),
        }
    }
}

/// The numbers of a result.
struct Counts {
    persons: Option<u64>,
    events: Option<u64>,
    counted: Option<u64>,
    complete: bool,
}

/// The result of an export: its file, its details in lines, and what to know of it.
fn result(
    title: &str,
    file: FileFields,
    details: &str,
    counts: Counts,
    missing: Vec<String>,
    mut notes: Vec<String>,
) -> ToolOutput<Output> {
    notes.extend(missing.iter().cloned());
    notes.push(file.advice());
    let mut text = format!("{title}\n{}{details}", file.lines());
    write_notes(&mut text, &notes);
    ToolOutput {
        structured: Output {
            file,
            persons: counts.persons,
            events: counts.events,
            counted: counts.counted,
            complete: counts.complete,
            missing,
            notes,
        },
        text,
    }
}

/// The outcome with its parts, once an export is prepared.
fn pending<F>(persons: Vec<String>, property_keys: Vec<String>, run: F) -> ToolOutcome<Output>
where
    F: Future<Output = Result<(ToolOutput<Output>, ExportedFile), ToolError>> + Send + 'static,
{
    ToolOutcome::PendingExport(PendingExport {
        persons,
        property_keys,
        run: run.boxed(),
    })
}

/// The names of fields, as the audit log has them.
fn masked(keys: impl IntoIterator<Item = String>, sanitizer: &Sanitizer) -> Vec<String> {
    keys.into_iter()
        .map(|key| sanitizer.argument(&key))
        .collect()
}
