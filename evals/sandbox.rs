//! The sandbox of a task, and the settings of the server that connects to it.

use std::time::Duration;

use posthog_sandbox::{Clock, Fault, FaultKind, Key, Sandbox, SandboxOptions};
use tokio::net::TcpListener;

use super::suite::{ApiKey, Fixture, InjectedFaultKind};

/// A key for reading persons and for queries.
const QUERY_KEY: &str = "phx_eval_query";

/// Starts the sandbox of a task.
///
/// # Errors
/// If no port is available.
pub async fn start(fixture: &Fixture, clock: Clock) -> std::io::Result<Sandbox> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let options = SandboxOptions {
        persons: fixture.persons,
        clock,
        keys: vec![Key::scoped(QUERY_KEY, &["person:read", "query:read"])],
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(listener, options).await?;
    for fault in &fixture.faults {
        let kind = match fault.kind {
            InjectedFaultKind::Throttle => FaultKind::Throttle { retry_after: 60 },
            InjectedFaultKind::DropAfterEffect => FaultKind::DropAfterEffect,
        };
        sandbox.inject(Fault {
            path_contains: fault.request.clone(),
            times: fault.times,
            kind,
        });
    }
    Ok(sandbox)
}

/// Environment variables of the server.
#[must_use]
pub fn environment(fixture: &Fixture, url: &str) -> [(&'static str, String); 3] {
    let key = match fixture.key {
        ApiKey::All => Sandbox::KEY,
        ApiKey::Read => Sandbox::READ_KEY,
        ApiKey::Query => QUERY_KEY,
        ApiKey::Legacy => Sandbox::LEGACY_KEY,
    };
    let project = fixture.project.unwrap_or(Sandbox::PROJECT);
    [
        ("POSTHOG_HOST", url.to_owned()),
        ("POSTHOG_PERSONAL_API_KEY", key.to_owned()),
        ("POSTHOG_PROJECT_ID", project.to_string()),
    ]
}

/// Command-line arguments of the server.
#[must_use]
pub fn arguments(fixture: &Fixture) -> Vec<String> {
    let stdio = std::iter::once("stdio".to_owned());
    stdio.chain(fixture.flags.iter().cloned()).collect()
}

/// Timeout of every wait while a task runs; no task takes this long.
pub const TIMEOUT: Duration = Duration::from_secs(20);
