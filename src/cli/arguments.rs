//! The commands.

#![allow(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "the documentation of settings is the text of --help"
)]

use clap::error::{ContextKind, ContextValue};
use std::path::PathBuf;

use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::export::ExportArgs;
use super::http::HttpArgs;
use super::settings::{CONNECTION, GLOBAL, RESULTS, SettingsArgs, TOOLS};
use crate::setting_values::quotable;

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
        // What a command hides decides only how help and errors look, and takes a third of the start.
        let read = Self::from(CliArguments::command()).or_else(|_| Self::from(command()));
        match read.map_err(without_values) {
            Ok(arguments) => arguments,
            Err(error) => error.exit(),
        }
    }

    fn from(command: clap::Command) -> Result<Self, clap::Error> {
        let set = |argument: Arg| {
            let empty = argument
                .get_env()
                .is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
            if empty { argument.env(None) } else { argument }
        };
        let command = command
            .mut_args(set)
            .mut_subcommands(|command| command.mut_args(set));
        Self::from_arg_matches(&command.try_get_matches()?)
    }
}

/// The same error without values that may be confidential.
fn without_values(mut error: clap::Error) -> clap::Error {
    for kind in [
        ContextKind::InvalidValue,
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidArg,
    ] {
        if let Some(ContextValue::String(value)) = error.get(kind)
            // The name of an argument with its placeholder, as clap itself writes it.
            && !(kind == ContextKind::InvalidArg && value.contains('<'))
            && quotable(value) != value
        {
            let hidden = quotable(value).to_owned();
            error.insert(kind, ContextValue::String(hidden));
        }
    }
    error
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

/// The settings of the approval page, which is for one user.
const APPROVAL: [&str; 3] = ["approval_bind", "approval_url", "open_browser"];

/// Whether a setting changes what a command does. One that does not is accepted all the same.
fn takes_effect(command: &str, setting: &Arg) -> bool {
    if APPROVAL.contains(&setting.get_id().as_str()) {
        return matches!(command, "stdio" | "demo");
    }
    let (headings, settings): (&[&str], &[&str]) = match command {
        "tools" => (&[TOOLS, GLOBAL], &["structured"]),
        "doctor" => (&[CONNECTION, TOOLS, GLOBAL], &["audit_log", "sandbox"]),
        "erasure-report" => (
            &[CONNECTION, GLOBAL],
            &["audit_log", "audit_key_file", "sandbox"],
        ),
        "audit" | "verify" => (&[GLOBAL], &["audit_key_file"]),
        "sandbox" => (
            &[GLOBAL],
            &[
                "sandbox_persons",
                "sandbox_events",
                "sandbox_era",
                "sandbox_seed",
            ],
        ),
        "demo" => (
            &[TOOLS, RESULTS, GLOBAL],
            &[
                "confirm",
                "sandbox_persons",
                "sandbox_events",
                "sandbox_era",
                "sandbox_seed",
            ],
        ),
        _ => return true,
    };
    setting
        .get_help_heading()
        .is_some_and(|heading| headings.contains(&heading))
        || settings.contains(&setting.get_id().as_str())
}

/// A command about the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no line was changed, removed or reordered
    ///
    /// Prints what it found and the hash of the last line, and exits with 1 if there is a problem. A removed end is found only
    /// with --head, a file that was rewritten as a whole only with --audit-key-file.
    Verify {
        /// The audit log
        file: PathBuf,
        /// The hash of the last line, as printed by an earlier check or kept elsewhere
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
}

/// The settings of `erasure-report`.
#[derive(Debug, Clone, Args)]
pub struct ErasureReportArgs {
    /// Only deletions from this date or time on, such as 2026-11-01 or -30d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only deletions until this date (included) or before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// File to write, as Markdown (.md) or JSON (.json), in place of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve one assistant over standard input and output (default)
    Stdio,
    /// Serve a team over HTTP
    ///
    /// Every request carries its own personal API key as bearer token. If the server has an API key, it is used for all
    /// requests, which carry the token in POSTHOG_MCP_AUTH_TOKEN instead. Processes share the key in
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
    /// Export one person, or a list of persons, as a file
    ///
    /// One person is a zip with everything that PostHog holds, for a request of access; a list is a CSV. The file is written to
    /// --export-dir or else to the current directory, and has its name only once it is complete.
    Export(ExportArgs),
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
    /// Check an audit log
    Audit {
        /// What to do.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Report what became of the deletions in an audit log
    ///
    /// For each deletion in --audit-log: when and how it was confirmed, with which API key, and what PostHog shows now of each
    /// person: verified gone, pending, came back, still there, or that it cannot be known. Changes nothing. Exits with 1 if
    /// the log is damaged or something could not be checked.
    ErasureReport(ErasureReportArgs),
    /// Run the PostHog API simulator on a local port
    Sandbox {
        /// Port on 127.0.0.1; 0 selects a free one
        #[arg(long, default_value_t = 8809)]
        port: u16,
    },
    /// Print a sample session of an assistant with the sandbox
    Demo,
}
