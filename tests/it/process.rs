//! Runs the binary as a process.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use serde_json::{Value, json};

use crate::wire::{TIMEOUT, opening_messages, parse_message, request};

/// The binary with these arguments, without the settings in this process's environment.
pub(crate) fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthog-persons-mcp"));
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("POSTHOG_") || text == "RUST_LOG" {
            command.env_remove(&name);
        }
    }
    // Tests read the fields.
    command.env("POSTHOG_MCP_STRUCTURED", "on");
    command
}

/// A process that has ended.
pub(crate) struct ProcessOutput {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl ProcessOutput {
    /// The response to a request.
    pub(crate) fn response(&self, id: u64) -> Value {
        let mut responses = self.stdout.lines().map(parse_message);
        responses
            .find(|response| response["id"] == id)
            .unwrap_or_else(|| panic!("no response to {id} in {}", self.stdout))
    }

    /// The error of a start that must fail: on standard error, with nothing on standard output.
    pub(crate) fn startup_error(&self) -> &str {
        assert_ne!(self.code, Some(0), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        &self.stderr
    }
}

/// Runs a process with this input.
pub(crate) async fn run(mut command: Command, input: &str) -> ProcessOutput {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writing = async {
        // A process that rejects its settings does not read its input.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
    };
    let ending = async { tokio::join!(writing, child.wait_with_output()).1 };
    let output = timeout(TIMEOUT, ending)
        .await
        .expect("an end in time")
        .unwrap();
    ProcessOutput {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Sends a signal, such as `-TERM`.
pub(crate) async fn send(child: &Child, signal: &str) {
    let id = child.id().unwrap().to_string();
    let sent = Command::new("kill").args([signal, &id]).status().await;
    assert!(sent.unwrap().success());
}

/// Waits for the exit and returns the exit code.
pub(crate) async fn wait_for_exit(mut child: Child) -> Option<i32> {
    let status = timeout(TIMEOUT, child.wait()).await;
    status.expect("an end in time").unwrap().code()
}

/// The input of a session: the handshake, `tools/list` as request 1, then these calls.
pub(crate) fn session_input(version: &str, calls: &[(&str, Value)]) -> String {
    let mut messages = opening_messages(version);
    messages.push(request(version, 1, "tools/list", json!({})));
    for ((tool, arguments), id) in calls.iter().zip(2..) {
        let params = json!({"name": tool, "arguments": arguments});
        messages.push(request(version, id, "tools/call", params));
    }
    messages
        .iter()
        .map(|message| format!("{message}\n"))
        .collect()
}

/// The names in a response to `tools/list`.
pub(crate) fn tool_names(response: &Value) -> Vec<String> {
    let tools = response["result"]["tools"].as_array().unwrap();
    tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect()
}
