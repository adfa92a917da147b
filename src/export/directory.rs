//! The directory of exports, and the links to those that are downloaded.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use super::kept::is_kept;
use super::pending_file::{PENDING_PREFIX, PendingFile};
use crate::sync::lock;

/// How long a link works. The file is removed afterwards.
pub const LINK_TTL: Duration = Duration::from_secs(15 * 60);

/// Files that a caller can have to download at the same time, and those kept to go on. Disks are finite.
const MAX_LINKS: usize = 16;
const MAX_KEPT: usize = 16;

/// How the names of files begin that are removed after a while.
const SERVED_PREFIX: &str = "served-";
/// How long an export waits for PostHog in a tool call, in all: clients give up on a call after a few minutes.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// Where exports are written, for one caller. Cheap to clone.
#[derive(Clone)]
pub struct Exports {
    inner: Arc<Inner>,
    /// Who may download them.
    principal: Arc<str>,
    max_wait: Duration,
}

struct Inner {
    directory: PathBuf,
    /// The address below which exports are downloaded; none where they stay where they are.
    base_url: Option<String>,
    pending: Mutex<HashSet<PathBuf>>,
    served: Mutex<HashMap<Uuid, Served>>,
    /// What this process kept of exports, and for whom; the oldest first.
    kept: Mutex<Vec<(Arc<str>, PathBuf)>>,
    /// Whether nobody waits for the exports any more. Each wait for PostHog listens.
    gives_up: watch::Sender<bool>,
}

struct Served {
    path: PathBuf,
    name: String,
    media_type: &'static str,
    principal: Arc<str>,
    until: Instant,
    /// Keeps its lock.
    _file: File,
}

/// A complete file.
#[derive(Debug, Clone)]
pub struct ExportedFile {
    /// `file://` or, to be downloaded, `http://`.
    pub uri: String,
    /// Where it is, if it stays there.
    pub path: Option<PathBuf>,
    /// Its name, which says nothing of the persons.
    pub name: String,
    /// Its media type.
    pub media_type: &'static str,
    /// Its size.
    pub bytes: u64,
    /// When it is removed, if it is.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A file to be downloaded.
#[derive(Debug, Clone)]
pub struct Download {
    /// Where it is.
    pub path: PathBuf,
    /// Its name for the client.
    pub name: String,
    /// Its media type.
    pub media_type: &'static str,
}

impl Exports {
    /// Exports that stay in this directory, which is made its owner's alone. What interrupted exports left is removed.
    ///
    /// # Errors
    /// When the directory cannot be created or used.
    pub fn in_directory(directory: &Path) -> io::Result<Self> {
        make_private(directory)?;
        Self::new(directory, None)
    }

    /// Exports that stay in a directory that exists, and is left as it is.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn in_place(directory: &Path) -> io::Result<Self> {
        Self::new(directory, None)
    }

    /// Exports that are downloaded from below this address, and removed afterwards and now.
    ///
    /// # Errors
    /// When the directory cannot be created or used.
    pub fn served_at(directory: &Path, base_url: &str) -> io::Result<Self> {
        make_private(directory)?;
        Self::new(directory, Some(base_url.trim_end_matches('/').to_owned()))
    }

    fn new(directory: &Path, base_url: Option<String>) -> io::Result<Self> {
        let directory = fs::canonicalize(directory)?;
        let prefixes = match base_url {
            Some(_) => &[PENDING_PREFIX, SERVED_PREFIX][..],
            None => &[PENDING_PREFIX],
        };
        remove_abandoned(&directory, prefixes)?;
        Ok(Self {
            inner: Arc::new(Inner {
                directory,
                base_url,
                pending: Mutex::default(),
                served: Mutex::default(),
                kept: Mutex::default(),
                gives_up: watch::Sender::new(false),
            }),
            principal: "local".into(),
            max_wait: MAX_WAIT,
        })
    }

    /// The same for another caller.
    #[must_use]
    pub fn of(&self, principal: &Arc<str>) -> Self {
        Self {
            principal: Arc::clone(principal),
            ..self.clone()
        }
    }

    /// The same that waits for PostHog for longer or less long.
    #[must_use]
    pub fn with_max_wait(self, max_wait: Duration) -> Self {
        Self { max_wait, ..self }
    }

    /// How long an export waits for PostHog in all.
    pub(super) fn max_wait(&self) -> Duration {
        self.max_wait
    }

    /// Ends the waits for PostHog, if an export waits: it ends as if the wait were too long, and what is read is kept.
    #[must_use]
    pub fn give_up(&self) -> bool {
        self.inner.gives_up.send(true).is_ok()
    }

    /// Becomes true when exports give up.
    pub(super) fn gives_up(&self) -> watch::Receiver<bool> {
        self.inner.gives_up.subscribe()
    }

