//! A list of persons as one CSV, page after page, each person once.

use std::collections::HashSet;
use std::io::{BufWriter, Read, Seek, SeekFrom};

use posthog_client::{Client, Error, WaitReason};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::directory::ExportedFile;
use super::error::ExportError;
use super::kept::{Attempt, Kept};
use super::list_pages::{ListSource, Pages, Place};
use super::pending_file::PendingFile;
use super::waiting::{Reader, is_temporary};
use crate::hexadecimal::hexadecimal;
use crate::output::{FileColumns, Redaction, Select};

/// A complete export.
#[derive(Debug)]
pub struct ListExport {
    /// The file.
    pub file: ExportedFile,
    /// Its columns.
    pub columns: Vec<String>,
    /// Its rows, without the header.
    pub rows: u64,
    /// The number of persons by PostHog's count, when the export began.
    pub counted: Option<u64>,
    /// Whether PostHog could only be asked for persons by their position in the list.
    pub by_position: bool,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// The list, as far as it is written.
struct List<'a> {
    columns: FileColumns<'a>,
    table: csv::Writer<BufWriter<PendingFile>>,
    /// Who is in it.
    known: HashSet<Uuid>,
    state: State,
}

/// What an export needs to go on, besides its rows.
#[derive(Default, Serialize, Deserialize)]
struct State {
    counted: Option<u64>,
    place: Place,
}

/// Exports a list.
///
/// # Errors
/// When PostHog fails or the file cannot be written.
pub async fn export_list(
    attempt: &Attempt,
    redaction: &Redaction,
    select: &Select,
    source: &impl ListSource,
) -> Result<ListExport, ExportError> {
    let columns = FileColumns::new(select, redaction);
    let mut list = List::new(attempt, columns)?;
    match list.read(attempt, source).await {
        Ok(()) => list.publish(attempt),
        Err(ExportError::PostHog(error)) if is_temporary(&error) && !list.known.is_empty() => {
            Err(list.keep(attempt, error))
        }
        Err(error) => Err(error),
    }
}

impl<'a> List<'a> {
    /// The list of an earlier attempt, or an empty one.
    fn new(attempt: &Attempt, columns: FileColumns<'a>) -> Result<Self, ExportError> {
        let kept = attempt.resume::<State>().and_then(|(mut file, state)| {
            let known = known(&mut file)?;
            Some((file, state, known))
        });
        let is_new = kept.is_none();
        let (file, state, known) = match kept {
            Some(kept) => kept,
            None => {
                let file = PendingFile::create(attempt.exports())?;
                (file, State::default(), HashSet::new())
            }
        };
        let mut table = csv::Writer::from_writer(BufWriter::new(file));
        if is_new {
            table.write_record(columns.header())?;
        }
        Ok(Self {
            columns,
            table,
            known,
            state,
        })
    }

    async fn read(
        &mut self,
        attempt: &Attempt,
        source: &impl ListSource,
    ) -> Result<(), ExportError> {
        let posthog: &Client = attempt.posthog();
        let reader = Reader::new(posthog, attempt.exports());
        let mut pages = Pages::new(reader, source, self.state.place);
        loop {
            let page = match pages.next(&self.known).await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(()),
                Err(error)
                    if self.known.is_empty() && matches!(self.state.place, Place::After(None)) =>
                {
                    return Err(ExportError::NotBegun(error));
                }
                Err(error) => return Err(error.into()),
            };
            for person in &page.persons {
                if self.known.insert(person.uuid) {
                    self.table.write_record(self.columns.cells(person))?;
                }
            }
            self.state.counted = self.state.counted.or(page.counted);
            if !matches!(pages.place(), Place::End) {
                self.state.place = pages.place();
            }
            let done = self.known.len() as u64;
            posthog.notify(WaitReason::Rows {
                done,
                total: self.state.counted.map(|counted| counted.max(done)),
            });
        }
    }

    fn publish(self, attempt: &Attempt) -> Result<ListExport, ExportError> {
        let mut file = into_file(self.table)?;
        let sha256 = hash(&mut file)?;
        let exports = attempt.exports();
        Ok(ListExport {
            file: exports.publish(file, "persons", "csv", "text/csv", attempt.began())?,
            columns: self.columns.header(),
            rows: self.known.len() as u64,
            counted: self.state.counted,
            by_position: matches!(self.state.place, Place::Offset(_)),
            sha256,
        })
    }

    fn keep(self, attempt: &Attempt, error: Error) -> ExportError {
        let (read, total) = (self.known.len() as u64, self.state.counted);
        attempt.keep(into_file(self.table), &self.state, |until| Kept {
            error,
            read,
            total,
            until,
        })
    }
}

/// Who is in a kept file, which is read to its end: the first column.
fn known(file: &mut PendingFile) -> Option<HashSet<Uuid>> {
    file.seek(SeekFrom::Start(0)).ok()?;
    let mut known = HashSet::new();
    for row in csv::Reader::from_reader(&mut *file).byte_records() {
        known.insert(Uuid::try_parse_ascii(row.ok()?.get(0)?).ok()?);
    }
    file.seek(SeekFrom::End(0)).ok()?;
    Some(known)
}

/// The file behind a table, after all of the table is in it.
fn into_file(table: csv::Writer<BufWriter<PendingFile>>) -> Result<PendingFile, ExportError> {
    let buffer = table.into_inner().map_err(|error| error.into_error())?;
    Ok(buffer
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?)
}

fn hash(file: &mut PendingFile) -> Result<String, ExportError> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 64 * 1024];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            read => hash.update(block.get(..read).unwrap_or_default()),
        }
    }
}
