//! Altered responses.

use std::time::{Duration, Instant};

use posthog_sandbox::{Fault, FaultKind, ResponseFault};
use serde_json::Value;

use super::api;

#[tokio::test]
async fn replace_field_puts_any_text_at_any_depth() {
    let api = api().await;
    let usual = api.get("101/").await;
    let replaced = FaultKind::replace_field("email", "[[[ no JSON");
    api.sandbox.inject(Fault::once("101", replaced));
    let reply = api.get("101/").await;
    assert!(
        reply.text.contains("\"email\":[[[ no JSON"),
        "{}",
        reply.text
    );
    assert_eq!(reply.body, Value::Null);
    assert_eq!(api.get("101/").await.body, usual.body);
}

#[tokio::test]
async fn pad_makes_the_response_longer_and_keeps_its_value() {
    let api = api().await;
    let usual = api.get("101/").await;
    for bytes in [0, 1, 65_536, 1_000_000] {
        let padded = FaultKind::AlterResponse(ResponseFault::Pad { bytes });
        api.sandbox.inject(Fault::once("101", padded));
        let reply = api.get("101/").await;
        assert_eq!(reply.text.len(), usual.text.len() + bytes);
        assert_eq!(reply.body, usual.body);
    }
}

#[tokio::test]
async fn gzip_bombs_unpack_to_valid_json() {
    let api = api().await;
    let usual = api.get("101/").await;
    let bomb = FaultKind::AlterResponse(ResponseFault::GzipBomb { mebibytes: 3 });
    api.sandbox.inject(Fault::once("101", bomb));
    let reply = api.get("101/").await;
    assert_eq!(reply.text.len(), usual.text.len() + 3 * 1024 * 1024);
    assert_eq!(reply.body, usual.body);
}

#[tokio::test]
async fn drip_pauses_between_chunks() {
    let api = api().await;
    let every = Duration::from_millis(10);
    let drip = FaultKind::AlterResponse(ResponseFault::Drip { bytes: 100, every });
    api.sandbox.inject(Fault::once("101", drip));
    let usual = api.get("102/").await;
    let before = Instant::now();
    let reply = api.get("101/").await;
    assert_eq!(reply.status, usual.status);
    let pauses = u32::try_from(reply.text.len() / 100).unwrap();
    assert!(pauses > 2 && before.elapsed() >= every * pauses);
}
