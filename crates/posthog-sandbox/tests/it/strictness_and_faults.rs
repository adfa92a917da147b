//! What is refused, what goes wrong, and what is remembered of it.

use std::time::Duration;

use posthog_sandbox::{Clock, Fault, FaultKind, Sandbox, SandboxOptions};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Api, api, is_crash, is_error, is_method_not_allowed, is_not_found, is_strict,
    is_unauthenticated, read, results, start_in,
};
use crate::ADA;

/// For requests that no proper client can be made to send.
async fn send_raw(api: &Api, request_line: &str) -> String {
    use std::io::{Read, Write};
    let address = api.sandbox.url().replace("http://", "");
    let head = format!(
        "{request_line} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         connection: close\r\n\r\n",
        api.key
    );
    let exchange = move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

#[tokio::test]
async fn in_real_time_writes_arrive_by_themselves() {
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
async fn a_dot_in_the_path_is_a_format_and_a_slash_is_a_page_of_the_load_balancer() {
    let api = api().await;
    let dotted = api.get("ada@example.com/").await;
    is_not_found(&dotted);
    api.was_not_strict();
    let slashed = api.get("evariste%2Fgalois/").await;
    assert_eq!(slashed.status, 404);
    assert!(slashed.text.starts_with("<!doctype html>"));
    assert_eq!(api.sandbox.violations().len(), 1);
    // Routes that were removed fall through to the lookup by id.
    assert_eq!(api.get("stickiness/").await.status, 400);
}

#[tokio::test]
async fn what_no_client_should_send_is_refused_and_remembered() {
    let api = api().await;
    let mut expected = 0;
    let mut complained = |about: &str| {
        expected += 1;
        let violations = api.sandbox.violations();
        assert_eq!(violations.len(), expected, "{violations:?}");
        assert!(violations[expected - 1].contains(about), "{violations:?}");
    };
    let root = "/api/projects/1/persons";

    let reply = api.get("?serch=ada").await;
    is_strict(&reply);
    complained("serch");
    assert_eq!(api.at(root).await.status, 400);
    complained("trailing slash");
    assert_eq!(api.at("/api/persons/").await.status, 404);
    complained("no route");
    assert_eq!(api.at("/api/environments/1/persons/").await.status, 400);
    complained("environments");
    assert!(
        send_raw(&api, "GET /api/projects/1/persons/%2e%2e/")
            .await
            .starts_with("HTTP/1.1 400")
    );
    complained("dot segment");
    assert_eq!(api.get("?limit=1&limit=2").await.status, 400);
    complained("twice");
    is_crash(&api.get("?limit=ten").await);
    complained("limit");
    let token = api.get("?token=phc_x").await;
    is_unauthenticated(&token);
    complained("token");
    assert_eq!(api.get("?personal_api_key=x").await.status, 400);
    complained("Authorization");
    assert_eq!(api.get("101/?format=csv").await.status, 400);
    complained("CSV");
    let html = api
        .request(Method::GET, &format!("{root}/"))
        .header("accept", "text/html");
    let html = read(html.send().await.unwrap()).await;
    is_error(&html, 406, "invalid_request", "not_acceptable", Value::Null);
    complained("Accept");
    let put = api.send(Method::PUT, "", json!({})).await;
    is_method_not_allowed(&put);
    complained("method");

    let field = api
        .post("bulk_delete/", json!({"ids": [ADA], "dry_run": true}))
        .await;
    is_strict(&field);
    complained("dry_run");
    let text = api
        .post(
            "bulk_delete/",
            json!({"ids": [ADA], "delete_events": "false"}),
        )
        .await;
    is_strict(&text);
    complained("delete_events");
    is_crash(&api.post("bulk_delete/", json!([])).await);
    complained("not a JSON object");
    let body = |content_type: &'static str, body: &'static str| {
        let request = api.request(Method::POST, &format!("{root}/bulk_delete/"));
        request.header("content-type", content_type).body(body)
    };
    let form = read(
        body("application/x-www-form-urlencoded", "ids=1")
            .send()
            .await
            .unwrap(),
    )
    .await;
    is_error(
        &form,
        415,
        "invalid_request",
        "unsupported_media_type",
        Value::Null,
    );
    complained("Content-Type");
    let broken = read(body("application/json", "{").send().await.unwrap()).await;
    is_error(&broken, 400, "invalid_request", "parse_error", Value::Null);
    complained("not JSON");
    let agent = api.request(Method::GET, &format!("{root}/101/"));
    let agent = agent.header("user-agent", "posthog/mcp-server 1.0");
    assert_eq!(read(agent.send().await.unwrap()).await.status, 400);
    complained("User-Agent");
    // Nothing of all this has touched Ada.
    assert_eq!(api.get("101/").await.status, 200);
    api.sandbox.clear_violations();
    api.was_not_strict();
}

#[tokio::test]
async fn requests_are_recorded_as_they_were_sent() {
    let api = api().await;
    api.get_with("", &[("distinct_id", "a/b c?d")]).await;
    api.post("101/update_property/", json!({"key": "a", "value": null}))
        .await;
    let requests = api.sandbox.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].method, "GET");
    assert_eq!(requests[0].path, "/api/projects/1/persons/");
    assert_eq!(requests[0].query, "distinct_id=a%2Fb+c%3Fd");
    let bearer = format!("Bearer {}", Sandbox::KEY);
    assert_eq!(requests[0].header("authorization"), Some(bearer.as_str()));
    assert_eq!(requests[0].body, Value::Null);
    assert_eq!(requests[1].body, json!({"key": "a", "value": null}));
    let listed = api.at("/sandbox/requests").await;
    assert_eq!(listed.body["requests"].as_array().unwrap().len(), 2);
    assert_eq!(listed.body["requests"][0]["query"], requests[0].query);
    api.sandbox.clear_requests();
    assert!(api.sandbox.requests().is_empty());
}

