//! The command line: commands, flags, and the variables that stand in for them.

#![allow(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "the documentation of settings is the text of --help"
)]

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{FalseyValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use posthog_sandbox::Era;
use tracing::level_filters::LevelFilter;

use crate::output;
use crate::policy::Confirm;

const CONNECTION: &str = "Connection options";
const TOOLS: &str = "Tool options";
const WRITES: &str = "Confirmation and audit options";
const RESULTS: &str = "Result options";
const SANDBOX: &str = "Sandbox options";
const HTTP: &str = "HTTP options";
const GLOBAL: &str = "Global options";

/// Serve the persons of a PostHog project over the Model Context Protocol
///
/// Without a command, serves one assistant over standard input and output. The personal API key is read from
/// POSTHOG_PERSONAL_API_KEY or from --api-key-file; --sandbox needs none.
///
/// A flag takes precedence over its environment variable. An empty variable counts as unset.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_PKG_NAME"), version, max_term_width = 100, disable_help_subcommand = true)]
pub struct CliArguments {
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of every command.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

impl CliArguments {
    /// Parses the command line and the variables; prints help or an error and ends the process if that is the outcome.
    #[must_use]
    pub fn read() -> Self {
        let prepared = |argument: Arg| {
            let empty = argument
                .get_env()
                .is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
            if empty { argument.env(None) } else { argument }
        };
        let command = command()
            .mut_args(prepared)
            .mut_subcommands(|command| command.mut_args(prepared));
        match Self::from_arg_matches(&command.get_matches()) {
            Ok(arguments) => arguments,
            Err(error) => error.exit(),
        }
    }
}

/// The command line for help, man pages and completions: a command hides the settings that have no effect on it.
#[must_use]
pub fn command() -> clap::Command {
    // The value of a variable may be confidential, also in --help.
    let command = CliArguments::command().mut_args(|argument| argument.hide_env_values(true));
    let settings: Vec<Arg> = command
        .get_arguments()
        .filter(|argument| argument.is_global_set())
        .cloned()
        .collect();
    command.mut_subcommands(|command| {
        let settings: Vec<Arg> = settings
            .iter()
            .map(|setting| {
                let hidden = !takes_effect(command.get_name(), setting);
                setting.clone().hide(hidden)
            })
            .collect();
        command
            .mut_args(|argument| argument.hide_env_values(true))
            .args(settings)
    })
}

/// Whether a setting changes what a command does. One that does not is accepted all the same.
fn takes_effect(command: &str, setting: &Arg) -> bool {
    let (headings, settings): (&[&str], &[&str]) = match command {
        "tools" => (&[TOOLS, GLOBAL], &["structured"]),
        "doctor" => (&[CONNECTION, TOOLS, GLOBAL], &["audit_log", "sandbox"]),
        "sandbox" => (
            &[GLOBAL],
            &["sandbox_persons", "sandbox_era", "sandbox_seed"],
        ),
        "demo" => (
            &[TOOLS, RESULTS, GLOBAL],
            &["confirm", "sandbox_persons", "sandbox_era", "sandbox_seed"],
        ),
        _ => return true,
    };
    setting
        .get_help_heading()
        .is_some_and(|heading| headings.contains(&heading))
        || settings.contains(&setting.get_id().as_str())
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve one assistant over standard input and output (default)
    Stdio,
    /// Serve a team over HTTP
    ///
    /// Every request carries its own personal API key as bearer token. If the server has an API key, it is used for all
    /// requests, which carry the token in POSTHOG_MCP_AUTH_TOKEN instead. Replicas share the key in
    /// POSTHOG_MCP_STATE_KEY for their confirmations.
    Http(HttpArgs),
    /// Call one tool and print its result
    ///
    /// Exits with 1 if the tool fails. A deletion is confirmed at the terminal.
    Call {
        /// Name of the tool, as listed by `tools`
        tool: String,
        /// Arguments of the tool as a JSON object
        #[arg(default_value = "{}")]
        arguments: String,
        /// Print the structured content instead of the text
        #[arg(long)]
        json: bool,
    },
    /// List the tools
    Tools {
        /// Print the tools as a client receives them, with their schemas
        #[arg(long)]
        json: bool,
    },
    /// Diagnose configuration and connectivity
    ///
    /// Checks the settings, the connection to PostHog, the API key and the project, and reports which tools will work.
    /// Changes nothing. Exits with 1 if a problem keeps the server from working.
    Doctor {
        /// Print the report as JSON
        ///
        /// One object with the fields ok, version, host, checks, project, scopes and tools.
        #[arg(long)]
        json: bool,
    },
    /// Run the PostHog API simulator on a local port
    Sandbox {
        /// Port on 127.0.0.1; 0 selects a free one
        #[arg(long, default_value_t = 8809)]
        port: u16,
    },
    /// Print a sample session of an assistant with the sandbox
    Demo,
}

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
    /// Redis URL for state shared between replicas
    ///
    /// Replicas share used confirmations, request counts and sessions. Requires a build with the feature redis.
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

/// The settings of every command.
#[derive(Debug, Clone, Args)]
pub struct SettingsArgs {
    /// How to reach PostHog.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// Which tools are offered.
    #[command(flatten)]
    pub tools: ToolArgs,
    /// How writes are guarded.
    #[command(flatten)]
    pub writes: WriteArgs,
    /// The form of tool results.
    #[command(flatten)]
    pub results: ResultArgs,
    /// The sandbox.
    #[command(flatten)]
    pub sandbox: SandboxArgs,
    /// The rest.
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// How to reach PostHog.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = CONNECTION)]
pub struct ConnectionArgs {
    /// URL of PostHog
    ///
    /// PostHog Cloud is https://us.posthog.com or https://eu.posthog.com.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_HOST",
        value_name = "URL",
        default_value = "https://us.posthog.com"
    )]
    pub host: String,
    /// Project ID, or @current for the project that the key's owner has selected
    #[arg(
        long,
        global = true,
        env = "POSTHOG_PROJECT_ID",
        value_name = "ID",
        default_value = "@current"
    )]
    pub project: String,
    /// File with the personal API key; takes precedence over POSTHOG_PERSONAL_API_KEY
    #[arg(
        long,
        global = true,
        env = "POSTHOG_PERSONAL_API_KEY_FILE",
        value_name = "FILE"
    )]
    pub api_key_file: Option<PathBuf>,
    /// Additional CA certificates to trust (PEM)
    #[arg(long, global = true, env = "POSTHOG_MCP_CA_CERT", value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// Allow plain HTTP to another machine, which exposes the API key
    #[arg(long, global = true, env = "POSTHOG_MCP_ALLOW_INSECURE_HTTP", value_parser = FalseyValueParser::new())]
    pub allow_insecure_http: bool,
    /// Maximum size of a PostHog response in bytes
    ///
    /// A longer response is rejected. At least 65536.
    #[arg(long, global = true, env = "POSTHOG_MCP_MAX_RESPONSE_BYTES", value_name = "BYTES", default_value_t = posthog_client::RESPONSE_BYTES,
        value_parser = clap::value_parser!(u32).range(65_536..))]
    pub max_response_bytes: u32,
}

