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
pub(super) fn result_text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

#[track_caller]
pub(super) fn assert_rejected(result: &Value, says: &str) {
    assert_eq!(result["isError"], true, "{result}");
    assert!(result_text(result).starts_with(says), "{result}");
}

/// The names of all tools.
pub(super) fn all_tools() -> Vec<String> {
    catalog().iter().map(|tool| tool.name.to_owned()).collect()
}

pub(super) fn set(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(String::as_str).collect()
}

/// Sends raw bytes and reads until the server closes the connection.
pub(super) async fn send_raw(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let read = timeout(TIMEOUT, stream.read_to_end(&mut response)).await;
    read.expect("a response in time").unwrap();
    String::from_utf8(response).unwrap()
}
