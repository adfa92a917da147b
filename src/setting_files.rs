//! Reads the files that settings name. Invariant: never waits, and never reads without end.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Longer than any key, certificate bundle or seed.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The content of a regular file, or of one that a link leads to. A pipe could wait for its writer forever, and a device has
/// no end.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    let mut content = Vec::new();
    if file.take(MAX_BYTES + 1).read_to_end(&mut content)? as u64 > MAX_BYTES {
        return Err(io::Error::other("it is too large"));
    }
    Ok(content)
}

/// A path as a message may show it: not if the key itself was given in place of its file.
pub(crate) fn display(path: &Path) -> String {
    let path = path.display().to_string();
    let is_key = ["phx_", "pha_", "phc_", "phs_"]
        .iter()
        .any(|prefix| path.trim().starts_with(prefix));
    if is_key {
        return "(its name looks like a key)".to_owned();
    }
    path
}

/// The permissions of a file that every user of this machine can read, if it is one.
#[cfg(unix)]
pub(crate) fn readable_by_all(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o004 != 0).then_some(mode)
}

/// Permissions are not read here.
#[cfg(not(unix))]
pub(crate) fn readable_by_all(_: &Path) -> Option<u32> {
    None
}
