//! The page of the binary: in which protocol versions it is served, and when the process listens at all.

use super::super::support::*;
use super::browser::*;
use crate::stdio::{connected, sandbox};
use crate::wire::{JsonRpcClient, versions};
use crate::writing::QA;
use posthog_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::process::{Child, ChildStdin, ChildStdout};

type Wire = JsonRpcClient<ChildStdout, ChildStdin>;

/// A process, and a client that cannot ask.
async fn start(arguments: &[&str], host: &str, version: &'static str) -> (Child, Wire) {
    let mut child = connected(arguments, host, Sandbox::KEY).spawn().unwrap();
    let (reader, writer) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let (wire, _) = JsonRpcClient::begin(version, reader, writer).await;
    (child, wire)
}

async fn delete(wire: &mut Wire, arguments: Value) -> Value {
    let params = json!({"name": TOOL, "arguments": arguments});
    wire.send_request("tools/call", params).await
}

fn text(response: &Value) -> &str {
    let text = &response["result"]["content"][0]["text"];
    text.as_str().unwrap_or_else(|| panic!("{response}"))
}

fn deletions(sandbox: &Sandbox) -> usize {
    let requests = sandbox.requests().into_iter();
    requests
        .filter(|request| request.path.contains("bulk_delete"))
        .count()
}

#[tokio::test]
async fn page_confirms_in_every_protocol_version() {
    for version in versions() {
        let sandbox = sandbox().await;
        let (_child, mut wire) = start(&[], &sandbox.url(), version).await;
        let arguments = json!({"ids": [QA[0]]});
        let asked = delete(&mut wire, arguments.clone()).await;
        let browser = Browser::of(text(&asked));
        let token = text(&asked).split_once("confirmation \"").unwrap().1;
        let token = json!(token.split_once('"').unwrap().0);
        assert_eq!(deletions(&sandbox), 0, "{version}");
        browser.approve().await;
        assert_eq!(browser.heading().await, "Approved", "{version}");
        assert_eq!(deletions(&sandbox), 0, "{version}");
        let done = delete(&mut wire, with_token(arguments.clone(), &token)).await;
        assert!(text(&done).starts_with("Queued"), "{version}: {done}");
        assert_eq!(deletions(&sandbox), 1, "{version}");
        let again = delete(&mut wire, with_token(arguments, &token)).await;
        assert!(text(&again).starts_with(STALE), "{version}: {again}");
        assert_eq!(deletions(&sandbox), 1, "{version}");
    }
}

/// The local addresses at which a process accepts connections.
#[cfg(target_os = "linux")]
fn listening(child: &Child) -> Vec<String> {
    let process = format!("/proc/{}", child.id().unwrap());
    let files = std::fs::read_dir(format!("{process}/fd")).unwrap();
    let open: Vec<String> = files
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect();
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let table = std::fs::read_to_string(format!("{process}/net/{table}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (address, state, inode) = (fields[1], fields[3], fields[9]);
            const LISTEN: &str = "0A";
            if state == LISTEN && open.contains(&format!("socket:[{inode}]")) {
                found.push(address.to_owned());
            }
        }
    }
    found
}

/// Nothing listens before a page waits for an answer, and never where none can.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn process_listens_only_where_a_page_is_needed() {
    let sandbox = sandbox().await;
    let deletion = json!({"ids": [QA[0]]});
    let dry_run = json!({"ids": [QA[0]], "dry_run": true});
    for (arguments, serves) in [
        (&["--confirm", "auto"][..], true),
        (&["--confirm", "strict"], false),
        (&["--confirm", "token"], false),
        (&["--read-only"], false),
        (&["--read-only", "--confirm", "auto"], false),
        (&["--read-only", "--approval-bind", "127.0.0.1:0"], false),
        (&["--exclude-tools", TOOL], false),
        (&["--confirm", "off"], false),
    ] {
        let (child, mut wire) = start(arguments, &sandbox.url(), "2025-06-18").await;
        wire.send_request("tools/list", json!({})).await;
        delete(&mut wire, dry_run.clone()).await;
        assert_eq!(listening(&child), [""; 0], "{arguments:?} before");
        let response = delete(&mut wire, deletion.clone()).await;
        let found = listening(&child);
        if serves {
            // 127.0.0.1, in the kernel's notation.
            let loopback = found.iter().all(|address| address.starts_with("0100007F:"));
            assert!(found.len() == 1 && loopback, "{arguments:?}: {found:?}");
            Browser::of(text(&response)).load().await;
        } else {
            assert_eq!(found, [""; 0], "{arguments:?}: {response}");
        }
    }
}
