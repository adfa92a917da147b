//! The MCP server: the tools, prompts and resources joined to the protocol.

#![allow(
    deprecated,
    reason = "what newer protocol versions dropped is still served to older clients"
)]

mod call;
mod caller;
pub mod completion;
pub mod confirmation;
mod export;
mod handler;
mod instructions;
mod logged;
mod mcp_server;
mod notifications;
mod offload;
pub mod prompts;
pub mod resources;
mod session;
mod shared_project;
mod shown;

pub use caller::{CallPlace, Caller, TransportPlace};
pub use mcp_server::{Server, WriteGuards, to_protocol_tool};
