//! An MCP server for the persons in PostHog.
//!
//! The map, from the wire to the assistant:
//!
//! - [`posthog`]: the Persons API over HTTP, one method per endpoint.
//! - [`answer`]: what a model reads: small, valid, safe to read.
//! - [`policy`]: what a tool does to data, and what follows from it.
//! - [`confirm`]: the yes that a deletion needs.
//! - [`audit`]: the record of what was changed.
//! - [`tools`]: one file per tool, and the list of them.
//! - [`prompts`], [`resources`]: ways through several tools, and a person as a document.
//! - [`completion`]: what fits while an argument of a prompt is typed.
//! - [`server`]: the tools as an MCP server.
//! - [`transport`]: how messages get in and out.
//! - [`sandbox`]: an imitation of PostHog's API, which knows nothing of the rest.
//! - [`config`]: every setting.
//! - [`commands`]: what the binary does.

pub mod answer;
pub mod audit;
pub mod commands;
pub mod completion;
pub mod config;
pub mod confirm;
pub mod http;
pub mod policy;
pub mod posthog;
pub mod prompts;
pub mod resources;
pub mod sandbox;
pub mod server;
pub mod shared;
pub mod tools;
pub mod transport;
