//! Assertions shared by several tests.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use posthog_persons_mcp::tools::catalog;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::TIMEOUT;

/// The text of a tool's result.
pub(super) fn said(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

#[track_caller]
pub(super) fn refused(result: &Value, says: &str) {
    assert_eq!(result["isError"], true, "{result}");
    assert!(said(result).starts_with(says), "{result}");
}

/// The names of all tools.
pub(super) fn all_tools() -> Vec<String> {
    catalog().iter().map(|tool| tool.name.to_owned()).collect()
}

pub(super) fn set(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(String::as_str).collect()
}

/// Sends raw bytes and reads until the server closes the connection.
pub(super) async fn raw(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(TIMEOUT, stream.read_to_end(&mut answer)).await;
    read.expect("an answer in time").unwrap();
    String::from_utf8(answer).unwrap()
}
