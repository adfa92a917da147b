//! The sandbox of a task, and the settings of a server that works on it.

use std::time::Duration;

use posthog_sandbox::{Clock, Fault, FaultKind, Sandbox, SandboxOptions};
use tokio::net::TcpListener;

use super::suite::{Fixture, Key, What};

/// Starts a sandbox of its own for a task.
///
/// # Errors
/// When no port is to be had.
pub async fn start(fixture: &Fixture, clock: Clock) -> std::io::Result<Sandbox> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let options = SandboxOptions {
        persons: fixture.persons,
        clock,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(listener, options).await?;
    for fault in &fixture.faults {
        let kind = match fault.what {
            What::Throttle => FaultKind::Throttle { retry_after: 60 },
            What::DropAfterEffect => FaultKind::DropAfterEffect,
        };
        sandbox.inject(Fault {
            path_contains: fault.request.clone(),
            times: fault.times,
            kind,
        });
    }
    Ok(sandbox)
}

/// The variables of a server that works on this sandbox.
#[must_use]
pub fn environment(fixture: &Fixture, url: &str) -> [(&'static str, String); 3] {
    let key = match fixture.key {
        Key::All => Sandbox::KEY,
        Key::Read => Sandbox::READ_KEY,
        Key::Legacy => Sandbox::LEGACY_KEY,
    };
    let project = fixture.project.unwrap_or(Sandbox::PROJECT);
    [
        ("POSTHOG_HOST", url.to_owned()),
        ("POSTHOG_PERSONAL_API_KEY", key.to_owned()),
        ("POSTHOG_PROJECT_ID", project.to_string()),
    ]
}

/// The arguments of a server for this task.
#[must_use]
pub fn arguments(fixture: &Fixture) -> Vec<String> {
    let stdio = std::iter::once("stdio".to_owned());
    stdio.chain(fixture.flags.iter().cloned()).collect()
}

/// Longer than anything that a task waits for.
pub const TIMEOUT: Duration = Duration::from_secs(20);
