//! The tools, one file each, and what they have in common.
//!
//! A tool declares its name, description, effect and arguments, and turns a call into requests to PostHog and a result. It
//! does not know the protocol, the settings or other tools; whether it is available and what happens around a call follows
//! from its effect.
//!
//! A tool that writes only prepares the write: it reads what it needs and returns a [`PendingWrite`] with the request unsent.
//! The confirmation, where one is required, and the entry in the audit log come before it is sent.

#![allow(
    clippy::doc_markdown,
    reason = "the documentation of arguments is text for the model"
)]

mod arguments;
mod capture_error;
mod catalog;
mod error;
mod pending_export;
mod pending_write;
mod preview;
mod schema;
mod support;
mod tool;
mod unsupported;

pub use crate::question::{FactsDigest, Question};
pub use catalog::{catalog, offered_by_default, scopes};
pub use error::ToolError;
pub use pending_export::{PendingExport, PreparedExport};
pub use pending_write::{
    Outcome, PendingWrite, PersonData, PreparedCall, PreparedWrite, Status, ToolOutcome,
    WriteResult,
};
pub use preview::Preview;
pub use support::erasure::{ErasureState, EventsState, ProfileState};
pub use tool::{ConfirmationArguments, Context, Tool, ToolDefinition, Wanted};
