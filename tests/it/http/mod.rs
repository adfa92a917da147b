//! The HTTP server, tested at the level of requests, headers and events.

mod assertions;
mod client;
mod confirmation;
mod credentials;
mod exports;
mod heavy_calls;
mod host_policy;
mod limits;
mod mcp_client;
mod oauth;
mod open_questions;
mod processes;
mod prompts_and_resources;
mod protocol;
mod request_restrictions;
mod resources_of_clients;
mod server_key;
mod server_process;
mod session_limits;
mod session_owner;
mod slow_clients;
mod stopping;
mod team;
mod under_attack;
mod unverified_keys;

use reqwest::Method;

use assertions::{all_tools, assert_rejected, result_text, send_raw, set};
use client::{Caller, EventStream, FullResponse, caller};
use mcp_client::{LegacyClient, McpClient};
use server_process::{Process, binary, binary_at};
use team::{Setup, Team, team, team_on, team_with};

/// The API keys of two users, with the same access in the sandbox.
const MARY: &str = "phx_mary_7f3a91c2e5d8b604";
const JOHN: &str = "phx_john_0c9d4be18f72a653";

/// The first version whose clients send the version header with every request.
const VERSION_HEADER_SINCE: &str = "2025-06-18";

const SESSION: &str = "mcp-session-id";

/// Every route that requires a credential, with a method that it supports.
const PROTECTED_ROUTES: [(Method, &str); 6] = [
    (Method::POST, "/mcp"),
    (Method::GET, "/mcp"),
    (Method::DELETE, "/mcp"),
    (Method::GET, "/exports/6ba7b810-9dad-41d1-80b4-00c04fd430c8"),
    (Method::GET, "/sse"),
    (
        Method::POST,
        "/messages?sessionId=6ba7b810-9dad-41d1-80b4-00c04fd430c8",
    ),
];

/// Every public route.
const PUBLIC_ROUTES: [&str; 5] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
];
