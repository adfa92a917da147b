//! The events of a person: read once, page after page, into a file that an export can go on with, and written to the
//! archive from there.

use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};

use chrono::{DateTime, Utc};
use posthog_client::{
    Error, EventCursor, EventSource, EventTotal, EventsQuery, LoggedEvent, Person, TimeRange,
    WaitReason,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::archive::Archive;
use super::error::ExportError;
use super::event_summary::EventSummary;
use super::kept::{Attempt, Kept};
use super::manifest::EventCheck;
use super::pending_file::PendingFile;
use super::waiting::{MAX_RESPONSE_BYTES, Reader, shorter};
use crate::output::{EarlierTerms, FileRedactor, Redaction, visible_json};

/// Events of a page: the first one, the fewest and the most.
const FIRST_PAGE: u32 = 500;
const MIN_PAGE: u32 = 10;
const MAX_PAGE: u32 = 10_000;
/// The size that pages are made to have, in bytes.
const PAGE_BYTES: usize = 1024 * 1024;
/// Lines that are written before others may have their turn.
const LINES_AT_ONCE: u32 = 2000;

/// The properties that have a column of their own.
const COLUMNS: [&str; 2] = ["$session_id", "$current_url"];

/// The events, as far as they are read.
pub(super) struct Events {
    query: EventsQuery,
    state: State,
    /// The events in lines of JSON.
    lines: BufWriter<PendingFile>,
}

/// What an export needs to go on, besides its lines.
#[derive(Serialize, Deserialize)]
struct State {
    /// The moment before which the events are, by PostHog's clock if it says so.
    until: String,
    count: u64,
    first: Option<String>,
    /// How far they are read for what is withheld, and what that is.
    learned: Progress,
    terms: EarlierTerms,
    /// How far they are read for the lines.
    written: Progress,
}

#[derive(Default, Serialize, Deserialize)]
struct Progress {
    read: u64,
    /// Rows that PostHog sent twice.
    repeated: u64,
    /// The last event.
    after: Option<EventCursor>,
    is_complete: bool,
}

#[derive(Serialize, Deserialize)]
struct Line {
    timestamp: String,
    event: String,
    distinct_id: String,
    uuid: Uuid,
    properties: Value,
}

impl Events {
    /// The events of a range that are there when PostHog has counted them; none if the range begins later.
    pub(super) async fn begin(
        reader: &Reader<'_>,
        attempt: &Attempt,
        person: Uuid,
        range: TimeRange,
        total: &EventTotal,
    ) -> Result<Option<Self>, ExportError> {
        let until = total.counted_at.unwrap_or_else(|| attempt.began());
        let Some(range) = range.before(until) else {
            return Ok(None);
        };
        let total = event_total(reader, &query(person, range)).await?;
        let state = State {
            until: until.to_rfc3339(),
            count: total.count,
            first: total.first.map(|first| first.to_rfc3339()),
            learned: Progress::default(),
            terms: EarlierTerms::default(),
            written: Progress::default(),
        };
        let file = PendingFile::create(attempt.exports())?;
        Ok(Some(Self::new(file, state, person, range)))
    }

    /// Those of an earlier attempt, unless something is withheld now that was not then.
    pub(super) fn resume(
        attempt: &Attempt,
        redaction: &Redaction,
        person: &Person,
        range: TimeRange,
    ) -> Option<Self> {
        let (file, mut state) = attempt.resume::<State>()?;
        let range = range.before(state.until.parse().ok()?)?;
        let is_known = state.terms.add_person(redaction, person);
        let begins_anew = !is_known && state.written.read > 0;
        (!begins_anew).then(|| Self::new(file, state, person.uuid, range))
    }

    fn new(file: PendingFile, state: State, person: Uuid, range: TimeRange) -> Self {
        // An open range would read the whole table for each page.
        let first = state.first.as_ref().and_then(|first| first.parse().ok());
        let range = first.and_then(|first| range.since(first)).unwrap_or(range);
        Self {
            query: query(person, range),
            state,
            lines: BufWriter::new(file),
        }
    }

    /// The moment before which they are.
    pub(super) fn until(&self) -> Option<DateTime<Utc>> {
        self.state.until.parse().ok()
    }

    /// What the person had that is withheld, from all events.
    pub(super) async fn learn(
        &mut self,
        reader: &Reader<'_>,
        redaction: &Redaction,
        person: &Person,
    ) -> Result<&EarlierTerms, ExportError> {
        let State {
            learned,
            terms,
            count,
            ..
        } = &mut self.state;
        if redaction.is_active() {
            terms.add_person(redaction, person);
            each(reader, &self.query, *count, learned, |event| {
                terms.add(redaction, event);
                Ok(())
            })
            .await?;
        }
        Ok(terms)
    }

    /// Reads them into the file.
    pub(super) async fn read(
        &mut self,
        reader: &Reader<'_>,
        redactor: &FileRedactor,
    ) -> Result<(), ExportError> {
        let State { written, count, .. } = &mut self.state;
        let lines = &mut self.lines;
        each(reader, &self.query, *count, written, |event| {
            let shown = redactor.event(event);
            let line = serde_json::to_string(&Line {
                timestamp: shown.timestamp,
                event: shown.event,
                distinct_id: shown.distinct_id,
                uuid: event.uuid,
                properties: shown.properties,
            })?;
            lines.write_all(visible_json(&line).as_bytes())?;
            lines.write_all(b"\n")?;
            Ok(())
        })
        .await
    }

    /// Compares their number with PostHog's.
    pub(super) async fn check(&self, reader: &Reader<'_>) -> Result<EventCheck, ExportError> {
        let written = &self.state.written;
        let mut check = EventCheck {
            exported: written.read,
            counted_before: self.state.count,
            counted_after: None,
            repeated_rows: written.repeated,
            complete: written.read == self.state.count,
        };
        if !check.complete {
            let after = event_total(reader, &self.query).await?.count;
            check.counted_after = Some(after);
            check.complete = after == check.exported + check.repeated_rows;
        }
        Ok(check)
    }

    /// Writes `events.jsonl` and `events.csv`.
    pub(super) async fn write(
        &mut self,
        reader: &Reader<'_>,
        redactor: &FileRedactor,
        archive: &mut Archive,
    ) -> Result<EventSummary, ExportError> {
        self.lines.flush()?;
        let file = self.lines.get_mut();
        let rows = self.state.written.read;
        let mut turns = Turns::new(reader, rows);
        file.seek(SeekFrom::Start(0))?;
        archive.begin("events.jsonl")?;
        for line in BufReader::new(&mut *file).lines() {
            writeln!(archive, "{}", line?)?;
            turns.next().await;
        }
        archive.end(Some(rows));
        file.seek(SeekFrom::Start(0))?;
        archive.begin("events.csv")?;
        let mut table = csv::Writer::from_writer(&mut *archive);
        table.write_record(
            ["timestamp", "event", "distinct_id", "uuid"]
                .into_iter()
                .chain(COLUMNS)
                .chain(["properties"]),
        )?;
        let mut summary = EventSummary::default();
        for line in BufReader::new(file).lines() {
            let line: Line = serde_json::from_str(&line?)?;
            write_row(&line, redactor, &mut table)?;
            summary.add(line.event, line.timestamp);
            turns.next().await;
        }
        table.flush()?;
        drop(table);
        archive.end(Some(rows));
        Ok(summary)
    }

    /// Keeps what is read, if that is something, and returns how the export ends.
    pub(super) fn keep(self, attempt: &Attempt, error: Error) -> ExportError {
        let State {
            learned, written, ..
        } = &self.state;
        let read = match written.read {
            0 => learned.read,
            read => read,
        };
        if read == 0 {
            return error.into();
        }
        let total = Some(self.state.count);
        let file = self.lines.into_inner();
        let file = file.map_err(|error| error.into_error().into());
        attempt.keep(file, &self.state, |until| Kept {
            error,
            read,
            total,
            until,
        })
    }
}

/// Gives others their turn while many lines are written, and says that the export goes on.
struct Turns<'a> {
    reader: &'a Reader<'a>,
    rows: u64,
    lines: u32,
}

