//! A file that is being written: under a temporary name, readable by its owner alone, and locked, so that another process
//! can tell it from one that was left behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::directory::Exports;

/// How the names of files begin that are not complete.
pub(super) const PENDING_PREFIX: &str = ".posthog-export-";

/// A file that is removed when it is dropped, unless it was given its name.
pub(super) struct PendingFile {
    path: PathBuf,
    file: Option<File>,
    exports: Exports,
}

impl PendingFile {
    pub(super) fn create(exports: &Exports, path: PathBuf) -> io::Result<Self> {
        let file = create(&path)?;
        exports.began(&path);
        // Best effort: some file systems have no locks.
        let _ = file.try_lock();
        Ok(Self {
            path,
            file: Some(file),
            exports: exports.clone(),
        })
    }

    fn file(&self) -> io::Result<&File> {
        self.file
            .as_ref()
            .ok_or_else(|| io::Error::other("the file is closed"))
    }

    /// Gives the file its name. It stays locked as long as the handle lives.
    pub(super) fn publish(mut self, path: &Path) -> io::Result<File> {
        let file = self
            .file
            .take()
            .ok_or_else(|| io::Error::other("the file is closed"))?;
        file.sync_all()?;
        // A name has a random part: nothing is ever replaced.
        fs::rename(&self.path, path)?;
        self.exports.ended(&self.path);
        Ok(file)
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if self.exports.ended(&self.path) {
            self.file = None;
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Write for PendingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file()?.flush()
    }
}

impl Read for PendingFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.file()?.read(bytes)
    }
}

impl Seek for PendingFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file()?.seek(to)
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
