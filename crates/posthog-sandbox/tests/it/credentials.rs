//! API keys, scopes, discovery and projects.

use posthog_sandbox::{Behaviors, Key, Sandbox, SandboxOptions};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    api, assert_error, assert_forbidden, assert_not_found, assert_unauthenticated, read, start,
};
use crate::ADA;

#[tokio::test]
async fn credentials_are_checked_before_arguments() {
    let api = api().await;
    let url = format!(
        "{}/api/projects/1/persons/?limit=nonsense",
        api.sandbox.url()
    );
    let none = read(api.client.get(&url).send().await.unwrap()).await;
    assert_error(
        &none,
        401,
        "authentication_error",
        "not_authenticated",
        Value::Null,
    );
    assert!(!none.headers.contains_key("www-authenticate"));
    for key in ["phx_wrong", Sandbox::PROJECT_TOKEN] {
        let wrong = read(api.client.get(&url).bearer_auth(key).send().await.unwrap()).await;
        assert_unauthenticated(&wrong);
    }
    // Scopes too are checked before arguments.
    let read_only = api.with(Sandbox::READ_KEY);
    let write = read_only.patch("nonsense/", json!({})).await;
    assert_forbidden(&write);
    assert_eq!(
        write.body["detail"],
        "API key missing required scope 'person:write'"
    );
    api.assert_no_violations();
}

#[tokio::test]
async fn endpoints_require_their_scopes_and_some_reject_scoped_keys() {
    let api = api().await;
    let missing = async |key: &'static str, path: &str| {
        let reply = api.with(key).get(path).await;
        assert_forbidden(&reply);
        reply.body["detail"].as_str().unwrap().to_owned()
    };
    let scope = |name: &str| format!("API key missing required scope '{name}'");
    assert_eq!(
        missing(Sandbox::READ_KEY, "cohorts/").await,
        scope("cohort:read")
    );
    assert_eq!(
        missing(Sandbox::READ_KEY, "activity/").await,
        scope("activity_log:read")
    );
    for closed in [
        "funnel/",
        "trends/",
        "lifecycle/",
        "101/properties_timeline/",
    ] {
        let detail = missing(Sandbox::KEY, closed).await;
        assert!(
            detail.contains("does not support Personal API Key access"),
            "{detail}"
        );
    }
    let closed = start(SandboxOptions {
        batch_closed_to_keys: true,
        ..SandboxOptions::default()
    })
    .await;
    let body = json!({"uuids": [ADA]});
    assert_eq!(
        closed.post("batch_by_uuids/", body.clone()).await.status,
        403
    );
    let legacy = closed.with(Sandbox::LEGACY_KEY);
    assert_eq!(legacy.post("batch_by_uuids/", body).await.status, 200);
    api.assert_no_violations();
}

#[tokio::test]
async fn added_keys_can_be_limited_to_projects() {
    let keys = vec![
        Key::scoped("phx_writer", &["person:write"]),
        Key {
            scoped_teams: Some(vec![7]),
            ..Key::scoped("phx_elsewhere", &["*"])
        },
    ];
    let api = start(SandboxOptions {
        keys,
        ..SandboxOptions::default()
    })
    .await;
    assert_eq!(api.with("phx_writer").get("101/").await.status, 200);
    let elsewhere = api.with("phx_elsewhere").get("101/").await;
    assert_forbidden(&elsewhere);
}

#[tokio::test]
async fn discovery_finds_the_project_of_a_key() {
    let api = api().await;
    let get = async |key: &'static str, path: &str| {
        let request = api.with(key).request(Method::GET, path);
        read(request.send().await.unwrap()).await
    };
    let user = get(Sandbox::KEY, "/api/users/@me/").await;
    assert_eq!(user.body["team"]["id"], Sandbox::PROJECT);
    let organization = user.body["organization"]["id"].as_str().unwrap();
    assert_eq!(user.body["organizations"][0]["id"], organization);
    let key = get(Sandbox::READ_KEY, "/api/personal_api_keys/@current").await;
    assert_eq!(key.body["scopes"], json!(["person:read"]));
    assert_eq!(key.body["scoped_teams"], Value::Null);
    let projects = get(
        Sandbox::KEY,
        &format!("/api/organizations/{organization}/projects/"),
    )
    .await;
    assert_eq!(projects.body["results"][0]["id"], 1);
    for project in ["1", "@current"] {
        let project = get(Sandbox::KEY, &format!("/api/projects/{project}/")).await;
        assert_eq!(project.body["id"], 1);
        assert_eq!(project.body["timezone"], "UTC");
    }
    let no_scope = get(Sandbox::READ_KEY, "/api/users/@me").await;
    assert_eq!(
        no_scope.body["detail"],
        "API key missing required scope 'user:read'"
    );
    api.sandbox.update_behaviors(|behaviors| {
        *behaviors = Behaviors {
            foreign_current_project: true,
            ..Behaviors::default()
        }
    });
    assert_eq!(
        get(Sandbox::KEY, "/api/projects/@current/").await.body["id"],
        2
    );
    assert_eq!(
        get(Sandbox::KEY, "/api/users/@me/").await.body["team"]["id"],
        2
    );
    api.assert_no_violations();
}

#[tokio::test]
async fn unknown_projects_are_forbidden_or_not_found() {
    let api = api().await;
    let at = async |project: &str| {
        let path = format!("/api/projects/{project}/persons/101/");
        api.get_path(&path).await
    };
    assert_eq!(at("@current").await.status, 200);
    let other = at("2").await;
    assert_forbidden(&other);
    let no_number = at("one").await;
    assert_not_found(&no_number);
    assert_eq!(no_number.body["detail"], "Project not found.");
    api.assert_no_violations();
}
