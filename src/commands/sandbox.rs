//! `sandbox`: the sandbox alone, on a port of this machine.

use std::io::Write;
use std::process::ExitCode;

use super::{build, signal};
use crate::config::Config;
use posthog_sandbox::Sandbox;

pub(super) async fn run(config: &Config, port: u16) -> anyhow::Result<ExitCode> {
    let sandbox = build::sandbox(config, port).await?;
    // Before the address is printed: a script that reads it may send a signal right away.
    let stop = signal::stop()?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "The sandbox simulates PostHog at {url}. Its project is {project}.\n\
         To use it from another terminal:\n\n  \
         POSTHOG_HOST={url} POSTHOG_PROJECT_ID={project} POSTHOG_PERSONAL_API_KEY={key} posthog-persons-mcp call persons-list\n\n\
         The legacy key {legacy} also has access to funnel, trends, lifecycle and timeline, which PostHog denies to scoped keys.\n\
         State is kept in memory. Press Ctrl-C to stop.",
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
