//! The programs that are compared.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio as Stream};

use crate::upstream::Upstream;
use serde_json::Value;

use crate::{MINIMAL, TRIAL};

/// What is started again and again.
pub(super) struct Programs {
    pub(super) minimal: PathBuf,
    pub(super) upstream: Upstream,
}

/// Cargo builds a binary for its benchmarks, but no example. It is built as this program and that binary are.
pub(super) fn build_minimal() -> PathBuf {
    let profile = if TRIAL { "dev" } else { "release" };
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
        // Cargo set them for this program. Libraries that read them would be rebuilt.
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

impl Programs {
    pub(super) fn ours(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_posthog-persons-mcp"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("POSTHOG_") {
                command.env_remove(name);
            }
        }
        command
            .args(["--host", &self.upstream.url, "--project", "1"])
            .args(arguments)
            .stderr(Stream::null());
        command
    }

    pub(super) fn ours_on_stdio(&self, arguments: &[&str]) -> Command {
        let mut command = self.ours(arguments);
        command.env("POSTHOG_PERSONAL_API_KEY", "phx_bench");
        command
    }

    /// As a team runs it: every request brings its own key. The limit of requests a minute is out of the way.
    pub(super) fn ours_on_http(&self, address: SocketAddr) -> Command {
        let most = u32::MAX.to_string();
        let bind = address.to_string();
        self.ours(&["http", "--bind", &bind, "--max-requests-per-minute", &most])
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
