//! Per-request API keys: each is used for its own request only.

use std::collections::BTreeMap;

use futures::future::join_all;
use posthog_persons_mcp::policy::Policy;
use posthog_sandbox::{Key, RecordedRequest, Sandbox};
use serde_json::json;

use super::{
    Caller, JOHN, LegacyClient, MARY, McpClient, Method, PROTECTED_ROUTES, PUBLIC_ROUTES, Process,
    SESSION, Setup, binary_at, caller, team, team_with,
};
use crate::wire::WITH_HANDSHAKE;
use crate::{ADA, NOBODY};

pub(super) const TOKEN: &str = "token_4f8b1d6e93a27c05b8e1d46f0a3972c5";
pub(super) const AUTH_TOKEN: &str = "POSTHOG_MCP_AUTH_TOKEN";
pub(super) const STATE_KEY: &str = "POSTHOG_MCP_STATE_KEY";
pub(super) const KEY: &str = "POSTHOG_PERSONAL_API_KEY";

/// The API keys that PostHog received in calls, in the order of the requests.
pub(super) fn keys(requests: &[RecordedRequest]) -> Vec<String> {
    let requests = requests.iter().filter(|request| !is_verification(request));
    let key = |request: &RecordedRequest| {
        let header = request.header("authorization").unwrap_or_default();
        header.trim_start_matches("Bearer ").to_owned()
    };
    requests.map(key).collect()
}

/// Whether a request asks PostHog only whether it accepts the key.
pub(super) fn is_verification(request: &RecordedRequest) -> bool {
    request.path == "/api/personal_api_keys/@current/"
}

// Per-request keys.

#[tokio::test]
async fn each_request_uses_only_its_own_key() {
    let names: Vec<String> = (0..8).map(|number| format!("phx_user_{number}")).collect();
    let mut setup = Setup::default();
    setup
        .sandbox
        .keys
        .extend(names.iter().map(|name| Key::scoped(name, &["*"])));
    let team = team_with(setup).await;
    // All keys share the connections of one client; each request has a distinct limit.
    let shared = caller(team.address, None);
    let calls = (0..64).map(|turn| {
        let key = &names[turn % names.len()];
        let caller = Caller {
            bearer: Some(key.clone()),
            ..shared.clone()
        };
        async move {
            let id = format!("00000000-0000-4000-8000-{turn:012}");
            caller.call("persons-retrieve", &json!({"id": id})).await;
            (format!("/api/projects/1/persons/{id}/"), key.clone())
        }
    });
    let expected: BTreeMap<String, String> = join_all(calls).await.into_iter().collect();
    let requests = team.sandbox.requests();
    let seen: BTreeMap<String, String> = requests
        .iter()
        .map(|request| request.path.clone())
        .zip(keys(&requests))
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(requests.len(), 64);
}

#[tokio::test]
async fn each_request_of_a_session_uses_its_own_key() {
    let team = team().await;
    let mut mary = McpClient::begin(&team.caller(MARY), WITH_HANDSHAKE[2]).await;
    let mut legacy = LegacyClient::begin(&team.caller(JOHN)).await;
    for id in [ADA, NOBODY] {
        mary.call("persons-retrieve", &json!({"id": id})).await;
        legacy.call("persons-retrieve", &json!({"id": id})).await;
    }
    let used = keys(&team.sandbox.requests());
    assert_eq!(used, [MARY, JOHN, MARY, JOHN]);
}

#[tokio::test]
async fn rejected_key_is_reported_and_no_other_key_is_tried() {
    let team = team().await;
    let wrong = team.caller("phx_wrong_key");
    let result = wrong.call("persons-retrieve", &json!({"id": ADA})).await;
    super::assert_rejected(&result, "PostHog at ");
    assert_eq!(keys(&team.sandbox.requests()), ["phx_wrong_key"]);
    let right = team.caller(MARY);
    let result = right.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(result["isError"], false);
}

/// The secret part of each key, no part of which may appear in output.
pub(super) fn secret(key: &str) -> &str {
    key.rsplit('_').next().unwrap()
}

