//! The settings of `http`.

#![allow(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "the documentation of settings is the text of --help"
)]

use std::net::SocketAddr;

use clap::Args;
use clap::builder::FalseyValueParser;

const HTTP: &str = "HTTP options";

/// The settings of `http`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HTTP)]
pub struct HttpArgs {
    /// Address to listen on
    #[arg(
        long,
        env = "POSTHOG_MCP_BIND",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8808"
    )]
    pub bind: SocketAddr,
    /// URL at which clients reach the server
    ///
    /// For example https://mcp.example.com. Defaults to the address that the server listens on.
    #[arg(long, env = "POSTHOG_MCP_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Additional host names to accept (comma-separated)
    ///
    /// The loopback names and the host of --public-url are always accepted.
    #[arg(
        long,
        env = "POSTHOG_MCP_ALLOWED_HOSTS",
        value_name = "HOSTS",
        value_delimiter = ','
    )]
    pub allowed_hosts: Vec<String>,
    /// Additional web origins to accept (comma-separated)
    ///
    /// Loopback origins are always accepted.
    #[arg(
        long,
        env = "POSTHOG_MCP_ALLOWED_ORIGINS",
        value_name = "ORIGINS",
        value_delimiter = ','
    )]
    pub allowed_origins: Vec<String>,
    /// Disable the legacy HTTP+SSE transport
    ///
    /// The routes /sse and /messages are not served.
    #[arg(
        long,
        env = "POSTHOG_MCP_NO_SSE",
        value_parser = FalseyValueParser::new())]
    pub no_sse: bool,
    /// Redis URL for state shared between processes
    ///
    /// Processes share open confirmations, the project of a key, and request counts; a session stays with its process. Requires
    /// POSTHOG_MCP_STATE_KEY and a build with the feature redis. `rediss://` uses TLS.
    #[arg(long, env = "POSTHOG_MCP_REDIS", value_name = "URL")]
    pub redis: Option<String>,
    /// Per-credential request limit per minute
    #[arg(
        long,
        env = "POSTHOG_MCP_MAX_REQUESTS_PER_MINUTE",
        value_name = "NUMBER",
        default_value = "6000"
    )]
    pub max_requests_per_minute: u64,
    /// Maximum number of open sessions
    ///
    /// A new session evicts the least recently used one. Protocol version 2026-07-28 has no sessions.
    #[arg(
        long,
        env = "POSTHOG_MCP_MAX_SESSIONS",
        value_name = "NUMBER",
        default_value = "1000"
    )]
    pub max_sessions: usize,
}
