//! What is kept of an export that PostHog's rate limit or a failure ended, so that the same export can go on.
//!
//! A kept file holds what the export itself would: it is redacted and masked alike, and its owner's alone. Behind that is
//! where to go on, and what may not be in an export, encrypted: only the same API key can read it, for the same caller,
//! arguments and settings. The name says nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use posthog_client::{Client, Error};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::directory::Exports;
use super::error::ExportError;
use super::pending_file::{PENDING_PREFIX, PendingFile};
use crate::output::Redaction;

/// How long an export can go on. What is kept is removed afterwards.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How the names of kept files end.
pub(super) const KEPT_SUFFIX: &str = ".partial";
/// The size of the last part of a kept file, which is the size of the part before.
const SIZE_BYTES: u64 = 8;
/// The most that is read of a file to see whether it is the one.
const MAX_STATE_BYTES: u64 = 4 * 1024 * 1024;

/// An export at its first attempt, or at a later one that goes on.
pub struct Attempt {
    posthog: Client,
    exports: Exports,
    /// What must be the same for a kept file to be this export's.
    about: String,
    began: DateTime<Utc>,
    /// The file of an earlier attempt.
    kept: Option<PathBuf>,
}

/// An export that ended early and can go on.
#[derive(Debug)]
pub struct Kept {
    /// Why it ended.
    pub error: Error,
    /// Rows that are read.
    pub read: u64,
    /// All rows, as far as PostHog counted them.
    pub total: Option<u64>,
    /// Until when it can go on.
    pub until: DateTime<Utc>,
}

/// The encrypted part of a kept file.
#[derive(Serialize, Deserialize)]
struct Footer<S> {
    began: String,
    state: S,
}

/// A kept file that was found.
struct Found<S> {
    path: PathBuf,
    file: File,
    content_bytes: u64,
    began: DateTime<Utc>,
    state: S,
}

impl Attempt {
    /// An export of this caller with this key, these settings and arguments.
    ///
    /// # Errors
    /// When the project cannot be determined.
    pub async fn new(
        posthog: &Client,
        exports: &Exports,
        redaction: &Redaction,
        arguments: &str,
    ) -> Result<Self, Error> {
        let about = json!([
            env!("CARGO_PKG_VERSION"),
            exports.principal(),
            posthog.host(),
            posthog.project().await?,
            redaction.settings(),
            arguments,
        ]);
        let mut attempt = Self {
            posthog: posthog.clone(),
            exports: exports.clone(),
            about: about.to_string(),
            began: Utc::now(),
            kept: None,
        };
        if let Some(found) = attempt.find() {
            attempt.began = found.began;
            attempt.kept = Some(found.path);
        }
        Ok(attempt)
    }

    /// When the first attempt began: what the arguments say of times is about this moment.
    #[must_use]
    pub fn began(&self) -> DateTime<Utc> {
        self.began
    }

    /// PostHog, as the caller's credential sees it.
    pub(super) fn posthog(&self) -> &Client {
        &self.posthog
    }

    /// Where to.
    pub(super) fn exports(&self) -> &Exports {
        &self.exports
    }

    /// The file that an earlier attempt kept, which is this one's now, and its state.
    pub(super) fn resume<S: DeserializeOwned>(&self) -> Option<(PendingFile, S)> {
        let found = self.open::<S>(self.kept.clone()?)?;
        let mut file = PendingFile::adopt(&self.exports, found.file, &found.path).ok()?;
        file.truncate(found.content_bytes).ok()?;
        Some((file, found.state))
    }

    /// Keeps a file, and returns how the export ends: with what is kept until a time, or with the failure to keep it.
    pub(super) fn keep(
        &self,
        file: Result<PendingFile, ExportError>,
        state: &impl Serialize,
        kept: impl FnOnce(DateTime<Utc>) -> Kept,
    ) -> ExportError {
        match file.and_then(|file| self.write(file, state)) {
            Ok(until) => ExportError::Kept(Box::new(kept(until))),
            Err(error) => error,
        }
    }

    fn write(
        &self,
        mut file: PendingFile,
        state: &impl Serialize,
    ) -> Result<DateTime<Utc>, ExportError> {
        let footer = serde_json::to_vec(&Footer {
            began: self.began.to_rfc3339(),
            state,
        })?;
        let sealed = self.posthog.seal(&self.about, footer);
        let sealed = sealed.ok_or_else(|| io::Error::other("the system has no random numbers"))?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(&sealed)?;
        file.write_all(&(sealed.len() as u64).to_le_bytes())?;
        let until = Utc::now() + KEPT_FOR;
        let path = self.exports.new_path(KEPT_SUFFIX);
        drop(file.publish(&path)?);
        self.exports.kept(&path);
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            let _ = fs::remove_file(path);
        });
        Ok(until)
    }

    fn find(&self) -> Option<Found<IgnoredAny>> {
        let entries = fs::read_dir(self.exports.directory()).ok()?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths
            .filter(|path| is_kept(path))
            .find_map(|path| self.open(path))
    }

    /// A kept file, if it is one of this export that no other call goes on with.
    fn open<S: DeserializeOwned>(&self, path: PathBuf) -> Option<Found<S>> {
        let mut file = OpenOptions::new().read(true).write(true).open(&path).ok()?;
        if matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)) {
            return None;
        }
        let bytes = file.metadata().ok()?.len();
        let footer_end = bytes.checked_sub(SIZE_BYTES)?;
        file.seek(SeekFrom::Start(footer_end)).ok()?;
        let mut size = [0; SIZE_BYTES as usize];
        file.read_exact(&mut size).ok()?;
        let size = u64::from_le_bytes(size);
        let content_bytes = footer_end.checked_sub(size)?;
        if size > MAX_STATE_BYTES {
            return None;
        }
        file.seek(SeekFrom::Start(content_bytes)).ok()?;
        let mut sealed = vec![0; usize::try_from(size).ok()?];
        file.read_exact(&mut sealed).ok()?;
        let footer = self.posthog.unseal(&self.about, sealed)?;
        let footer: Footer<S> = serde_json::from_slice(&footer).ok()?;
        Some(Found {
            path,
            file,
            content_bytes,
            began: footer.began.parse().ok()?,
            state: footer.state,
        })
    }
}

/// Whether a kept file is too old to go on with.
fn is_over(file: &File) -> bool {
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    let age = modified.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    age.is_ok_and(|age| age >= KEPT_FOR)
}

/// Whether the file is kept for an export to go on.
pub(super) fn is_kept(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_named = name.starts_with(PENDING_PREFIX) && name.ends_with(KEPT_SUFFIX);
    is_named && !File::open(path).is_ok_and(|file| is_over(&file))
}
