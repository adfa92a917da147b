//! The binary as a server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthog_sandbox::Sandbox;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Caller, caller};
use crate::process;
use crate::wire::TIMEOUT;

/// The binary as a server.
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) address: SocketAddr,
    pub(super) log: Arc<Mutex<String>>,
    pub(super) reading: JoinHandle<()>,
}

/// A server on a free port, with these settings.
pub(super) fn binary(arguments: &[&str]) -> Command {
    let mut all = vec!["http", "--bind", "127.0.0.1:0"];
    all.extend(arguments);
    crate::process::binary(&all)
}

/// The same in per-request key mode, for this PostHog host.
pub(super) fn binary_at(posthog: &str, arguments: &[&str]) -> Command {
    let mut command = binary(arguments);
    command
        .env("POSTHOG_HOST", posthog)
        .env("POSTHOG_PROJECT_ID", Sandbox::PROJECT.to_string());
    command
}

impl Process {
    pub(super) async fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut begun = String::new();
        let address = loop {
            let line = timeout(TIMEOUT, lines.next_line()).await;
            let line = line.expect("a line in time").unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended: {begun}"));
            begun.push_str(&line);
            begun.push('\n');
            if let Some((_, address)) = line.split_once("serving over HTTP address=") {
                break address.trim().parse().unwrap();
            }
        };
        let log = Arc::new(Mutex::new(begun));
        let writing = Arc::clone(&log);
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = writing.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self {
            child,
            address,
            log,
            reading,
        }
    }

    pub(super) fn caller(&self, key: &str) -> Caller {
        caller(self.address, Some(key))
    }

    /// Sends a termination signal and waits until the shutdown begins.
    pub(super) async fn signal(&self, name: &str) {
        process::send(&self.child, name).await;
        let begun = async {
            while !self.log.lock().unwrap().contains("shutting down") {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(TIMEOUT, begun).await.expect("a shutdown in time");
    }

    /// Waits for the exit; returns the exit code and the log.
    pub(super) async fn end(mut self) -> (Option<i32>, String) {
        let status = timeout(TIMEOUT, self.child.wait()).await;
        let status = status.expect("an end in time").unwrap();
        self.reading.await.unwrap();
        let log = self.log.lock().unwrap().clone();
        (status.code(), log)
    }

    /// Stops the process and returns the log.
    pub(super) async fn stop(self) -> String {
        self.signal("-TERM").await;
        let (code, log) = self.end().await;
        assert_eq!(code, Some(0), "{log}");
        log
    }
}
