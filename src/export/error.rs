//! Why an export ended without a file.

use std::io;

use posthog_client::Error;

use super::kept::Kept;

/// Why an export ended without a file. Unless it says that something is kept, nothing of the export is left.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// PostHog or the network, before anything was read.
    #[error("PostHog: {}", .0.kind().name())]
    NotBegun(Error),
    /// PostHog or the network.
    #[error("PostHog: {}", .0.kind().name())]
    PostHog(Error),
    /// The same, for a while; the same export goes on with what is kept.
    #[error("PostHog: {}", .0.error.kind().name())]
    Kept(Box<Kept>),
    /// The file could not be written.
    #[error("{0}")]
    File(io::Error),
}

impl From<Error> for ExportError {
    fn from(error: Error) -> Self {
        Self::PostHog(error)
    }
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl From<csv::Error> for ExportError {
    fn from(error: csv::Error) -> Self {
        Self::File(error.into())
    }
}

impl From<serde_json::Error> for ExportError {
    fn from(error: serde_json::Error) -> Self {
        Self::File(error.into())
    }
}

impl From<zip::result::ZipError> for ExportError {
    fn from(error: zip::result::ZipError) -> Self {
        Self::File(error.into())
    }
}
