//! Controlling a running sandbox: clock, admin endpoints, stop.

use std::time::Duration;

use posthog_sandbox::{Clock, SandboxOptions};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ReferenceClient, Reply, api, assert_rejected_by_sandbox, names, read, results, start_in,
};

#[tokio::test]
async fn the_real_clock_runs_and_can_be_advanced() {
    let api = start_in(SandboxOptions::default(), Clock::Real).await;
    let start = api.sandbox.now();
    assert!(start.starts_with("2026-11-02T09:00:0"), "{start}");
    api.patch("101/", json!({"properties": {"plan": "team"}}))
        .await;
    let plan = async || api.get("101/").await.body["properties"]["plan"].clone();
    assert_eq!(plan().await, "pro");
    api.advance(2);
    assert_eq!(plan().await, "team");
    assert_ne!(api.sandbox.now(), start);
}

#[tokio::test]
async fn it_stops_on_request_and_when_the_last_handle_is_dropped() {
    let stopped = api().await;
    stopped.sandbox.stop();
    let dropped = api().await;
    let url = dropped.sandbox.url();
    drop(dropped);
    for url in [stopped.sandbox.url(), url] {
        // The listeners close asynchronously.
        for attempt in 0.. {
            assert!(attempt < 200, "still listening");
            if stopped.client.get(&url).send().await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn admin_endpoints_need_no_key() {
    let api = api().await;
    api.post(
        "101/update_property/",
        json!({"key": "plan", "value": "team"}),
    )
    .await;
    let url = format!("{}/sandbox/advance", api.sandbox.url());
    let advanced = api.client.post(url).json(&json!({"seconds": 2}));
    let advanced = read(advanced.send().await.unwrap()).await;
    assert_eq!(advanced.body, json!({"now": "2026-11-02T09:00:02Z"}));
    assert_eq!(api.sandbox.now(), "2026-11-02T09:00:02Z");
    assert_eq!(api.get("101/").await.body["properties"]["plan"], "team");
    let url = format!("{}/sandbox/capture", api.sandbox.url());
    let event = json!({"distinct_id": "new", "event": "hello", "properties": {"$set": {"a": 1}}});
    api.client.post(url).json(&event).send().await.unwrap();
    let found = api.get_with("", &[("distinct_id", "new")]).await;
    assert_eq!(results(&found)[0]["properties"], json!({"a": 1}));
    let url = format!("{}/sandbox/violations", api.sandbox.url());
    let violations = read(api.client.get(url).send().await.unwrap()).await;
    assert_eq!(violations.body, json!({"violations": []}));
}

/// Calls an admin endpoint.
async fn call_admin(api: &ReferenceClient, method: Method, endpoint: &str, body: Value) -> Reply {
    let url = format!("{}/sandbox/{endpoint}", api.sandbox.url());
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
async fn admin_endpoints_inject_faults() {
    let api = api().await;
    for kind in [
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
        let reply = call_admin(&api, Method::POST, "faults", json!({"kind": kind})).await;
        assert_eq!(reply.status, 200, "{kind}: {}", reply.text);
        call_admin(&api, Method::DELETE, "faults", Value::Null).await;
    }
    let twice =
        json!({"path_contains": "101", "times": 2, "kind": {"server_error": {"status": 502}}});
    call_admin(&api, Method::POST, "faults", twice).await;
    assert_eq!(api.get("102/").await.status, 200);
    assert_eq!(api.get("101/").await.status, 502);
    assert_eq!(api.get("101/").await.status, 502);
    assert_eq!(api.get("101/").await.status, 200);
    for invalid in [
        json!({}),
        json!({"kind": "unknown_fault"}),
        json!({"kind": {"delay": -1.0}}),
        json!({"kind": "stall", "time": 1}),
    ] {
        assert_rejected_by_sandbox(&call_admin(&api, Method::POST, "faults", invalid).await);
    }
    assert!(!names(&api.get("").await).is_empty());
    call_admin(&api, Method::DELETE, "requests", Value::Null).await;
    assert!(api.sandbox.requests().is_empty());
}
