//! The archive: files that are compressed while they are written, each with its size and hash.

use std::io::{self, BufWriter, Write};

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::error::ExportError;
use super::manifest::FileEntry;
use super::pending_file::PendingFile;
use crate::hexadecimal::hexadecimal;
use crate::output::visible_json;

/// The level of compression: a higher one takes several times as long for a tenth less.
const FAST: i64 = 1;

/// An archive that is being written.
pub(super) struct Archive {
    zip: ZipWriter<BufWriter<PendingFile>>,
    options: SimpleFileOptions,
    files: Vec<FileEntry>,
    current: Option<Measured>,
}

/// What is known of the file that is being written.
struct Measured {
    name: &'static str,
    bytes: u64,
    hash: Sha256,
}

impl Archive {
    pub(super) fn new(file: PendingFile, began: DateTime<Utc>) -> Self {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(FAST))
            .large_file(true)
            .unix_permissions(0o600);
        let number = |number: u32| u8::try_from(number).unwrap_or_default();
        let modified = zip::DateTime::from_date_and_time(
            u16::try_from(began.year()).unwrap_or_default(),
            number(began.month()),
            number(began.day()),
            number(began.hour()),
            number(began.minute()),
            number(began.second()),
        );
        Self {
            zip: ZipWriter::new(BufWriter::new(file)),
            options: match modified {
                Ok(modified) => options.last_modified_time(modified),
                Err(_) => options,
            },
            files: Vec::new(),
            current: None,
        }
    }

    /// Begins a file. What is written to the archive from now on goes into it.
    pub(super) fn begin(&mut self, name: &'static str) -> Result<(), ExportError> {
        self.zip.start_file(name, self.options)?;
        self.current = Some(Measured {
            name,
            bytes: 0,
            hash: Sha256::new(),
        });
        Ok(())
    }

    /// Ends the file, with the number of its rows if it has some.
    pub(super) fn end(&mut self, rows: Option<u64>) {
        if let Some(file) = self.current.take() {
            self.files.push(FileEntry {
                name: file.name,
                bytes: file.bytes,
                rows,
                sha256: hexadecimal(&file.hash.finalize()),
            });
        }
    }

    /// A whole file of JSON.
    pub(super) fn json(
        &mut self,
        name: &'static str,
        content: &impl Serialize,
        rows: Option<u64>,
    ) -> Result<(), ExportError> {
        let json = serde_json::to_string_pretty(content)?;
        self.text(name, &visible_json(&json), rows)
    }

    /// A whole file of text.
    pub(super) fn text(
        &mut self,
        name: &'static str,
        content: &str,
        rows: Option<u64>,
    ) -> Result<(), ExportError> {
        self.begin(name)?;
        self.write_all(content.as_bytes())?;
        self.write_all(b"\n")?;
        self.end(rows);
        Ok(())
    }

    /// The files so far.
    pub(super) fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Completes the archive.
    pub(super) fn finish(self) -> Result<PendingFile, ExportError> {
        let writer = self.zip.finish()?;
        Ok(writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?)
    }
}

impl Write for Archive {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.zip.write(bytes)?;
        if let Some(file) = &mut self.current {
            file.bytes += written as u64;
            file.hash.update(bytes.get(..written).unwrap_or_default());
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.zip.flush()
    }
}
