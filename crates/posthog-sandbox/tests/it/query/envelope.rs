//! The request around a query: credentials, the cache, queries in the background, limits.

use posthog_sandbox::{Fault, FaultKind, Key, Sandbox, SandboxOptions};
use reqwest::Method;
use serde_json::{Value, json};

use super::sending::rows;
use crate::{api, assert_error, assert_forbidden, assert_not_found, read, start};

const COUNT: &str = "select count() from persons";

fn count() -> Value {
    json!({"kind": "HogQLQuery", "query": COUNT})
}

#[tokio::test]
async fn query_read_is_the_only_scope() {
    let options = SandboxOptions {
        keys: vec![Key::scoped("phx_query_only", &["query:read"])],
        ..SandboxOptions::default()
    };
    let api = start(options).await;
    assert_eq!(api.with("phx_query_only").query(count()).await.status, 200);
    assert_forbidden(&api.with(Sandbox::READ_KEY).query(count()).await);
    assert_forbidden(&api.get_path("/api/projects/1/query/").await);
    let request = api.request(Method::POST, "/api/projects/@current/query");
    let reply = read(
        request
            .json(&json!({"query": count()}))
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[tokio::test]
async fn results_are_reused_for_five_minutes() {
    let api = api().await;
    let body = json!({"query": count()});
    let first = api.post_query(body.clone()).await;
    assert_eq!(first.body["is_cached"], false);
    api.capture("newcomer", "sign up", json!({}));
    api.advance(60);
    let again = api.post_query(body.clone()).await;
    assert_eq!(
        (&again.body["is_cached"], rows(&again)),
        (&json!(true), rows(&first))
    );
    assert_eq!(again.body["last_refresh"], first.body["last_refresh"]);
    let tagged = json!({"query": {"kind": "HogQLQuery", "query": COUNT, "tags": {"scene": "x"}}});
    assert_eq!(api.post_query(tagged).await.body["is_cached"], true);
    let forced = api.query(count()).await;
    assert_eq!(forced.body["is_cached"], false);
    assert_ne!(rows(&forced), rows(&first));
    api.advance(301);
    assert_eq!(api.post_query(body).await.body["is_cached"], false);
}

#[tokio::test]
async fn queries_in_the_background_are_asked_for() {
    let api = api().await;
    let body = json!({"query": count(), "refresh": "force_async", "client_query_id": "one"});
    let started = api.post_query(body).await;
    assert_eq!(started.status, 202);
    assert_eq!(started.body["query_status"]["complete"], false);
    let done = api
        .get_path("/api/projects/1/query/one/?show_progress=true")
        .await;
    assert_eq!(done.status, 200, "{}", done.text);
    let status = &done.body["query_status"];
    assert_eq!(
        (&status["complete"], &status["error"]),
        (&json!(true), &json!(false))
    );
    assert!(status["results"]["results"][0][0].is_number());
    let wrong = json!({"kind": "HogQLQuery", "query": "selec"});
    let body = json!({"query": wrong, "refresh": "async", "client_query_id": "two"});
    assert_eq!(api.post_query(body).await.status, 202);
    let failed = api.get_path("/api/projects/1/query/two/").await;
    assert_eq!(failed.status, 400);
    assert_eq!(failed.body["query_status"]["error"], true);
    assert!(failed.body["query_status"]["error_message"].is_string());
    assert_not_found(&api.get_path("/api/projects/1/query/three/").await);
    api.advance(20 * 60);
    assert_not_found(&api.get_path("/api/projects/1/query/one/").await);
    let request = api.request(Method::DELETE, "/api/projects/1/query/one/");
    let cancelled = read(request.send().await.unwrap()).await;
    assert!(cancelled.body["message"].is_string());
}

#[tokio::test]
async fn hogql_alone_has_the_old_limit() {
    let api = api().await;
    api.sandbox
        .update_behaviors(|behaviors| behaviors.hogql_throttled = true);
    let reply = api.query(count()).await;
    assert_error(&reply, 429, "throttled_error", "throttled", Value::Null);
    assert_eq!(reply.headers["retry-after"], "3594");
    assert_eq!(api.actors(json!({"select": ["count()"]})).await.status, 200);
}

#[tokio::test]
async fn a_concurrency_limit_does_not_say_how_long() {
    let api = api().await;
    api.sandbox
        .inject(Fault::once("/query/", FaultKind::ConcurrencyLimit));
    let reply = api.query(count()).await;
    assert_error(&reply, 429, "throttled_error", "throttled", Value::Null);
    assert!(!reply.headers.contains_key("retry-after"));
    api.sandbox.inject(Fault::once(
        "/query/",
        FaultKind::ServerError { status: 504 },
    ));
    assert_eq!(api.query(count()).await.status, 504);
    assert_eq!(api.query(count()).await.status, 200);
}

#[tokio::test]
async fn invalid_requests_are_parse_errors() {
    let api = api().await;
    let wrong = [
        json!({}),
        json!({"query": null}),
        json!({"query": "select 1"}),
        json!({"query": {"query": "select 1"}}),
        json!({"query": {"kind": "NopeQuery"}}),
        json!({"query": {"kind": "FunnelsActorsQuery"}}),
        json!({"query": count(), "foo": 1}),
        json!({"query": count(), "refresh": true}),
        json!({"query": {"kind": "HogQLQuery"}}),
        json!({"query": {"kind": "HogQLQuery", "query": COUNT, "limit": 1}}),
    ];
    for body in wrong {
        let reply = api.post_query(body).await;
        assert_error(&reply, 400, "invalid_request", "parse_error", Value::Null);
    }
    assert_eq!(api.post_query(json!([])).await.status, 500);
}
