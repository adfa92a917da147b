//! `stdio`: one assistant, over standard input and output.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use rmcp::service::ServerInitializeError;
use tokio::time::timeout;

use super::{build, signal};
use crate::config::Config;
use crate::stdio;

/// How long a write that was sent before the process was asked to end may take.
const WRITE_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    // The process serves one user, who sees the host's own approval of a destructive tool as well.
    let (server, sandbox) = build::server(config, true).await?;
    let stop = signal::stop()?;
    tokio::select! {
        served = stdio::stdio(server.clone()) => {
            served.map_err(|error| anyhow!("The conversation could not begin: {}", describe(&error)))?;
        }
        () = stop => {
            // What was sent may have been done: its line in the audit log is to say so.
            let _ = timeout(WRITE_DRAIN_TIMEOUT, server.drain_writes()).await;
        }
    }
    drop(sandbox);
    Ok(ExitCode::SUCCESS)
}

/// Why a conversation did not begin, without the message that was received: it may hold personal data.
fn describe(error: &ServerInitializeError) -> &'static str {
    use ServerInitializeError as E;
    match error {
        E::ExpectedInitializeRequest(_) => "the first message was not an initialize request",
        E::TransportError { .. } => "standard output is closed",
        _ => "the handshake failed",
    }
}