    /// A new path of a file that is not complete.
    pub(super) fn new_path(&self, suffix: &str) -> PathBuf {
        let name = format!("{PENDING_PREFIX}{}{suffix}", Uuid::new_v4().simple());
        self.inner.directory.join(name)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Whose exports these are.
    pub(super) fn principal(&self) -> &str {
        &self.principal
    }

    /// Counts a file that is kept to go on, and removes this caller's oldest where there are too many.
    pub(super) fn kept(&self, path: &Path) {
        let mut kept = lock(&self.inner.kept);
        kept.retain(|(_, path)| path.exists());
        kept.push((Arc::clone(&self.principal), path.to_owned()));
        let own = kept.iter().filter(|(of, _)| *of == self.principal);
        let beyond = own.clone().count().saturating_sub(MAX_KEPT);
        for (_, oldest) in own.take(beyond) {
            let _ = fs::remove_file(oldest);
        }
    }

    /// Gives a complete file its name, which begins with `kind` and says nothing of the persons.
    pub(super) fn publish(
        &self,
        file: PendingFile,
        kind: &str,
        extension: &str,
        media_type: &'static str,
        began: DateTime<Utc>,
    ) -> io::Result<ExportedFile> {
        let id = Uuid::new_v4();
        let short: String = id.simple().to_string().chars().take(8).collect();
        let day = began.format("%Y%m%dT%H%M%SZ");
        let name = format!("posthog-{kind}-{day}-{short}.{extension}");
        let Some(base_url) = &self.inner.base_url else {
            let path = self.inner.directory.join(&name);
            let bytes = file.publish(&path)?.metadata()?.len();
            let uri = Url::from_file_path(&path).map_or_else(|()| name.clone(), String::from);
            return Ok(ExportedFile {
                uri,
                path: Some(path),
                name,
                media_type,
                bytes,
                expires_at: None,
            });
        };
        let path = self
            .inner
            .directory
            .join(format!("{SERVED_PREFIX}{id}.{extension}"));
        let handle = file.publish(&path)?;
        let bytes = handle.metadata()?.len();
        let served = Served {
            path,
            name: name.clone(),
            media_type,
            principal: Arc::clone(&self.principal),
            until: Instant::now() + LINK_TTL,
            _file: handle,
        };
        lock(&self.inner.served).insert(id, served);
        self.remove_oldest();
        let inner = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            tokio::time::sleep(LINK_TTL).await;
            if let Some(inner) = inner.upgrade() {
                inner.remove_served(id);
            }
        });
        Ok(ExportedFile {
            uri: format!("{base_url}/exports/{id}"),
            path: None,
            name,
            media_type,
            bytes,
            expires_at: Some(Utc::now() + LINK_TTL),
        })
    }

    /// Removes the oldest files of this caller where there are too many.
    fn remove_oldest(&self) {
        let mut own: Vec<(Instant, Uuid)> = lock(&self.inner.served)
            .iter()
            .filter(|(_, file)| file.principal == self.principal)
            .map(|(id, file)| (file.until, *id))
            .collect();
        own.sort_unstable();
        let beyond = own.len().saturating_sub(MAX_LINKS);
        for (_, id) in own.into_iter().take(beyond) {
            self.inner.remove_served(id);
        }
    }

    /// The file of a link, for the caller that exported it and as long as the link works.
    #[must_use]
    pub fn download(&self, id: Uuid, principal: &str) -> Option<Download> {
        let served = lock(&self.inner.served);
        let file = served.get(&id)?;
        let allowed = *file.principal == *principal && Instant::now() < file.until;
        allowed.then(|| Download {
            path: file.path.clone(),
            name: file.name.clone(),
            media_type: file.media_type,
        })
    }

    /// Removes what is not complete, and what would be downloaded from this process: it ends.
    pub fn end(&self) {
        for path in lock(&self.inner.pending).drain() {
            let _ = fs::remove_file(path);
        }
        let ids: Vec<Uuid> = lock(&self.inner.served).keys().copied().collect();
        for id in ids {
            self.inner.remove_served(id);
        }
    }

    pub(super) fn began(&self, path: &Path) {
        lock(&self.inner.pending).insert(path.to_owned());
    }

    /// Whether the file was still there.
    pub(super) fn ended(&self, path: &Path) -> bool {
        lock(&self.inner.pending).remove(path)
    }
}

impl Inner {
    fn remove_served(&self, id: Uuid) {
        if let Some(served) = lock(&self.served).remove(&id) {
            let _ = fs::remove_file(served.path);
        }
    }
}

/// Creates a directory that only its owner can read, or makes it one.
fn make_private(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory)?;
        if fs::metadata(directory)?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }
    #[cfg(not(unix))]
    {
        fs::create_dir_all(directory)
    }
}

/// Removes the files that no process holds any more, and those that were kept for too long.
fn remove_abandoned(directory: &Path, prefixes: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = prefixes.iter().any(|prefix| name.starts_with(prefix));
        if !is_ours || !entry.file_type()?.is_file() || is_kept(&entry.path()) {
            continue;
        }
        let is_held = File::open(entry.path())
            .is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)));
        if !is_held {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caller_keeps_the_latest_files_to_go_on() {
        let directory = std::env::temp_dir().join(format!("exports-{}", Uuid::new_v4()));
        let exports = Exports::served_at(&directory, "http://127.0.0.1:1").unwrap();
        let other = exports.of(&"other".into());
        let keep = |exports: &Exports| {
            let path = exports.new_path(".partial");
            File::create(&path).unwrap();
            exports.kept(&path);
            path
        };
        let others = keep(&other);
        let own: Vec<PathBuf> = (0..MAX_KEPT + 2).map(|_| keep(&exports)).collect();
        let left: Vec<bool> = own.iter().map(|path| path.exists()).collect();
        assert_eq!(left[..2], [false, false]);
        assert!(left[2..].iter().all(|exists| *exists));
        assert!(others.exists());
        fs::remove_dir_all(directory).unwrap();
    }
}
