//! What the binary does, command by command.

mod call;
mod client;
mod demo;
pub mod doctor;
mod http;
mod log;
mod tools;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;
use tracing::level_filters::LevelFilter;

use crate::config::{Arguments, Command, Settings};
use crate::server::confirmation::Confirmer;
use crate::server::{Server, WriteGuards};
use crate::stdio;
use crate::tools::{Context, ToolDefinition, catalog};
use posthog_sandbox::Sandbox;

/// What a person reads when a command cannot go on.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long a write that was sent before the process was asked to end may take.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Runs what was asked for.
pub async fn run(arguments: Arguments) -> ExitCode {
    let settings = &arguments.settings;
    let command = arguments.command.unwrap_or(Command::Stdio);
    // Someone at a terminal wants the answer; whoever serves wants to see the calls.
    let usual = match command {
        Command::Stdio | Command::Http(_) => LevelFilter::INFO,
        _ => LevelFilter::WARN,
    };
    log::start(settings.log.unwrap_or(usual));
    let done = match command {
        Command::Stdio => stdio(settings).await,
        Command::Http(http) => http::run(settings, &http).await,
        Command::Call {
            tool,
            arguments,
            json,
        } => call::run(settings, &tool, &arguments, json).await,
        Command::Tools { json } => tools::run(settings, json),
        Command::Doctor { json } => doctor::run(settings, json).await,
        Command::Sandbox { port } => serve_sandbox(settings, port).await,
        Command::Demo => demo::run(settings).await,
    };
    match done {
        Ok(code) => code,
        // Whoever reads the output has seen enough.
        Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let kind = error
        .downcast_ref::<std::io::Error>()
        .map(std::io::Error::kind)
        .or_else(|| error.downcast_ref::<serde_json::Error>()?.io_error_kind());
    kind == Some(std::io::ErrorKind::BrokenPipe)
}

/// A server as the settings want it, and the sandbox that it works on, if it does.
///
/// `allow_token_confirmation` says whether the assistant may confirm a deletion by a second call where its client cannot ask the user.
async fn server(
    settings: &Settings,
    allow_token_confirmation: bool,
) -> Result<(Server, Option<Sandbox>), Failure> {
    let (settings, sandbox) = with_sandbox(settings).await?;
    let posthog = match &sandbox {
        Some(_) => settings.client_with_key(Sandbox::KEY)?,
        None => settings.client()?,
    };
    let context = Context {
        posthog,
        limits: settings.limits(),
    };
    let safety = WriteGuards {
        confirmer: Confirmer::new(settings.confirm.into(), allow_token_confirmation),
        audit: settings.audit()?,
    };
    Ok((Server::new(offered(&settings)?, context, safety), sandbox))
}

/// The tools that the settings leave.
fn offered(settings: &Settings) -> Result<Vec<ToolDefinition>, Failure> {
    let policy = settings.policy();
    let tools = catalog();
    let unknown = policy.unknown_names(tools.iter().map(|tool| tool.name));
    if !unknown.is_empty() {
        let lines: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        return Err(lines.join("\n").into());
    }
    let offers = |tool: &ToolDefinition| policy.offers(tool.name, tool.toolset, tool.effect);
    Ok(tools.into_iter().filter(offers).collect())
}

/// Starts a sandbox of this process, if the settings want one, and points them to it.
async fn with_sandbox(settings: &Settings) -> Result<(Settings, Option<Sandbox>), Failure> {
    if !settings.sandbox {
        return Ok((settings.clone(), None));
    }
    let sandbox = start_sandbox(settings, 0).await?;
    let settings = Settings {
        host: Some(sandbox.url()),
        project: Some(Sandbox::PROJECT.to_string()),
        ..settings.clone()
    };
    Ok((settings, Some(sandbox)))
}

async fn start_sandbox(settings: &Settings, port: u16) -> Result<Sandbox, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| {
            format!("The sandbox cannot listen on port {port} of 127.0.0.1: {error}")
        })?;
    let options = posthog_sandbox::SandboxOptions {
        persons: settings.sandbox_persons,
        ..posthog_sandbox::SandboxOptions::default()
    };
    Ok(Sandbox::start(listener, options).await?)
}

async fn stdio(settings: &Settings) -> Result<ExitCode, Failure> {
    // The process serves one user, who sees the host's own approval of a destructive tool as well.
    let (server, sandbox) = server(settings, true).await?;
    let stop = stop_signal()?;
    tokio::select! {
        served = stdio::stdio(server.clone()) => served.map_err(|error| format!("The conversation could not begin: {}", begun(&error)))?,
        () = stop => {
            // What was sent may have been done: its line in the audit log is to say so.
            let _ = timeout(LAST_WRITES, server.drain_writes()).await;
        }
    }
    drop(sandbox);
    Ok(ExitCode::SUCCESS)
}

/// Why a conversation did not begin, without the message that was received: it may hold somebody's data.
fn begun(error: &rmcp::service::ServerInitializeError) -> &'static str {
    use rmcp::service::ServerInitializeError as E;
    match error {
        E::ExpectedInitializeRequest(_) => "the first message was not an initialize request",
        E::TransportError { .. } => "standard output is closed",
        _ => "the handshake failed",
    }
}

async fn serve_sandbox(settings: &Settings, port: u16) -> Result<ExitCode, Failure> {
    let sandbox = start_sandbox(settings, port).await?;
    // From here on signals are heard, also by whoever waits for the address.
    let stop = stop_signal()?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "The sandbox imitates PostHog at {url}. Its project is {project}.\n\
         To use it from another terminal:\n\n  \
         POSTHOG_HOST={url} POSTHOG_PROJECT_ID={project} POSTHOG_PERSONAL_API_KEY={key} posthog-persons-mcp call persons-list\n\n\
         The key {legacy} opens what PostHog closes to modern keys (funnel, trends, lifecycle, timeline).\n\
         Its state is in memory. Stop it with Ctrl-C.",
        url = sandbox.url(),
        project = Sandbox::PROJECT,
        key = Sandbox::KEY,
        legacy = Sandbox::LEGACY_KEY,
    )?;
    out.flush()?;
    stop.await;
    sandbox.stop();
    Ok(ExitCode::SUCCESS)
}

/// Ends when the process is asked to.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        Ok(async {
            let _ = tokio::signal::ctrl_c().await;
        })
    }
}
