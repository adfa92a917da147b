//! Writing the log.
//!
//! Every line is appended to the file that the path names at that moment, under a lock that other processes respect. So a
//! file that was rotated, truncated or deleted in between is followed by a new one, which begins with a note that carries
//! the hash of the last line written before.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::chain::{ChainKey, NOTHING_BEFORE};
use crate::sync::lock;

/// How long another program may hold the lock on the file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
const LOCK_RETRY: Duration = Duration::from_millis(5);
/// How much of the end of a file is read at a time to find its last line.
const BLOCK: u64 = 64 * 1024;

/// A log. Clones write to the same file.
#[derive(Debug, Clone)]
pub struct AuditLog {
    inner: Arc<Inner>,
    records_reads: bool,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    key: ChainKey,
    /// What the file was after this process wrote to it last. The lock serializes the writers of this process.
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    file: Option<FileId>,
    length: u64,
    hash: String,
}

/// What is known of a write before its request is sent.
#[derive(Debug, Clone, Serialize)]
pub struct Write {
    /// The tool's name.
    pub tool: &'static str,
    /// The PostHog that the request goes to, without path or credentials.
    pub host: String,
    /// The project that the call is about.
    pub project: u64,
    /// The fingerprint of the API key.
    pub key: String,
    /// UUIDs of the persons.
    pub persons: Vec<String>,
    /// Names of the properties.
    pub property_keys: Vec<String>,
    /// What is deleted of the persons; nothing for a change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deletes: Vec<&'static str>,
    /// The one of the persons into which the others are merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// How it was confirmed.
    pub confirmation: &'static str,
}

/// A write whose first line is written.
#[derive(Debug)]
pub struct Line {
    log: AuditLog,
    id: Uuid,
    write: Write,
}

#[derive(Serialize)]
struct Entry<'a> {
    time: String,
    id: Uuid,
    #[serde(flatten)]
    write: &'a Write,
    outcome: &'a str,
    prev: &'a str,
}

#[derive(Serialize)]
struct Note<'a> {
    time: String,
    note: &'a str,
    /// The hash of the line that this process wrote last.
    last: &'a str,
    prev: &'a str,
}

impl AuditLog {
    /// A log in this file, which is created, readable by its owner alone, if it does not exist.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(path: &Path, key: ChainKey) -> io::Result<Self> {
        open(path)?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                key,
                last: Mutex::default(),
            }),
            records_reads: false,
        })
    }

    /// The same log, in which calls that only read have lines as well.
    #[must_use]
    pub fn with_reads(self) -> Self {
        Self {
            records_reads: true,
            ..self
        }
    }

    /// Whether calls that only read have lines as well. Exports have them in any case.
    #[must_use]
    pub fn records_reads(&self) -> bool {
        self.records_reads
    }

    /// Writes the line of a request that is about to be sent.
    ///
    /// # Errors
    /// When it cannot be written: the request must not be sent then.
    pub async fn begin(&self, write: Write) -> io::Result<Line> {
        let line = Line {
            log: self.clone(),
            id: Uuid::new_v4(),
            write,
        };
        line.append("started").await
    }

    /// Appends a line. Off the reactor: the disk or the holder of the lock can be slow.
    pub(super) async fn append(
        &self,
        line: impl Fn(&str) -> serde_json::Result<String> + Send + 'static,
    ) -> io::Result<()> {
        let inner = Arc::clone(&self.inner);
        let written = tokio::task::spawn_blocking(move || inner.append(line));
        written.await.map_err(io::Error::other)?
    }
}

impl Line {
    /// Writes the line with the outcome of the request.
    ///
    /// # Errors
    /// When it cannot be written; the log then does not say how the write ended.
    pub async fn complete(self, outcome: &'static str) -> io::Result<()> {
        self.append(outcome).await.map(drop)
    }