#[tokio::test]
async fn faults_strike_as_often_as_asked_and_only_where_asked() {
    let api = api().await;
    api.sandbox.inject(Fault {
        path_contains: "/persons/".to_owned(),
        times: 2,
        what: FaultKind::Throttle { retry_after: 7 },
    });
    for _ in 0..2 {
        let throttled = api.get("101/").await;
        is_error(&throttled, 429, "throttled_error", "throttled", Value::Null);
        assert_eq!(throttled.headers["retry-after"], "7");
    }
    assert_eq!(api.get("101/").await.status, 200);

    api.sandbox
        .inject(Fault::once("102", FaultKind::ServerError { status: 503 }));
    assert_eq!(api.get("101/").await.status, 200);
    is_error(
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
    api.was_not_strict();
}

#[tokio::test]
async fn a_fault_can_choose_the_method() {
    let api = api().await;
    let what = FaultKind::ServerError { status: 504 };
    api.sandbox
        .inject(Fault::once("PATCH /api/projects/1/persons/101/", what));
    assert_eq!(api.get("101/").await.status, 200);
    let patch = async || api.patch("101/", json!({"properties": {}})).await;
    assert_eq!(patch().await.status, 504);
    assert_eq!(patch().await.status, 202);
    api.sandbox.inject(Fault {
        path_contains: String::new(),
        times: usize::MAX,
        what: FaultKind::Throttle { retry_after: 1 },
    });
    for _ in 0..3 {
        assert_eq!(api.get("101/").await.status, 429);
    }
    api.sandbox.clear_faults();
    assert_eq!(api.get("101/").await.status, 200);
}

#[tokio::test]
async fn a_dropped_write_has_happened_or_has_not() {
    let api = api().await;
    let write = async |seats: u64, what: FaultKind| {
        api.sandbox.inject(Fault::once("update_property", what));
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
async fn an_answer_can_end_in_the_middle_or_never_begin() {
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

#[tokio::test]
async fn it_stops_when_told_and_when_the_last_handle_is_dropped() {
    let told = api().await;
    told.sandbox.stop();
    let dropped = api().await;
    let url = dropped.sandbox.url();
    drop(dropped);
    for url in [told.sandbox.url(), url] {
        // Both listeners go away soon, though not at once.
        for attempt in 0.. {
            assert!(attempt < 200, "still listening");
            if told.client.get(&url).send().await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn the_controls_need_no_key() {
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
