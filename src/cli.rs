//! The command line: commands, flags, and the variables that stand in for them.

#![allow(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "the documentation of settings is the text of --help"
)]

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use posthog_sandbox::Era;
use tracing::level_filters::LevelFilter;

use crate::output;
use crate::policy::Confirm;

/// An MCP server for the persons in PostHog.
///
/// Without a command it serves one assistant over standard input and output. The key is read from
/// POSTHOG_PERSONAL_API_KEY, or from a file; --sandbox needs none.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_PKG_NAME"), version, max_term_width = 100, disable_help_subcommand = true)]
pub struct CliArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to do it.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

impl CliArguments {
    /// Reads the command line and the variables; ends the process where they cannot be read.
    ///
    /// A variable that is set to nothing counts as not set: configurations of assistants often leave empty ones.
    #[must_use]
    pub fn read() -> Self {
        let prepared = |argument: Arg| {
            // What a variable is set to is nobody else's business, not even in --help.
            let argument = argument.hide_env_values(true);
            let empty = argument
                .get_env()
                .is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
            if empty { argument.env(None) } else { argument }
        };
        let command = Self::command()
            .mut_args(prepared)
            .mut_subcommands(|command| command.mut_args(prepared));
        match Self::from_arg_matches(&command.get_matches()) {
            Ok(arguments) => arguments,
            Err(error) => error.exit(),
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve one assistant over standard input and output (the default)
    Stdio,
    /// Serve a team over HTTP: every request brings its own PostHog key, unless the server has one
    Http(HttpArgs),
    /// Call one tool and print its answer
    Call {
        /// The tool's name, as `tools` lists it
        tool: String,
        /// Its arguments as a JSON object
        #[arg(default_value = "{}")]
        arguments: String,
        /// Print the structured answer instead of the text
        #[arg(long)]
        json: bool,
    },
    /// List the tools
    Tools {
        /// Print what an assistant gets, schemas included
        #[arg(long)]
        json: bool,
    },
    /// Find out why it does not work, or that it does: the settings, the way to PostHog, the key, the project, and
    /// which tools will work. Ends with 1 if something keeps the server from working
    Doctor {
        /// Print one JSON object instead: ok, version, host, checks, project, scopes, tools (docs/troubleshooting.md
        /// describes them)
        #[arg(long)]
        json: bool,
    },
    /// Run the imitation of PostHog's API on a port of this machine
    Sandbox {
        /// The port on 127.0.0.1; 0 takes a free one
        #[arg(long, default_value_t = 8809)]
        port: u16,
    },
    /// Print a whole session of an assistant with the sandbox
    Demo,
}

/// How to serve over HTTP. The token that guards the server's own PostHog key is read from POSTHOG_MCP_AUTH_TOKEN, the key
/// that several processes share for their confirmations from POSTHOG_MCP_STATE_KEY.
#[derive(Debug, Clone, Args)]
pub struct HttpArgs {
    /// Where to listen
    #[arg(
        long,
        env = "POSTHOG_MCP_BIND",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8808"
    )]
    pub bind: SocketAddr,
    /// How callers reach this server, such as https://mcp.example.com (default: http://ADDRESS:PORT)
    #[arg(long, env = "POSTHOG_MCP_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Host names that requests may use, besides those of this machine and of --public-url
    #[arg(
        long,
        env = "POSTHOG_MCP_ALLOWED_HOSTS",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may call this server, besides pages of this machine
    #[arg(
        long,
        env = "POSTHOG_MCP_ALLOWED_ORIGINS",
        value_name = "ORIGINS",
        value_delimiter = ','
    )]
    pub allowed_origins: Vec<String>,
    /// Leave out /sse and /messages, for clients that know only HTTP+SSE
    #[arg(
        long,
        env = "POSTHOG_MCP_NO_SSE",
        value_parser = FalseyValueParser::new())]
    pub no_sse: bool,
    /// Share with other processes what must be one thing: used confirmations, counts per credential, sessions of the
    /// older protocol. Needs a build with the feature redis
    #[arg(long, env = "POSTHOG_MCP_REDIS", value_name = "URL")]
    pub redis: Option<String>,
    /// Requests of one credential in a minute
    #[arg(
        long,
        env = "POSTHOG_MCP_MAX_REQUESTS_PER_MINUTE",
        value_name = "NUMBER",
        default_value = "6000"
    )]
    pub max_requests_per_minute: u64,
    /// Sessions of the older protocol that may be open
    #[arg(
        long,
        env = "POSTHOG_MCP_MAX_SESSIONS",
        value_name = "NUMBER",
        default_value = "1000"
    )]
    pub max_sessions: usize,
}

