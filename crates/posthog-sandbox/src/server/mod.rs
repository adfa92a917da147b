//! The running server: transport, faults, routing, the checks that come before a handler, and the admin endpoints.

mod admin;
mod dispatch;
mod path;
mod routes;
mod serve;

pub(crate) use dispatch::SandboxState;
pub(crate) use serve::{AppState, lock, spawn};
