//! Exports: everything about one person as an archive, or a list of persons as one file.
//!
//! A file is written under a temporary name, page after page, and gets its name once it is complete: whatever ends an
//! export leaves no half of one. Where PostHog's rate limit ends it, what is written is kept for the same export to go on
//! from. How much is read at a time does not depend on how much there is.
//!
//! Invariant: knows PostHog and files, and nothing of MCP, of tools or of how a result is worded.

mod archive;
mod directory;
mod error;
mod event_summary;
mod events;
mod kept;
mod list;
mod list_pages;
mod manifest;
mod pending_file;
mod person;
mod recordings;
mod report;
mod section;
mod waiting;

pub use directory::{Download, ExportedFile, Exports, LINK_TTL};
pub use error::ExportError;
pub use kept::{Attempt, KEPT_FOR, Kept};
pub use list::{ListExport, export_list};
pub use list_pages::ListSource;
pub use manifest::{EventCheck, FileEntry, Missing, PersonManifest};
pub use person::{PersonExport, PersonExported, export_person};
