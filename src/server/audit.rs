//! The audit log: one JSON line for each change or deletion that is sent, without values and API keys.
//!
//! A line is written and on the disk before the request is sent, with the outcome `started`, and completed in its place
//! afterwards: a line that stays `started` means that the process ended in between. Several processes can share a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use crate::sync::lock;

/// Room for the part that is written afterwards: the longest outcome and a time.
const TAIL: usize = 96;

/// An open log. Clones write to the same file.
#[derive(Debug, Clone)]
pub struct AuditLog {
    file: Arc<Mutex<File>>,
}

/// What is known before a request is sent.
#[derive(Debug, Serialize)]
pub struct Intent<'a> {
    /// The tool's name.
    pub tool: &'a str,
    /// The project that the call is about.
    pub project: u64,
    /// UUIDs of the persons.
    pub persons: &'a [String],
    /// Names of the properties.
    pub property_keys: &'a [String],
    /// How it was confirmed.
    pub confirmation: &'a str,
}

/// A line without its outcome.
#[derive(Debug)]
pub struct Line {
    file: Arc<Mutex<File>>,
    tail: u64,
}

impl AuditLog {
    /// Opens a log, or creates one that only its owner can read.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let file = options.open(path)?;
        Ok(Self {
            file: Arc::new(Mutex::new(file)),
        })
    }

    /// Writes the line of a request that is about to be sent.
    ///
    /// # Errors
    /// When it cannot be written: the request must not be sent then.
    pub fn begin(&self, intent: &Intent<'_>) -> io::Result<Line> {
        #[derive(Serialize)]
        struct Head<'a> {
            time: String,
            #[serde(flatten)]
            intent: &'a Intent<'a>,
        }
        let head = Head {
            time: now(),
            intent,
        };
        let mut line = serde_json::to_string(&head)?;
        line.pop();
        line.push(',');
        let tail = line.len() as u64;
        line.push_str(&padded("started", None));
        let mut file = lock(&self.file);
        // Another process may be writing to the end as well.
        file.lock()?;
        let written = append(&mut file, line.as_bytes());
        file.unlock()?;
        Ok(Line {
            file: Arc::clone(&self.file),
            tail: written? + tail,
        })
    }
}

impl Line {
    /// Completes the line with the outcome of the request.
    ///
    /// # Errors
    /// When it cannot be written; the line then stays `started`.
    pub fn complete(self, outcome: &str) -> io::Result<()> {
        let mut file = lock(&self.file);
        file.seek(SeekFrom::Start(self.tail))?;
        file.write_all(padded(outcome, Some(now())).as_bytes())?;
        file.sync_data()
    }
}

/// Appends, and returns the offset.
fn append(file: &mut File, line: &[u8]) -> io::Result<u64> {
    let start = file.seek(SeekFrom::End(0))?;
    let written = file.write_all(line).and_then(|()| file.sync_data());
    if written.is_err() {
        // Half a line would make the next one unreadable.
        let _ = file.set_len(start);
    }
    written.map(|()| start)
}

/// The end of a line, of constant length so that it can be overwritten.
fn padded(outcome: &str, finished: Option<String>) -> String {
    let mut tail = format!("\"outcome\":\"{outcome}\"");
    if let Some(time) = finished {
        tail.push_str(&format!(",\"finished\":\"{time}\""));
    }
    format!("{tail:TAIL$}}}\n")
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn read(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn lines_are_completed_in_place_in_any_order() {
        let path = std::env::temp_dir().join(format!("audit-{}.jsonl", uuid::Uuid::new_v4()));
        let (one, other) = (
            AuditLog::open(&path).unwrap(),
            AuditLog::open(&path).unwrap(),
        );
        let intent = |tool| Intent {
            tool,
            project: 1,
            persons: &[],
            property_keys: &[],
            confirmation: "off",
        };
        let first = one.begin(&intent("first")).unwrap();
        let second = other.begin(&intent("second")).unwrap();
        let _third = one.begin(&intent("third")).unwrap();
        second.complete("not done").unwrap();
        first.complete("partly done").unwrap();
        let lines = read(&path);
        let outcomes: Vec<_> = lines
            .iter()
            .map(|line| (&line["tool"], &line["outcome"]))
            .collect();
        assert_eq!(
            serde_json::json!(outcomes),
            serde_json::json!([
                ["first", "partly done"],
                ["second", "not done"],
                ["third", "started"]
            ])
        );
        assert!(lines[0]["finished"].is_string() && lines[2].get("finished").is_none());
        std::fs::remove_file(&path).unwrap();
    }
}
