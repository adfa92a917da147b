//! Runs the binary with a sandbox.

use crate::process::{binary, run};
use crate::wire::{TIMEOUT, opening_messages, request};
use posthog_sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

pub(super) const KEY: &str = "POSTHOG_PERSONAL_API_KEY";

pub(super) fn lines(messages: &[Value]) -> String {
    messages
        .iter()
        .map(|message| format!("{message}\n"))
        .collect()
}

/// The input of a session with these tool calls, numbered from 1.
pub(super) fn calls(version: &str, calls: &[(&str, Value)]) -> String {
    let mut messages = opening_messages(version);
    for ((tool, arguments), id) in calls.iter().zip(1..) {
        let params = json!({"name": tool, "arguments": arguments});
        messages.push(request(version, id, "tools/call", params));
    }
    lines(&messages)
}

/// The binary, set to a PostHog at this address.
pub(crate) fn connected(arguments: &[&str], host: &str, key: &str) -> Command {
    let mut command = binary(arguments);
    command
        .env("POSTHOG_HOST", host)
        .env("POSTHOG_PROJECT_ID", Sandbox::PROJECT.to_string())
        .env(KEY, key);
    command
}

/// A sandbox in a separate process.
pub(crate) struct SandboxProcess {
    pub(super) child: Child,
    pub(crate) url: String,
    /// Kept open, as the process cannot write to a closed pipe.
    _stdout: Lines<BufReader<ChildStdout>>,
}

/// A sandbox in this process, for the binary in another.
pub(crate) async fn sandbox() -> Sandbox {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let started = Sandbox::start(listener, SandboxOptions::default()).await;
    started.unwrap()
}

pub(crate) async fn sandbox_process(arguments: &[&str]) -> SandboxProcess {
    let mut command = binary(&[&["sandbox", "--port", "0"][..], arguments].concat());
    command.env("RUST_LOG", "trace");
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = timeout(TIMEOUT, lines.next_line()).await.unwrap().unwrap();
    let first = first.unwrap();
    let url = first
        .split_whitespace()
        .map(|word| word.trim_end_matches('.'))
        .find(|word| word.starts_with("http://127.0.0.1:"))
        .unwrap_or_else(|| panic!("{first}"))
        .to_owned();
    SandboxProcess {
        child,
        url,
        _stdout: lines,
    }
}

/// The error of a start that must fail: on standard error, with nothing on standard output.
pub(super) async fn startup_error(command: Command) -> String {
    let ended = run(command, "").await;
    assert_ne!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    ended.stderr
}
