//! Runs the command that the command line names, and turns a failure into a message and an exit code.

use std::io::ErrorKind;
use std::process::ExitCode;

use tracing::level_filters::LevelFilter;

use super::variables::unknown_variables;
use super::{audit, call, demo, doctor, erasure_report, export, http, log, sandbox, stdio, tools};
use crate::cli::{CliArguments, Command};
use crate::config::{Config, ConfigError, HttpConfig};

/// Runs a command.
pub async fn run(arguments: CliArguments) -> ExitCode {
    let config = Config::new(arguments.settings);
    let command = arguments.command.unwrap_or(Command::Stdio);
    // Someone at a terminal wants the result; an operator of a server wants to see the calls.
    let default_level = match command {
        Command::Stdio | Command::Http(_) => LevelFilter::INFO,
        _ => LevelFilter::WARN,
    };
    log::start(config.log.unwrap_or(default_level));
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let misspelt = misspelt_variables();
    if !misspelt.is_empty() {
        eprintln!("{misspelt}");
        return ExitCode::FAILURE;
    }
    match dispatch(command, config).await {
        Ok(code) => code,
        // Standard output was closed by its reader.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Warns of variables that no setting reads; those that seem to be meant for one stop the start.
fn misspelt_variables() -> ConfigError {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut misspelt = Vec::new();
    for variable in unknown_variables(names) {
        match variable.meant {
            Some(meant) => misspelt.push(format!(
                "The environment variable {} is not a setting. It seems to be meant for {meant}; rename it or unset it.",
                variable.name
            )),
            None => tracing::warn!(name = variable.name, "environment variable is not a setting"),
        }
    }
    misspelt.into_iter().collect()
}

async fn dispatch(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Stdio => stdio::run(config).await,
        Command::Http(http) => http::run(config, HttpConfig::new(http)?).await,
        Command::Call {
            tool,
            arguments,
            json,
        } => call::run(config, &tool, &arguments, json).await,
        Command::Export(arguments) => export::run(config, arguments).await,
        Command::Tools { json } => tools::run(&config, json),
        Command::Doctor { json } => doctor::run(config, json).await,
        Command::Audit { command } => audit::run(&config, &command),
        Command::ErasureReport(arguments) => erasure_report::run(config, &arguments).await,
        Command::Sandbox { port } => sandbox::run(&config, port).await,
        Command::Demo => demo::run(config).await,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = error
        .downcast_ref::<std::io::Error>()
        .map(std::io::Error::kind)
        .or_else(|| error.downcast_ref::<serde_json::Error>()?.io_error_kind());
    kind == Some(ErrorKind::BrokenPipe)
}
