//! The query API (Persons API, Query API).

mod actors;
mod endpoint;
mod errors;
mod events;
mod filters;
mod hogql;
mod insight;
mod insight_schema;
mod schema;
mod select;
mod store;
mod validation;

pub(crate) use endpoint::{STATUS_QUERY, cancel, create, status};
pub(crate) use store::QueryStore;
