//! An MCP server for the persons in PostHog.
//!
//! The map, from PostHog to the assistant:
//!
//! - `posthog_client`, a crate of its own: PostHog's Persons API over HTTP, one method per endpoint.
//! - [`output`]: tool results: sanitized, redacted and within a size limit.
//! - [`question`]: what a person is asked before a write, as facts and as lines.
//! - [`policy`]: what a tool does to data, and what follows from it.
//! - [`export`]: persons as files.
//! - [`tools`]: one file per tool, and the catalog.
//! - [`server`]: tools, prompt templates, resources and completion over MCP; confirmation.
//! - [`approval`]: the page on which a person answers a question in a browser.
//! - [`audit`]: the audit log, its chain and its check.
//! - [`coordination`]: state shared between processes.
//! - [`stdio`], [`http`]: the transports.
//! - [`cli`]: the command line; [`config`]: the validated settings.
//! - [`commands`]: the commands of the binary.
//! - `posthog_sandbox`, a crate of its own: simulates PostHog's API and knows nothing of the rest.

pub mod approval;
pub mod audit;
pub mod cli;
pub mod commands;
pub mod config;
pub mod coordination;
pub mod export;
mod hexadecimal;
pub mod http;
pub mod output;
pub mod policy;
pub mod question;
pub mod server;
mod setting_files;
mod setting_values;
pub mod stdio;
mod sync;
pub mod tools;