    async fn append(self, outcome: &'static str) -> io::Result<Self> {
        let write = self.write.clone();
        let line = move |prev: &str| {
            serde_json::to_string(&Entry {
                time: now(),
                id: self.id,
                write: &write,
                outcome,
                prev,
            })
        };
        self.log.append(line).await?;
        Ok(self)
    }
}

impl Inner {
    /// Appends the line that is made from the hash of the line before.
    fn append(&self, line: impl Fn(&str) -> serde_json::Result<String>) -> io::Result<()> {
        let mut last = lock(&self.last);
        let (mut file, metadata) = self.open_locked()?;
        let start = metadata.len();
        let id = FileId::of(&metadata);
        let (mut prev, is_whole) = self.last_line(&mut file, start)?;
        let mut text = String::new();
        // Half a line must not swallow the next one.
        if !is_whole {
            text.push('\n');
        }
        let replaced = last
            .as_ref()
            .filter(|last| last.file != id || last.length > start);
        if let Some(replaced) = replaced {
            let note = serde_json::to_string(&Note {
                time: now(),
                note: "the file was replaced, truncated or removed",
                last: &replaced.hash,
                prev: &prev,
            })?;
            prev = self.key.hash(note.as_bytes());
            text.push_str(&note);
            text.push('\n');
        }
        let line = line(&prev)?;
        text.push_str(&line);
        text.push('\n');
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            // What is half written would be taken for a damaged line.
            let _ = file.set_len(start);
            return Err(error);
        }
        *last = Some(Last {
            file: id,
            length: start + text.len() as u64,
            hash: self.key.hash(line.as_bytes()),
        });
        Ok(())
    }

    /// The file that the path names, locked.
    fn open_locked(&self) -> io::Result<(File, Metadata)> {
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            let file = open(&self.path)?;
            while let Err(error) = file.try_lock() {
                match error {
                    TryLockError::WouldBlock if Instant::now() < deadline => {
                        std::thread::sleep(LOCK_RETRY);
                    }
                    TryLockError::WouldBlock => {
                        return Err(io::Error::new(
                            io::ErrorKind::TimedOut,
                            "another program holds the lock on the file",
                        ));
                    }
                    TryLockError::Error(error) => return Err(error),
                }
            }
            let metadata = file.metadata()?;
            // It may have been moved away before it was locked.
            let named = std::fs::metadata(&self.path).map(|named| FileId::of(&named));
            if named.is_ok_and(|named| named == FileId::of(&metadata)) {
                return Ok((file, metadata));
            }
            if Instant::now() >= deadline {
                return Err(io::Error::other("the file is being replaced continually"));
            }
        }
    }

    /// The hash of the last line, and whether it ends with a line break.
    fn last_line(&self, file: &mut File, length: u64) -> io::Result<(String, bool)> {
        let mut end = Vec::new();
        let mut start = length;
        loop {
            let whole = end.last().is_none_or(|byte| *byte == b'\n');
            let content = end.strip_suffix(b"\n").unwrap_or(&end);
            let line_break = content.iter().rposition(|byte| *byte == b'\n');
            if start > 0 && line_break.is_none() {
                let size = BLOCK.min(start);
                start -= size;
                let mut block = vec![0; usize::try_from(size).unwrap_or(0)];
                file.seek(SeekFrom::Start(start))?;
                file.read_exact(&mut block)?;
                block.append(&mut end);
                end = block;
                continue;
            }
            let line = line_break.map_or(content, |at| content.get(at + 1..).unwrap_or_default());
            let hash = if line.is_empty() && start == 0 && line_break.is_none() {
                NOTHING_BEFORE.to_owned()
            } else {
                self.key.hash(line)
            };
            return Ok((hash, whole));
        }
    }
}

/// Opens a file for appending, and creates it if it does not exist.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// What tells a file from another that has its path later. Unknown where the system does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    number: u64,
}

impl FileId {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            device: metadata.dev(),
            number: metadata.ino(),
        })
    }

    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Option<Self> {
        None
    }
}

pub(super) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}
