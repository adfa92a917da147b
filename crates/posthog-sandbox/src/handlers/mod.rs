//! The endpoints: one function each, from a [`Context`] to a response.
//!
//! Invariant: knows nothing of routing and of transport.

mod arguments;
mod context;
mod merge;
mod paging;
mod search;

pub(crate) mod batch;
pub(crate) mod capture;
pub(crate) mod cohorts;
pub(crate) mod definitions;
pub(crate) mod deletions;
pub(crate) mod discovery;
pub(crate) mod funnel;
pub(crate) mod history;
pub(crate) mod insights;
pub(crate) mod persons;
pub(crate) mod query;
pub(crate) mod recordings;
pub(crate) mod schema;
pub(crate) mod values;
pub(crate) mod writes;

pub(crate) use context::{Context, rejection, violation};
