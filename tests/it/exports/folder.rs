//! The directory of exports of a test.

use std::path::PathBuf;
use std::time::Duration;

use posthog_persons_mcp::export::Exports;

/// Tests do not wait for long.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// A directory that is deleted with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let name = format!("exports-{}", uuid::Uuid::new_v4());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn exports(&self) -> Exports {
        Exports::in_directory(&self.0)
            .unwrap()
            .with_max_wait(MAX_WAIT)
    }

    /// Exports that are downloaded from this address.
    pub(crate) fn served_at(&self, url: &str) -> Exports {
        Exports::served_at(&self.0, url)
            .unwrap()
            .with_max_wait(MAX_WAIT)
    }

    /// The names of all files, also of those that are not complete.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The only file.
    pub(crate) fn file(&self) -> PathBuf {
        let names = self.names();
        assert_eq!(names.len(), 1, "{names:?}");
        self.0.join(&names[0])
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