/// Which tools are offered.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = TOOLS)]
pub struct ToolArgs {
    /// Offer only the tools that read
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_READ_ONLY",
        value_parser = FalseyValueParser::new())]
    pub read_only: bool,
    /// Offer only these toolsets (comma-separated): persons, history, insights, write, delete
    ///
    /// Tools named in --tools are offered as well.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_TOOLSETS",
        value_name = "TOOLSETS",
        value_delimiter = ','
    )]
    pub toolsets: Vec<String>,
    /// Offer only these tools (comma-separated)
    ///
    /// Tools of the toolsets in --toolsets are offered as well.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_TOOLS",
        value_name = "TOOLS",
        value_delimiter = ','
    )]
    pub tools: Vec<String>,
    /// Disable these tools (comma-separated); takes precedence over --tools and --toolsets
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_EXCLUDE_TOOLS",
        value_name = "TOOLS",
        value_delimiter = ','
    )]
    pub exclude_tools: Vec<String>,
}

/// How writes are guarded.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = WRITES)]
pub struct WriteArgs {
    /// How deletions are confirmed
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_CONFIRM",
        value_name = "MODE",
        default_value = "auto"
    )]
    pub confirm: ConfirmMode,
    /// Append a JSON line to this file for each change and deletion
    ///
    /// The line is written before the request is sent. If it cannot be written, nothing is sent.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_AUDIT_LOG",
        value_name = "FILE"
    )]
    pub audit_log: Option<PathBuf>,
}