impl<'a> Turns<'a> {
    fn new(reader: &'a Reader<'a>, rows: u64) -> Self {
        Self {
            reader,
            rows,
            lines: 0,
        }
    }

    async fn next(&mut self) {
        self.lines = (self.lines + 1) % LINES_AT_ONCE;
        if self.lines == 0 {
            self.reader.posthog.notify(WaitReason::Rows {
                done: self.rows,
                total: Some(self.rows),
            });
            tokio::task::yield_now().await;
        }
    }
}

fn query(person: Uuid, range: TimeRange) -> EventsQuery {
    EventsQuery {
        source: EventSource::Person(person),
        names: Vec::new(),
        range,
    }
}

/// PostHog's count of the events of a person.
pub(super) async fn total(
    reader: &Reader<'_>,
    person: Uuid,
    range: TimeRange,
) -> Result<EventTotal, Error> {
    event_total(reader, &query(person, range)).await
}

async fn event_total(reader: &Reader<'_>, query: &EventsQuery) -> Result<EventTotal, Error> {
    reader.read(|| reader.posthog.event_total(query)).await
}

/// Reads the events that are not read yet, page after page.
async fn each(
    reader: &Reader<'_>,
    query: &EventsQuery,
    count: u64,
    progress: &mut Progress,
    mut visit: impl FnMut(&LoggedEvent) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let mut size = FIRST_PAGE;
    while !progress.is_complete {
        let page = reader.read(|| {
            reader
                .posthog
                .event_log(query, size, progress.after.as_ref(), MAX_RESPONSE_BYTES)
        });
        let page = match page.await {
            Ok(page) => page,
            Err(error) => match shorter(size, MIN_PAGE, &error) {
                Some(fewer) => {
                    size = fewer;
                    continue;
                }
                None => return Err(error.into()),
            },
        };
        page.events.iter().try_for_each(&mut visit)?;
        progress.repeated += page.repeated;
        progress.read += page.events.len() as u64;
        let all = count.max(progress.read);
        reader.posthog.notify(WaitReason::Rows {
            done: progress.read,
            total: Some(all),
        });
        // PostHog may send fewer rows than it has, without a sign of it: its count says whether there are more.
        progress.is_complete = page.events.is_empty() || (!page.has_more && progress.read >= all);
        if !page.events.is_empty() {
            size = next_size(size, page.events.len(), page.bytes);
            progress.after = page.next;
        }
    }
    Ok(())
}

fn write_row<W: Write>(
    line: &Line,
    redactor: &FileRedactor,
    table: &mut csv::Writer<W>,
) -> Result<(), ExportError> {
    let uuid = line.uuid.to_string();
    for text in [&line.timestamp, &line.event, &line.distinct_id, &uuid] {
        table.write_field(redactor.cell(text))?;
    }
    for key in COLUMNS {
        let text = line.properties.get(key).and_then(Value::as_str);
        table.write_field(redactor.cell(text.unwrap_or_default()))?;
    }
    table.write_field(redactor.cell(&line.properties.to_string()))?;
    table.write_record(None::<&[u8]>)?;
    Ok(())
}

/// Pages of about the same size in bytes; more events at most step by step, as the next ones may be larger.
fn next_size(size: u32, events: usize, bytes: usize) -> u32 {
    let fitting = PAGE_BYTES.saturating_mul(events.max(1)) / bytes.max(1);
    let fitting = u32::try_from(fitting).unwrap_or(MAX_PAGE);
    fitting
        .min(size.saturating_mul(4))
        .clamp(MIN_PAGE, MAX_PAGE)
}
