//! The settings of every command, grouped as `--help` shows them.

#![allow(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "the documentation of settings is the text of --help"
)]

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{FalseyValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use posthog_sandbox::Era;
use tracing::level_filters::LevelFilter;

use crate::output;
use crate::policy::Confirm;

pub(super) const CONNECTION: &str = "Connection options";
pub(super) const TOOLS: &str = "Tool options";
const WRITES: &str = "Confirmation and audit options";
pub(super) const RESULTS: &str = "Result options";
const SANDBOX: &str = "Sandbox options";
pub(super) const GLOBAL: &str = "Global options";

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
    /// URL of the host that captures events, to which merges are sent
    ///
    /// Defaults to https://us.i.posthog.com or https://eu.i.posthog.com for PostHog Cloud, and to --host otherwise. Only
    /// used with --allow-merge.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_CAPTURE_HOST",
        value_name = "URL"
    )]
    pub capture_host: Option<String>,
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
    /// Assume that PostHog is current, whatever its schema lists
    ///
    /// Splits of single distinct ids, `keep_person` and `delete_recordings` are refused on an instance whose schema does not
    /// list them, because older versions ignore the field and do something else.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_ASSUME_CURRENT_POSTHOG",
        value_parser = FalseyValueParser::new())]
    pub assume_current_posthog: bool,
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
    /// Offer only these toolsets (comma-separated): persons, history, insights, export, write, delete
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
    /// Offer persons-merge, which sends events with the project's token to --capture-host
    ///
    /// PostHog checks no permission for such events: a key that can read persons and the project (project:read) can then
    /// merge persons.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_ALLOW_MERGE",
        value_parser = FalseyValueParser::new())]
    pub allow_merge: bool,
    /// Directory for exported files; offers persons-export
    ///
    /// Created if it does not exist, and made readable by its owner alone. `http` removes each file after 15 minutes.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_EXPORT_DIR",
        value_name = "DIRECTORY"
    )]
    pub export_dir: Option<PathBuf>,
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
    /// Where to serve the approval page
    ///
    /// For clients that cannot ask, and only while a question is open. Port 0 is a free port. Bind to another address than
    /// 127.0.0.1 only in a container, and publish its port on 127.0.0.1 of the host.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_APPROVAL_BIND",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:0"
    )]
    pub approval_bind: SocketAddr,
    /// URL at which the user's browser reaches the approval page
    ///
    /// For example http://127.0.0.1:8810. Where the server runs in a container or on another machine. Defaults to the address
    /// that the page is served on.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_APPROVAL_URL",
        value_name = "URL"
    )]
    pub approval_url: Option<String>,
    /// Open the approval page in the browser
    ///
    /// The assistant passes on its address as well.
    #[arg(long, global = true, env = "POSTHOG_MCP_OPEN_BROWSER", value_parser = FalseyValueParser::new())]
    pub open_browser: bool,
    /// Append JSON lines to this file for each change and deletion
    ///
    /// One line is written before the request is sent, another with its outcome. If the first cannot be written, nothing is
    /// sent. `audit verify` checks the file.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_AUDIT_LOG",
        value_name = "FILE"
    )]
    pub audit_log: Option<PathBuf>,
    /// Record reads in the audit log, too
    ///
    /// One line for each call: which persons and which fields were shown, never values. If it cannot be written, nothing is
    /// shown.
    #[arg(long, global = true, env = "POSTHOG_MCP_AUDIT_READS", value_parser = FalseyValueParser::new())]
    pub audit_reads: bool,
    /// Chain the lines of the audit log with the key in this file
    ///
    /// At least 32 characters. With a key, `audit verify` also finds a file that was rewritten as a whole.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_AUDIT_KEY_FILE",
        value_name = "FILE"
    )]
    pub audit_key_file: Option<PathBuf>,
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
    ///
    /// For programs that read fields. Many clients give a model the structured content in place of the text, or both, which
    /// costs two to four times as much.
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_STRUCTURED",
        value_name = "SWITCH",
        default_value = "off"
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
    /// Number of events of one more person in the sandbox, ines@example.com
    #[arg(
        long,
        global = true,
        env = "POSTHOG_MCP_SANDBOX_EVENTS",
        value_name = "NUMBER",
        default_value = "0"
    )]
    pub sandbox_events: usize,
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
    /// Ask the user; if the client cannot, over stdio, on the approval page
    Auto,
    /// Ask the user; if the client cannot, reject the deletion
    Strict,
    /// Let the assistant confirm with a token, for unattended work: no person has to see what is deleted
    Token,
    /// Delete without confirmation
    Off,
}

impl From<ConfirmMode> for Confirm {
    fn from(mode: ConfirmMode) -> Self {
        match mode {
            ConfirmMode::Auto => Self::Auto,
            ConfirmMode::Strict => Self::Strict,
            ConfirmMode::Token => Self::Token,
            ConfirmMode::Off => Self::Off,
        }
    }
}
