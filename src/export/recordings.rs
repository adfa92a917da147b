//! The session recordings of a person, as a list with links.

use std::collections::HashSet;
use std::io::Write;

use posthog_client::{Client, Error, Recording, RecordingPage, TimeRange};
use uuid::Uuid;

use super::archive::Archive;
use super::error::ExportError;
use super::waiting::Reader;
use crate::output::FileRedactor;

const PAGE: u32 = 100;

/// Writes `recordings.csv` from its first page on, and returns how many there are.
pub(super) async fn write(
    reader: &Reader<'_>,
    person: Uuid,
    range: TimeRange,
    first: RecordingPage,
    redactor: &FileRedactor,
    archive: &mut Archive,
) -> Result<u64, ExportError> {
    archive.begin("recordings.csv")?;
    write_row(
        archive,
        &[
            "session_id",
            "start_time",
            "end_time",
            "seconds",
            "distinct_id",
            "start_url",
            "link",
        ],
    )?;
    let mut seen = HashSet::new();
    let (mut page, mut offset) = (first, 0);
    loop {
        for recording in &page.results {
            // Pages shift when a recording is added or its time is over.
            if seen.insert(redactor.text(&recording.id)) {
                write_recording(reader.posthog, recording, redactor, archive).await?;
            }
        }
        if !page.has_next || page.results.is_empty() {
            break;
        }
        offset += PAGE;
        page = self::page(reader, person, range, offset).await?;
    }
    let count = seen.len() as u64;
    archive.end(Some(count));
    Ok(count)
}

/// A page of recordings.
pub(super) async fn page(
    reader: &Reader<'_>,
    person: Uuid,
    range: TimeRange,
    offset: u32,
) -> Result<RecordingPage, Error> {
    let request = || reader.posthog.recordings(person, range, PAGE, offset);
    reader.read(request).await
}

async fn write_recording(
    posthog: &Client,
    recording: &Recording,
    redactor: &FileRedactor,
    archive: &mut Archive,
) -> Result<(), ExportError> {
    let time = |time: &Option<_>| time.as_ref().map(|time| redactor.time(time));
    let seconds = recording.recording_duration.as_ref();
    let link = posthog.recording_url(&recording.id).await?;
    let cells = [
        redactor.text(&recording.id),
        time(&recording.start_time).unwrap_or_default(),
        time(&recording.end_time).unwrap_or_default(),
        seconds.map(ToString::to_string).unwrap_or_default(),
        redactor.text(&recording.distinct_id),
        recording
            .start_url
            .as_ref()
            .map(|url| redactor.text(url))
            .unwrap_or_default(),
        link,
    ];
    write_row(archive, &cells.map(|cell| redactor.cell(&cell)))
}

fn write_row<T: AsRef<[u8]>>(archive: &mut Archive, cells: &[T]) -> Result<(), ExportError> {
    let mut row = csv::Writer::from_writer(Vec::new());
    row.write_record(cells)?;
    let row = row.into_inner().map_err(|error| error.into_error())?;
    archive.write_all(&row)?;
    Ok(())
}