#[tokio::test]
async fn logs_responses_and_metrics_contain_no_key() {
    const WRONG: &str = "phx_wrong_19b3c7d2f05e8a64";
    const PROJECTS: &str = "phc_project_82c5e0f7a94d1b36";
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let sandbox = Sandbox::start(listener, Setup::default().sandbox)
        .await
        .unwrap();
    let mut command = binary_at(&sandbox.url(), &["--log", "trace"]);
    command
        .env("RUST_LOG", "trace")
        .env_remove("POSTHOG_PROJECT_ID");
    let process = Process::start(command).await;
    let mut message = Vec::new();
    for key in [MARY, JOHN, WRONG, PROJECTS] {
        let caller = process.caller(key);
        for request in [
            caller.stateless("tools/list", json!({})),
            caller.calling("persons-retrieve", &json!({"id": ADA})),
            caller.calling("persons-retrieve", &json!({"id": key})),
            caller.calling("persons-bulk-delete", &json!({"ids": [ADA]})),
            caller.calling("persons-unknown", &json!({})),
            caller.stateless("no/method", json!({})),
            caller.request(Method::POST, "/mcp").body("{"),
            caller.request(Method::GET, "/mcp").header(SESSION, NOBODY),
            caller.request(Method::POST, "/messages?sessionId=1"),
            caller.request(Method::GET, "/no/route"),
            caller
                .request(Method::GET, "/healthz")
                .header("host", "evil.example"),
        ] {
            let reply = caller.read(request).await;
            message.push(format!("{:?} {}", reply.headers, reply.text));
        }
    }
    let mary = process.caller(MARY);
    for version in WITH_HANDSHAKE {
        let mut session = McpClient::begin(&mary, version).await;
        let result = session.call("persons-retrieve", &json!({"id": ADA})).await;
        message.push(result.to_string());
    }
    let mut legacy = LegacyClient::begin(&mary).await;
    let result = legacy.call("persons-retrieve", &json!({"id": ADA})).await;
    message.push(result.to_string());
    message.push(mary.get("/metrics").await.text);
    drop(legacy);
    let log = process.stop().await;
    assert!(log.contains("tool call finished"), "{log}");
    for key in [MARY, JOHN, WRONG, PROJECTS] {
        assert!(!log.contains(secret(key)), "{key}: {log}");
        // Error messages quote unknown arguments, which can contain a key.
        let elsewhere = message
            .iter()
            .filter(|message| !message.contains("Invalid argument `id`"));
        for message in elsewhere {
            assert!(!message.contains(secret(key)), "{key}: {message}");
        }
    }
    assert!(keys(&sandbox.requests()).contains(&MARY.to_owned()));
}

#[tokio::test]
async fn request_without_a_usable_key_gets_a_challenge() {
    let team = team().await;
    let long = "x".repeat(2_000);
    for authorization in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer short"),
        Some("Basic bWFyeTpzZWNyZXQ="),
        Some(MARY),
        Some("Bearer phc_sandbox_project_token"),
        Some("Bearer phs_a_flags_secure_key"),
        Some("Bearer phx_mary with a blank"),
        Some(long.as_str()),
    ] {
        let mut anonymous = caller(team.address, None);
        if let Some(authorization) = authorization {
            anonymous = anonymous.with_header("authorization", authorization);
        }
        for (method, path) in PROTECTED_ROUTES {
            let reply = anonymous
                .read(anonymous.request(method.clone(), path).json(&json!({})))
                .await;
            let challenge = reply.challenge();
            let address = format!(
                "Bearer resource_metadata=\"http://{}/.well-known/oauth-protected-resource/mcp\"",
                team.address
            );
            assert!(
                challenge.starts_with(&address),
                "{method} {path} {challenge}"
            );
            assert!(challenge.contains("person:read"), "{challenge}");
        }
    }
    assert!(team.sandbox.requests().is_empty());
}

#[tokio::test]
async fn resource_metadata_names_posthog_and_the_scopes() {
    let team = team().await;
    let anonymous = caller(team.address, None);
    let reply = anonymous
        .read(anonymous.stateless("tools/list", json!({})))
        .await;
    let challenge = reply.challenge().to_owned();
    let address = challenge.split('"').nth(1).unwrap();
    let path = address
        .strip_prefix(&format!("http://{}", team.address))
        .unwrap();
    for path in [path, "/.well-known/oauth-protected-resource"] {
        let reply = anonymous.get(path).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.header("content-type"), "application/json");
        let document = reply.json();
        assert_eq!(document["resource"], format!("http://{}/mcp", team.address));
        assert_eq!(
            document["authorization_servers"],
            json!([team.sandbox.url()])
        );
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
        let scopes = [
            "activity_log:read",
            "cohort:read",
            "person:read",
            "person:write",
            "project:read",
            "property_definition:read",
            "query:read",
            "session_recording:read",
            "user:read",
        ];
        assert_eq!(document["scopes_supported"], json!(scopes));
        let named = format!("scope=\"{}\"", scopes.join(" "));
        assert!(challenge.contains(&named), "{challenge}");
    }
}

#[tokio::test]
async fn resource_metadata_lists_only_scopes_of_offered_tools() {
    let team = team_with(Setup {
        policy: Policy {
            read_only: true,
            ..Policy::default()
        },
        ..Setup::default()
    })
    .await;
    let path = "/.well-known/oauth-protected-resource";
    let document = caller(team.address, None).get(path).await.json();
    let scopes = document["scopes_supported"].as_array().unwrap();
    assert!(!scopes.contains(&json!("person:write")), "{document}");
}

#[tokio::test]
async fn public_routes_need_no_key() {
    let team = team().await;
    let anonymous = caller(team.address, None);
    for path in PUBLIC_ROUTES {
        assert_eq!(anonymous.get(path).await.status, 200, "{path}");
    }
}
