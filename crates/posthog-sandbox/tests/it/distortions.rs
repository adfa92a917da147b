//! Answers that arrive changed, and faults from another process.

use std::time::{Duration, Instant};

use posthog_sandbox::{Fault, FaultKind, ResponseFault};
use reqwest::Method;
use serde_json::{Value, json};

use super::{api, is_strict, names, read};

#[tokio::test]
async fn a_field_is_replaced_by_any_text_at_any_depth() {
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
async fn a_padded_answer_is_long_and_the_same() {
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
async fn a_bomb_is_valid_where_it_is_unpacked() {
    let api = api().await;
    let usual = api.get("101/").await;
    let bomb = FaultKind::AlterResponse(ResponseFault::GzipBomb { mebibytes: 3 });
    api.sandbox.inject(Fault::once("101", bomb));
    let reply = api.get("101/").await;
    assert_eq!(reply.text.len(), usual.text.len() + 3 * 1024 * 1024);
    assert_eq!(reply.body, usual.body);
}

#[tokio::test]
async fn a_body_can_drip() {
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

/// Pulls a lever of the sandbox.
async fn control(api: &super::Api, method: Method, lever: &str, body: Value) -> super::Reply {
    let url = format!("{}/sandbox/{lever}", api.sandbox.url());
    read(
        api.client
            .request(method, url)
            .json(&body)
            .send()
            .await
            .unwrap(),
    )
    .await
}

#[tokio::test]
async fn faults_can_be_injected_from_another_process() {
    let api = api().await;
    for what in [
        json!({"response": {"status": 200, "content_type": "text/html", "body": "<html>"}}),
        json!({"throttle": {"retry_after": 7}}),
        json!({"server_error": {"status": 502}}),
        json!({"delay": 0.001}),
        json!("stall"),
        json!("drop_before_effect"),
        json!("drop_after_effect"),
        json!({"cut_response": {"after_bytes": 20}}),
        json!({"alter_response": {"replace_field": {"field": "results", "json": "7"}}}),
        json!({"alter_response": {"pad": {"bytes": 10}}}),
        json!({"alter_response": {"gzip_bomb": {"mebibytes": 1}}}),
        json!({"alter_response": {"drip": {"bytes": 1, "every": 0.5}}}),
    ] {
        let reply = control(&api, Method::POST, "faults", json!({"what": what})).await;
        assert_eq!(reply.status, 200, "{what}: {}", reply.text);
        control(&api, Method::DELETE, "faults", Value::Null).await;
    }
    let twice =
        json!({"path_contains": "101", "times": 2, "what": {"server_error": {"status": 502}}});
    control(&api, Method::POST, "faults", twice).await;
    assert_eq!(api.get("102/").await.status, 200);
    assert_eq!(api.get("101/").await.status, 502);
    assert_eq!(api.get("101/").await.status, 502);
    assert_eq!(api.get("101/").await.status, 200);
    for odd in [
        json!({}),
        json!({"what": "nobody_made_this"}),
        json!({"what": {"delay": -1.0}}),
        json!({"what": "stall", "time": 1}),
    ] {
        is_strict(&control(&api, Method::POST, "faults", odd).await);
    }
    assert!(!names(&api.get("").await).is_empty());
    control(&api, Method::DELETE, "requests", Value::Null).await;
    assert!(api.sandbox.requests().is_empty());
}
