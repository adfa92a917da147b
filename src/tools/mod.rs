//! The tools, one file each, and what they have in common.
//!
//! A tool states its name, its words for the model, its effect and its arguments, and turns a call into PostHog
//! requests and an answer. It does not know the protocol, the settings or any other tool; whether it is offered and
//! what happens around a call is decided elsewhere, from its effect.
//!
//! A tool that writes only prepares: it reads what it needs, and gives back a [`PendingWrite`] that holds the request, unsent.
//! Between the two stand the yes of a human, for a deletion, and the line in the audit log.

#![allow(
    clippy::doc_markdown,
    reason = "the documentation of arguments is text for the model"
)]

mod arguments;
mod catalog;
mod error;
mod pending_write;
mod schema;
mod support;
mod tool;

pub use catalog::{catalog, scopes};
pub use error::ToolError;
pub use pending_write::{
    Outcome, PendingWrite, PreparedCall, PreparedWrite, Preview, Status, ToolOutcome, WriteResult,
};
pub use tool::{ConfirmationArguments, Context, Tool, ToolDefinition};
