//! The programs that are compared.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio as Stream};

use crate::upstream::Upstream;
use serde_json::Value;

use crate::measure::{MINIMAL, SMOKE_TEST};

/// The compared programs and the upstream that they connect to.
pub(super) struct Programs {
    pub(super) minimal: PathBuf,
    pub(super) upstream: Upstream,
}

/// Builds the example with the profile of this benchmark; Cargo builds only binaries for benchmarks.
pub(super) fn build_minimal() -> PathBuf {
    let profile = if SMOKE_TEST { "dev" } else { "release" };
    let arguments = [
        "build",
        "--profile",
        profile,
        "--locked",
        "--example",
        MINIMAL,
    ];
    let mut build = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        // Set by Cargo for this program; dependencies that read them would be rebuilt.
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&name);
        }
    }
    build
        .args(arguments)
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stream::inherit());
    let output = build.output().expect("cargo");
    assert!(output.status.success(), "the example cannot be built");
    let lines = String::from_utf8(output.stdout).expect("text");
    let executable = lines.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let built = message["target"]["name"] == MINIMAL;
        built.then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    executable.expect("the example's path")
}

fn ours() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthog-persons-mcp"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POSTHOG_") {
            command.env_remove(name);
        }
    }
    command.stderr(Stream::null());
    command
}

/// With that many generated persons, and fields in its results.
pub(super) fn with_sandbox(persons: u64) -> Command {
    let mut command = ours();
    command
        .args(["--sandbox", "--sandbox-persons", &persons.to_string()])
        .args(["--structured", "on"]);
    command
}

impl Programs {
    pub(super) fn ours(&self, arguments: &[&str]) -> Command {
        let mut command = ours();
        command
            .args(["--host", &self.upstream.url, "--project", "1"])
            .args(arguments);
        command
    }

    pub(super) fn ours_on_stdio(&self, arguments: &[&str]) -> Command {
        let mut command = self.ours(arguments);
        command.env("POSTHOG_PERSONAL_API_KEY", "phx_bench");
        command
    }

    /// Every request has its own API key, as in a team setup. The rate limit is effectively disabled.
    pub(super) fn ours_on_http(&self, address: SocketAddr) -> Command {
        let max = u32::MAX.to_string();
        let bind = address.to_string();
        self.ours(&["http", "--bind", &bind, "--max-requests-per-minute", &max])
    }

    pub(super) fn minimal(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.minimal);
        command.args(arguments).stderr(Stream::null());
        command
    }

    pub(super) fn minimal_on_http(&self, address: SocketAddr) -> Command {
        self.minimal(&["--http", &address.to_string()])
    }
}
