//! `http`: one server for a team.

use std::process::ExitCode;

use super::{build, signal};
use crate::config::{Config, HttpConfig};
use crate::http::serve;

pub(super) async fn run(config: Config, http: HttpConfig) -> anyhow::Result<ExitCode> {
    let (config, sandbox) = build::with_sandbox(config).await?;
    let (listener, server, options) = build::http_server(&config, http).await?;
    let address = listener.local_addr()?;
    let stop = signal::stop()?;
    tracing::info!(%address, "serving over HTTP");
    serve(listener, server, options, stop).await?;
    tracing::info!("stopped");
    drop(sandbox);
    Ok(ExitCode::SUCCESS)
}
