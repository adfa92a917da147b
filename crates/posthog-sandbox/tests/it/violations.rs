//! Violations, and the record of requests.

use posthog_sandbox::Sandbox;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ADA, ReferenceClient, api, assert_error, assert_forbidden, assert_method_not_allowed,
    assert_not_found, assert_rejected_by_sandbox, assert_server_error, assert_unauthenticated,
    read,
};

/// For requests that reqwest does not send.
async fn send_raw(api: &ReferenceClient, request_line: &str) -> String {
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
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

#[tokio::test]
async fn dots_and_slashes_in_person_ids_are_not_found() {
    let api = api().await;
    let dotted = api.get("ada@example.com/").await;
    assert_not_found(&dotted);
    api.assert_no_violations();
    let slashed = api.get("evariste%2Fgalois/").await;
    assert_not_found(&slashed);
    assert_eq!(slashed.body["detail"], "Endpoint not found.");
    assert_eq!(api.sandbox.violations().len(), 1);
    // Removed endpoints are read as a person id.
    assert_eq!(api.get("stickiness/").await.status, 400);
}

#[tokio::test]
async fn violations_are_rejected_and_recorded() {
    let api = api().await;
    let mut expected = 0;
    let mut expect_violation = |about: &str| {
        expected += 1;
        let violations = api.sandbox.violations();
        assert_eq!(violations.len(), expected, "{violations:?}");
        assert!(violations[expected - 1].contains(about), "{violations:?}");
    };
    let root = "/api/projects/1/persons";

    let reply = api.get("?serch=ada").await;
    assert_rejected_by_sandbox(&reply);
    expect_violation("serch");
    assert_eq!(api.get_path(root).await.status, 400);
    expect_violation("trailing slash");
    assert_eq!(api.get_path("/api/persons/").await.status, 404);
    expect_violation("no route");
    assert_eq!(
        api.get_path("/api/environments/1/persons/").await.status,
        400
    );
    expect_violation("environments");
    assert!(
        send_raw(&api, "GET /api/projects/1/persons/%2e%2e/")
            .await
            .starts_with("HTTP/1.1 400")
    );
    expect_violation("dot segment");
    assert_eq!(api.get("?limit=1&limit=2").await.status, 400);
    expect_violation("twice");
    assert_server_error(&api.get("?limit=ten").await);
    expect_violation("limit");
    let token = api.get("?token=phc_x").await;
    assert_unauthenticated(&token);
    expect_violation("token");
    assert_eq!(api.get("?personal_api_key=x").await.status, 400);
    expect_violation("Authorization");
    assert_eq!(api.get("101/?format=csv").await.status, 400);
    expect_violation("CSV");
    let html = api
        .request(Method::GET, &format!("{root}/"))
        .header("accept", "text/html");
    let html = read(html.send().await.unwrap()).await;
    assert_error(&html, 406, "invalid_request", "not_acceptable", Value::Null);
    expect_violation("Accept");
    let put = api.send(Method::PUT, "", json!({})).await;
    assert_forbidden(&put);
    expect_violation("method");
    let unscoped = api.with(Sandbox::LEGACY_KEY);
    assert_method_not_allowed(&unscoped.send(Method::PUT, "", json!({})).await);
    expect_violation("method");

    let field = api
        .post("bulk_delete/", json!({"ids": [ADA], "dry_run": true}))
        .await;
    assert_rejected_by_sandbox(&field);
    expect_violation("dry_run");
    let text = api
        .post(
            "bulk_delete/",
            json!({"ids": [ADA], "delete_events": "false"}),
        )
        .await;
    assert_rejected_by_sandbox(&text);
    expect_violation("delete_events");
    assert_server_error(&api.post("bulk_delete/", json!([])).await);
    expect_violation("not a JSON object");
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
    assert_error(
        &form,
        415,
        "invalid_request",
        "unsupported_media_type",
        Value::Null,
    );
    expect_violation("Content-Type");
    let broken = read(body("application/json", "{").send().await.unwrap()).await;
    assert_error(&broken, 400, "invalid_request", "parse_error", Value::Null);
    expect_violation("not JSON");
    let agent = api.request(Method::GET, &format!("{root}/101/"));
    let agent = agent.header("user-agent", "posthog/mcp-server 1.0");
    assert_eq!(read(agent.send().await.unwrap()).await.status, 200);
    // None of the requests had an effect.
    assert_eq!(api.get("101/").await.status, 200);
    api.sandbox.clear_violations();
    api.assert_no_violations();
}

#[tokio::test]
async fn requests_are_recorded_as_sent() {
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
    let listed = api.get_path("/sandbox/requests").await;
    assert_eq!(listed.body["requests"].as_array().unwrap().len(), 2);
    assert_eq!(listed.body["requests"][0]["query"], requests[0].query);
    api.sandbox.clear_requests();
    assert!(api.sandbox.requests().is_empty());
}