/// The form of tool results.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = RESULTS)]
pub struct ResultArgs {
    /// Maximum size of a tool result in bytes
    ///
    /// Applies to the text and to the structured content. From 4000 to 8000000.
    #[arg(long, global = true, env = "POSTHOG_MCP_MAX_RESULT_BYTES", value_name = "BYTES", default_value_t = output::BYTES,
        value_parser = clap::value_parser!(u32).range(4000..=8_000_000))]
    pub max_result_bytes: u32,
    /// Whether tool results carry structured content besides the text
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_STRUCTURED",
        value_name = "SWITCH",
        default_value = "on"
    )]
    pub structured: Switch,
    /// Redact the values of these person properties (comma-separated, * is a wildcard)
    ///
    /// The values are redacted in names and distinct ids, too.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_REDACT",
        value_name = "PROPERTIES",
        value_delimiter = ','
    )]
    pub redact: Vec<String>,
    /// Mask every email address
    #[arg(long, global = true, env = "POSTHOG_MCP_MASK_EMAILS", value_parser = FalseyValueParser::new())]
    pub mask_emails: bool,
}

/// The sandbox.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = SANDBOX)]
pub struct SandboxArgs {
    /// Use the built-in PostHog API simulator; needs no API key
    #[arg(long, global = true, env = "POSTHOG_MCP_SANDBOX", value_parser = FalseyValueParser::new())]
    pub sandbox: bool,
    /// Number of generated persons in the sandbox, in addition to its fixtures
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_SANDBOX_PERSONS",
        value_name = "NUMBER",
        default_value = "0"
    )]
    pub sandbox_persons: usize,
    /// Version of PostHog to simulate: 2025-08, 2026-06 or 2026-09
    ///
    /// 2025-08 and 2026-06 are self-hosted instances, 2026-09 is PostHog Cloud.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_SANDBOX_ERA",
        value_name = "MONTH",
        default_value = "2026-09"
    )]
    pub sandbox_era: Era,
    /// JSON file with persons and events that replace the fixtures
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_SANDBOX_SEED",
        value_name = "FILE"
    )]
    pub sandbox_seed: Option<PathBuf>,
}

/// Settings of the process.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = GLOBAL)]
pub struct GlobalArgs {
    /// Log level on standard error
    ///
    /// Logs contain no API keys, no property values and no email addresses. Defaults to info for stdio and http, and to
    /// warn for other commands.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_LOG",
        value_name = "LEVEL",
        ignore_case = true,
        value_parser = PossibleValuesParser::new(["off", "error", "warn", "info", "debug", "trace"])
            .try_map(|level| level.parse::<LevelFilter>())
    )]
    pub log: Option<LevelFilter>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// How deletions are confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfirmMode {
    /// Ask the user; if the client cannot, accept a confirmation token
    Auto,
    /// Ask the user; if the client cannot, reject the deletion
    Strict,
    /// Delete without confirmation
    Off,
}

impl From<ConfirmMode> for Confirm {
    fn from(mode: ConfirmMode) -> Self {
        match mode {
            ConfirmMode::Auto => Self::Auto,
            ConfirmMode::Strict => Self::Strict,
            ConfirmMode::Off => Self::Off,
        }
    }
}
