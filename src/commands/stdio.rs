//! `stdio`: one assistant, over standard input and output.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use rmcp::service::ServerInitializeError;
use tokio::time::timeout;

use super::{build, signal};
use crate::config::Config;
use crate::stdio;

/// How long writes in flight may take when the process is asked to end.
const WRITE_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let exports = build::exports(&config, None)?;
    let (server, sandbox) = build::server(config, true, exports).await?;
    let stop = signal::stop()?;
    tokio::select! {
        served = stdio::stdio(server.clone()) => {
            served.map_err(|error| anyhow!("could not start the MCP session: {}", describe(&error)))?;
        }
        () = stop => {
            // A write that was sent may have been applied: its audit line must record the outcome.
            let _ = timeout(WRITE_DRAIN_TIMEOUT, server.drain_writes()).await;
        }
    }
    server.end_exports();
    drop(sandbox);
    Ok(ExitCode::SUCCESS)
}

/// Why the session did not start, without the received message, which may contain personal data.
fn describe(error: &ServerInitializeError) -> &'static str {
    use ServerInitializeError as E;
    match error {
        E::ExpectedInitializeRequest(_) => "the first message was not an initialize request",
        E::TransportError { .. } => "standard output is closed",
        _ => "the handshake failed",
    }
}