/// How to do it. Every flag can be given as a variable; the flag wins.
#[derive(Debug, Clone, Args)]
pub struct SettingsArgs {
    /// PostHog's address: https://us.posthog.com, https://eu.posthog.com, or your own (default: https://us.posthog.com)
    #[arg(long, global = true, env = "POSTHOG_HOST", value_name = "URL")]
    pub host: Option<String>,
    /// The project's number, or @current for the one that the key's owner has selected (default: @current)
    #[arg(long, global = true, env = "POSTHOG_PROJECT_ID", value_name = "NUMBER")]
    pub project: Option<String>,
    /// A file that holds the personal API key; it wins over POSTHOG_PERSONAL_API_KEY
    #[arg(
        long,
        global = true,
        env = "POSTHOG_PERSONAL_API_KEY_FILE",
        value_name = "FILE"
    )]
    pub api_key_file: Option<PathBuf>,
    /// Certificates in PEM to trust besides the usual ones
    #[arg(long, global = true, env = "POSTHOG_MCP_CA_CERT", value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// Send the key over plain http to a host that is not this machine
    #[arg(long, global = true, env = "POSTHOG_MCP_ALLOW_INSECURE_HTTP", value_parser = FalseyValueParser::new())]
    pub allow_insecure_http: bool,
    /// Offer only the tools that read
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_READ_ONLY",
        value_parser = FalseyValueParser::new())]
    pub read_only: bool,
    /// Offer these groups of tools: persons, history, insights, write, delete (default: all)
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_TOOLSETS",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub toolsets: Vec<String>,
    /// Offer these tools, and those of --toolsets if given (default: all)
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_TOOLS",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub tools: Vec<String>,
    /// Never offer these tools, whatever else is said
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_EXCLUDE_TOOLS",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub exclude_tools: Vec<String>,
    /// How a deletion gets its yes. auto: the user is asked, or, where the client cannot ask, the assistant repeats the
    /// call with a token; strict: the user is asked, or it is refused; off: nobody is asked
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_CONFIRM",
        value_name = "AUTO|STRICT|OFF",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub confirm: ConfirmMode,
    /// Append a JSON line for every change and deletion before it is sent; what cannot be written there is not sent
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_AUDIT_LOG",
        value_name = "FILE"
    )]
    pub audit_log: Option<PathBuf>,
    /// Bytes that a tool's answer may have, as text and as structured content
    #[arg(long, global = true, env = "POSTHOG_MCP_MAX_RESULT_BYTES", value_name = "BYTES", default_value_t = output::BYTES,
        value_parser = clap::value_parser!(u32).range(4000..=8_000_000))]
    pub max_result_bytes: u32,
    /// Withhold the values of these person properties, also where they stand in names and distinct ids; * is a wildcard
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_REDACT",
        value_name = "KEYS",
        value_delimiter = ','
    )]
    pub redact: Vec<String>,
    /// Withhold every e-mail address, wherever it stands
    #[arg(long, global = true, env = "POSTHOG_MCP_MASK_EMAILS", value_parser = FalseyValueParser::new())]
    pub mask_emails: bool,
    /// Bytes of an answer of PostHog that are read; a longer one is refused
    #[arg(long, global = true, env = "POSTHOG_MCP_MAX_RESPONSE_BYTES", value_name = "BYTES", default_value_t = posthog_client::RESPONSE_BYTES,
        value_parser = clap::value_parser!(u32).range(65_536..))]
    pub max_response_bytes: u32,
    /// Whether answers carry structured content besides text
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_STRUCTURED",
        value_name = "ON|OFF",
        default_value = "on",
        hide_possible_values = true
    )]
    pub structured: Switch,
    /// Work on the built-in imitation of PostHog instead of PostHog; no key needed
    #[arg(long, global = true, env = "POSTHOG_MCP_SANDBOX", value_parser = FalseyValueParser::new())]
    pub sandbox: bool,
    /// Generated persons in the sandbox, besides those of its story
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_SANDBOX_PERSONS",
        value_name = "NUMBER",
        default_value = "0"
    )]
    pub sandbox_persons: usize,
    /// The version of PostHog that the sandbox simulates: 2025-08, 2026-06 or 2026-09
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_SANDBOX_ERA",
        value_name = "MONTH",
        default_value = "2026-09"
    )]
    pub sandbox_era: Era,
    /// A JSON file with persons and events for the sandbox, in place of its story
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_SANDBOX_SEED",
        value_name = "FILE"
    )]
    pub sandbox_seed: Option<PathBuf>,
    /// What is logged to standard error: off, error, warn, info, debug or trace. Never a key, a value or an e-mail
    /// (default: info when serving, else warn)
    #[arg(long, global = true, env = "POSTHOG_MCP_LOG", value_name = "LEVEL")]
    pub log: Option<LevelFilter>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// How a deletion gets its yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfirmMode {
    /// [`Confirm::Auto`]
    Auto,
    /// [`Confirm::Strict`]
    Strict,
    /// [`Confirm::Off`]
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
