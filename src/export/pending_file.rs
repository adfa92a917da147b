//! A file that is being written: under a temporary name, readable by its owner alone, and locked, so that another process
//! can tell it from one that was left behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::directory::Exports;

/// How the names of files begin that are not complete.
pub(super) const PENDING_PREFIX: &str = ".posthog-export-";
/// How the names of those end that are being written.
const PENDING_SUFFIX: &str = ".tmp";

/// A file that is removed when it is dropped, unless it was given its name.
pub(super) struct PendingFile {
    path: PathBuf,
    file: Option<File>,
    exports: Exports,
}

impl PendingFile {
    pub(super) fn create(exports: &Exports) -> io::Result<Self> {
        let path = exports.new_path(PENDING_SUFFIX);
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

    /// A file that an earlier export kept, under a name of this one.
    pub(super) fn adopt(exports: &Exports, file: File, kept: &Path) -> io::Result<Self> {
        let path = exports.new_path(PENDING_SUFFIX);
        exports.began(&path);
        // Where two find the same file, one of them fails here.
        if let Err(error) = fs::rename(kept, &path) {
            exports.ended(&path);
            return Err(error);
        }
        Ok(Self {
            path,
            file: Some(file),
            exports: exports.clone(),
        })
    }

    /// Truncates the file to this size, to write there.
    pub(super) fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file()?.set_len(bytes)?;
        self.seek(SeekFrom::End(0)).map(drop)
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
