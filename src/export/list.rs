//! A list of persons as one CSV, page after page.
//!
//! Pages by offset shift while persons come and go: each page begins within the one before, and a page that has no person
//! in common with what is written already is requested again from further ahead. So none is left out, and each is written
//! once.

use std::collections::HashSet;
use std::io::{BufWriter, Read, Seek, SeekFrom};

use chrono::Utc;
use posthog_client::{Client, Error, Person, WaitReason};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::directory::{ExportedFile, Exports};
use super::error::ExportError;
use super::events::into_file;
use super::pending_file::PendingFile;
use super::waiting::waiting;
use crate::hexadecimal::hexadecimal;
use crate::output::{FileColumns, Redaction, Select};

/// Persons of a page.
const PAGE: u32 = 500;
/// Persons that a page has in common with the one before.
const OVERLAP: u32 = 10;
/// How often a page may be requested from further ahead.
const MAX_STEPS_BACK: u32 = 20;

/// A page of persons.
#[derive(Debug)]
pub struct PersonsPage {
    /// The persons.
    pub persons: Vec<Person>,
    /// Whether there is a next page.
    pub has_next: bool,
    /// The number of all persons, if it was requested.
    pub count: Option<u64>,
}

/// Where pages come from.
pub trait ListSource: Sync {
    /// A page, with the number of all persons on request.
    fn page(
        &self,
        limit: u32,
        offset: u32,
        count: bool,
    ) -> impl Future<Output = Result<PersonsPage, Error>> + Send;
}

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
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Exports a list.
///
/// # Errors
/// When PostHog fails or the file cannot be written; nothing is left then.
pub async fn export_list(
    posthog: &Client,
    exports: &Exports,
    redaction: &Redaction,
    select: &Select,
    source: &impl ListSource,
) -> Result<ListExport, ExportError> {
    let began = Utc::now();
    let columns = FileColumns::new(select, redaction);
    let mut table = csv::Writer::from_writer(BufWriter::new(exports.create()?));
    table.write_record(columns.header())?;
    let mut seen: HashSet<Uuid> = HashSet::new();
    let (mut offset, mut counted, mut steps_back) = (0, None, 0);
    loop {
        let first = seen.is_empty() && offset == 0;
        let page = waiting(posthog, exports.max_wait(), || {
            source.page(PAGE, offset, first)
        });
        let page = page.await.map_err(|error| match first {
            true => ExportError::NotBegun(error),
            false => error.into(),
        })?;
        counted = counted.or(page.count);
        let is_known = |person: &Person| seen.contains(&person.uuid);
        let is_joined = offset == 0 || page.persons.is_empty() || page.persons.iter().any(is_known);
        if !is_joined && steps_back < MAX_STEPS_BACK {
            steps_back += 1;
            offset = offset.saturating_sub(PAGE / 2);
            continue;
        }
        steps_back = 0;
        for person in &page.persons {
            if seen.insert(person.uuid) {
                table.write_record(columns.cells(person))?;
            }
        }
        let done = seen.len() as u64;
        posthog.notify(WaitReason::Rows {
            done,
            total: counted.map(|counted| counted.max(done)),
        });
        if !page.has_next {
            break;
        }
        offset += PAGE - OVERLAP;
    }
    let mut file = into_file(table)?;
    let sha256 = hash(&mut file)?;
    let header = columns.header();
    Ok(ListExport {
        file: exports.publish(file, "persons", "csv", "text/csv", began)?,
        columns: header,
        rows: seen.len() as u64,
        counted,
        sha256,
    })
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
