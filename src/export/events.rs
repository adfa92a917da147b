//! The events of a person, written to two files while they are read once.

use std::collections::HashMap;
use std::io::{BufWriter, Seek, SeekFrom, Write};

use posthog_client::{Client, Error, ErrorKind, EventTotal, EventsQuery, LoggedEvent, WaitReason};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::archive::Archive;
use super::directory::Exports;
use super::error::ExportError;
use super::manifest::EventCheck;
use super::pending_file::PendingFile;
use super::waiting::waiting;
use crate::output::{EarlierTerms, FileRedactor, Redaction, visible_json};

/// Events of a page: the first one, the fewest and the most.
const FIRST_PAGE: u32 = 500;
const MIN_PAGE: u32 = 10;
const MAX_PAGE: u32 = 10_000;
/// The size that pages are made to have, in bytes.
const PAGE_BYTES: usize = 1024 * 1024;
/// A response that is larger than this is requested again with fewer events.
const MAX_RESPONSE_BYTES: usize = 10 * 1024 * 1024;
/// Names that are counted one by one.
const MAX_NAMES: usize = 1000;

/// What the events are, for the report.
#[derive(Debug, Default)]
pub(super) struct EventSummary {
    /// For each name.
    pub(super) names: HashMap<String, NameCount>,
    /// Events with further names.
    pub(super) others: u64,
}

/// The events of one name.
#[derive(Debug)]
pub(super) struct NameCount {
    pub(super) count: u64,
    pub(super) first: String,
    pub(super) last: String,
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    event: &'a str,
    distinct_id: &'a str,
    uuid: Uuid,
    properties: &'a Value,
}

/// The properties that have a column of their own.
const COLUMNS: [&str; 2] = ["$session_id", "$current_url"];

/// Writes `events.jsonl` and `events.csv`.
pub(super) async fn write(
    posthog: &Client,
    exports: &Exports,
    query: &EventsQuery,
    total: &EventTotal,
    redactor: &FileRedactor,
    archive: &mut Archive,
) -> Result<(EventCheck, EventSummary), ExportError> {
    let mut table = csv::Writer::from_writer(BufWriter::new(exports.create()?));
    table.write_record(
        ["timestamp", "event", "distinct_id", "uuid"]
            .into_iter()
            .chain(COLUMNS)
            .chain(["properties"]),
    )?;
    let mut summary = EventSummary::default();
    archive.begin("events.jsonl")?;
    let (exported, repeated) = each(posthog, exports, query, total, |event| {
        write_event(event, redactor, archive, &mut table, &mut summary)
    })
    .await?;
    archive.end(Some(exported));
    let mut spool = into_file(table)?;
    spool.seek(SeekFrom::Start(0))?;
    archive.copy("events.csv", spool, exported)?;
    let check = EventCheck {
        exported,
        counted_before: total.count,
        counted_after: None,
        repeated_rows: repeated,
        complete: exported == total.count,
    };
    Ok((check, summary))
}

/// What is withheld of the person because of values in these events.
pub(super) async fn earlier_terms(
    posthog: &Client,
    exports: &Exports,
    query: &EventsQuery,
    total: &EventTotal,
    redaction: &Redaction,
) -> Result<EarlierTerms, ExportError> {
    let mut terms = EarlierTerms::default();
    if redaction.is_active() {
        each(posthog, exports, query, total, |event| {
            terms.add(redaction, event);
            Ok(())
        })
        .await?;
    }
    Ok(terms)
}

/// Reads the events page after page, and returns their number and that of rows that PostHog repeated.
async fn each(
    posthog: &Client,
    exports: &Exports,
    query: &EventsQuery,
    total: &EventTotal,
    mut visit: impl FnMut(&LoggedEvent) -> Result<(), ExportError>,
) -> Result<(u64, u64), ExportError> {
    let (mut read, mut repeated) = (0, 0);
    let (mut size, mut after) = (FIRST_PAGE, None);
    loop {
        let page = waiting(posthog, exports.max_wait(), || {
            posthog.event_log(query, size, after.as_ref(), MAX_RESPONSE_BYTES)
        });
        let page = match page.await {
            Ok(page) => page,
            Err(error) if size > MIN_PAGE && is_too_much(&error) => {
                size = (size / 4).max(MIN_PAGE);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        page.events.iter().try_for_each(&mut visit)?;
        repeated += page.repeated;
        read += page.events.len() as u64;
        let all = total.count.max(read);
        posthog.notify(WaitReason::Rows {
            done: read,
            total: Some(all),
        });
        // PostHog may send fewer rows than it has, without a sign of it: its count says whether there are more.
        if page.events.is_empty() || (!page.has_more && read >= all) {
            return Ok((read, repeated));
        }
        size = next_size(size, page.events.len(), page.bytes);
        after = page.next;
    }
}

fn write_event(
    event: &LoggedEvent,
    redactor: &FileRedactor,
    archive: &mut Archive,
    table: &mut csv::Writer<BufWriter<PendingFile>>,
    summary: &mut EventSummary,
) -> Result<(), ExportError> {
    let shown = redactor.event(event);
    let line = serde_json::to_string(&Line {
        timestamp: &shown.timestamp,
        event: &shown.event,
        distinct_id: &shown.distinct_id,
        uuid: event.uuid,
        properties: &shown.properties,
    })?;
    archive.write_all(visible_json(&line).as_bytes())?;
    archive.write_all(b"\n")?;
    let uuid = event.uuid.to_string();
    let texts = [&shown.timestamp, &shown.event, &shown.distinct_id, &uuid];
    for text in texts {
        table.write_field(redactor.cell(text))?;
    }
    for key in COLUMNS {
        let text = shown.properties.get(key).and_then(Value::as_str);
        table.write_field(redactor.cell(text.unwrap_or_default()))?;
    }
    table.write_field(redactor.cell(&shown.properties.to_string()))?;
    table.write_record(None::<&[u8]>)?;
    summary.add(shown.event, shown.timestamp);
    Ok(())
}

impl EventSummary {
    fn add(&mut self, name: String, at: String) {
        if let Some(of_name) = self.names.get_mut(&name) {
            of_name.count += 1;
            of_name.last = at;
        } else if self.names.len() < MAX_NAMES {
            let (first, last) = (at.clone(), at);
            self.names.insert(
                name,
                NameCount {
                    count: 1,
                    first,
                    last,
                },
            );
        } else {
            self.others += 1;
        }
    }
}

/// Whether fewer rows may succeed.
fn is_too_much(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ResponseTooLarge { .. }
            | ErrorKind::Timeout
            | ErrorKind::Server { status: 504 | 512 }
    )
}

/// Pages of about the same size in bytes; more events at most step by step, as the next ones may be larger.
fn next_size(size: u32, events: usize, bytes: usize) -> u32 {
    let fitting = PAGE_BYTES.saturating_mul(events.max(1)) / bytes.max(1);
    let fitting = u32::try_from(fitting).unwrap_or(MAX_PAGE);
    fitting
        .min(size.saturating_mul(4))
        .clamp(MIN_PAGE, MAX_PAGE)
}

/// The file behind a table, after all of the table is in it.
pub(super) fn into_file(
    table: csv::Writer<BufWriter<PendingFile>>,
) -> Result<PendingFile, ExportError> {
    let buffer = table.into_inner().map_err(|error| error.into_error())?;
    Ok(buffer
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?)
}
