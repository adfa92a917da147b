//! Runs the command that the command line names, and turns a failure into a message and an exit code.

use std::io::ErrorKind;
use std::process::ExitCode;

use tracing::level_filters::LevelFilter;

use super::{call, demo, doctor, http, log, sandbox, stdio, tools};
use crate::cli::{CliArguments, Command};
use crate::config::{Config, HttpConfig};

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

async fn dispatch(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Stdio => stdio::run(config).await,
        Command::Http(http) => http::run(config, HttpConfig::new(http)?).await,
        Command::Call {
            tool,
            arguments,
            json,
        } => call::run(config, &tool, &arguments, json).await,
        Command::Tools { json } => tools::run(&config, json),
        Command::Doctor { json } => doctor::run(config, json).await,
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
