//! An in-memory simulator of PostHog's Persons API behind real HTTP: for `--sandbox`, for the demo and for tests.
//!
//! It simulates the API and not a client: it shares no code with the client, and works on raw JSON. Where PostHog
//! tolerates a request that no client should send, the sandbox rejects it and records a violation
//! ([`Sandbox::violations`]).
//!
//! Section names in comments ("Persons API, Split") refer to `docs/posthog-persons-api.md`.
//!
//! Not simulated: rate limits (use [`FaultKind::Throttle`], [`FaultKind::ConcurrencyLimit`] and
//! [`Behaviors::hogql_throttled`]), the six-hour cache of property values, sampling, what recordings show, and the e-mails of
//! a person.
//!
//! Invariant: the modules form layers, and each uses only those before it: `model` (state and its rules) and `http`
//! (requests, responses, keys), `hogql` (queries over the state), `fixtures` and `faults`, `handlers` (the endpoints),
//! `server` (routing and transport).

mod faults;
mod fixtures;
mod handlers;
mod hogql;
mod http;
mod model;
mod options;
mod sandbox;
mod server;

pub use faults::{Fault, FaultKind, ResponseFault};
pub use fixtures::Seed;
pub use http::{Key, RecordedRequest};
pub use model::{Clock, Era};
pub use options::{Behaviors, SandboxOptions};
pub use sandbox::Sandbox;
