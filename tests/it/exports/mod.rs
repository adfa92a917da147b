//! Exported files.

mod archive;
mod audit;
mod command;
mod folder;
mod kept;
mod large;
mod list;
mod redaction;

pub(crate) use archive::{Archive, rows};
pub(crate) use folder::Folder;
