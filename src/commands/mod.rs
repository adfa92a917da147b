//! What the binary does, command by command.

mod audit;
mod build;
mod call;
mod demo;
pub mod doctor;
mod erasure_report;
mod export;
mod http;
mod log;
mod mcp_client;
mod run;
mod sandbox;
mod signal;
mod stdio;
mod tools;
mod variables;

pub use run::run;
