//! HTTP as the API speaks it: requests, responses, credentials, connections that can be cut.
//!
//! Invariant: knows no endpoint.

mod connection;
mod csv;
mod keys;
mod request;
mod response;

pub use keys::Key;
pub use request::RecordedRequest;

pub(crate) use connection::{Connection, ConnectionListener};
pub(crate) use csv::render as render_csv;
pub(crate) use keys::{RouteAccess, authenticate};
pub(crate) use request::{Body, Request};
pub(crate) use response::{CSV, Content, HTML, JSON, Response};
