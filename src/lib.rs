//! An MCP server for the persons in PostHog.
//!
//! The map, from the wire to the assistant:
//!
//! - `posthog_client`, a crate of its own: the Persons API over HTTP, one method per endpoint.
//! - [`output`]: what a model reads: small, valid, safe to read.
//! - [`policy`]: what a tool does to data, and what follows from it.
//! - [`tools`]: one file per tool, and the list of them.
//! - [`server`]: the tools, prompts and resources as an MCP server; confirmation and audit log.
//! - [`coordination`]: what several processes have in common.
//! - [`stdio`], [`http`]: the transports.
//! - [`cli`]: the command line; [`config`]: every setting, checked.
//! - [`commands`]: what the binary does.
//! - `posthog_sandbox`, a crate of its own: simulates PostHog's API and knows nothing of the rest.

pub mod cli;
pub mod commands;
pub mod config;
pub mod coordination;
pub mod http;
pub mod output;
pub mod policy;
pub mod server;
pub mod stdio;
mod sync;
pub mod tools;
