//! Faults in place of a response, and faults of the connection.

use std::time::Duration;

use posthog_sandbox::{Fault, FaultKind};
use reqwest::Method;
use serde_json::{Value, json};

use super::{api, assert_error};

#[tokio::test]
async fn faults_apply_to_matching_requests_only() {
    let api = api().await;
    api.sandbox.inject(Fault {
        path_contains: "/persons/".to_owned(),
        times: 2,
        kind: FaultKind::Throttle { retry_after: 7 },
    });
    for _ in 0..2 {
        let throttled = api.get("101/").await;
        assert_error(&throttled, 429, "throttled_error", "throttled", Value::Null);
        assert_eq!(throttled.headers["retry-after"], "7");
    }
    assert_eq!(api.get("101/").await.status, 200);

    api.sandbox
        .inject(Fault::once("102", FaultKind::ServerError { status: 503 }));
    assert_eq!(api.get("101/").await.status, 200);
    assert_error(
        &api.get("102/").await,
        503,
        "server_error",
        "error",
        Value::Null,
    );
    let page = FaultKind::Response {
        status: 502,
        content_type: "text/html".to_owned(),
        body: "<h1>Bad gateway</h1>".to_owned(),
        headers: vec![("x-served-by".to_owned(), "balancer".to_owned())],
    };
    api.sandbox.inject(Fault::once("", page));
    let page = api.get("101/").await;
    assert_eq!(
        (page.status, page.text.as_str()),
        (502, "<h1>Bad gateway</h1>")
    );
    assert_eq!(page.headers["content-type"], "text/html");
    assert_eq!(page.headers["x-served-by"], "balancer");
    api.sandbox
        .inject(Fault::once("", FaultKind::json(200, &json!({"odd": true}))));
    assert_eq!(api.get("101/").await.body, json!({"odd": true}));
    api.assert_no_violations();
}

#[tokio::test]
async fn faults_can_match_the_method() {
    let api = api().await;
    let kind = FaultKind::ServerError { status: 504 };
    api.sandbox
        .inject(Fault::once("PATCH /api/projects/1/persons/101/", kind));
    assert_eq!(api.get("101/").await.status, 200);
    let patch = async || api.patch("101/", json!({"properties": {}})).await;
    assert_eq!(patch().await.status, 504);
    assert_eq!(patch().await.status, 202);
    api.sandbox.inject(Fault {
        path_contains: String::new(),
        times: usize::MAX,
        kind: FaultKind::Throttle { retry_after: 1 },
    });
    for _ in 0..3 {
        assert_eq!(api.get("101/").await.status, 429);
    }
    api.sandbox.clear_faults();
    assert_eq!(api.get("101/").await.status, 200);
}

#[tokio::test]
async fn dropped_writes_take_effect_or_not() {
    let api = api().await;
    let write = async |seats: u64, kind: FaultKind| {
        api.sandbox.inject(Fault::once("update_property", kind));
        let path = "/api/projects/1/persons/101/update_property/";
        let body = json!({"key": "seats", "value": seats});
        let sent = api.request(Method::POST, path).json(&body).send().await;
        let failed = match sent {
            Ok(response) => response.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(failed);
        api.advance(10);
        api.get("101/").await.body["properties"]["seats"].clone()
    };
    assert_eq!(write(13, FaultKind::DropBeforeEffect).await, 12);
    assert_eq!(write(14, FaultKind::DropAfterEffect).await, 14);
    assert_eq!(
        write(15, FaultKind::CutResponse { after_bytes: 20 }).await,
        15
    );
    assert_eq!(api.sandbox.requests().len(), 6);
}

#[tokio::test]
async fn responses_can_be_cut_stalled_or_delayed() {
    let api = api().await;
    api.sandbox.inject(Fault::once(
        "103",
        FaultKind::CutResponse { after_bytes: 4000 },
    ));
    let path = "/api/projects/1/persons/103/";
    let response = api.request(Method::GET, path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());

    api.sandbox.inject(Fault::once("103", FaultKind::Stall));
    let request = api
        .request(Method::GET, path)
        .timeout(Duration::from_millis(100));
    assert!(request.send().await.unwrap_err().is_timeout());
    api.sandbox.inject(Fault::once(
        "101",
        FaultKind::Delay(Duration::from_millis(50)),
    ));
    let before = std::time::Instant::now();
    assert_eq!(api.get("101/").await.status, 200);
    assert!(before.elapsed() >= Duration::from_millis(50));
}
