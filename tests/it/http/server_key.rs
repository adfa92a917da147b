//! A server with its own API key, and the bearer token that protects it.

use posthog_persons_mcp::tools::offered_by_default;
use posthog_sandbox::Sandbox;
use serde_json::json;

use super::credentials::{AUTH_TOKEN, KEY, STATE_KEY, TOKEN, keys, secret};
use super::{
    JOHN, LegacyClient, MARY, McpClient, Method, PROTECTED_ROUTES, Process, Setup, Team, all_tools,
    binary, binary_at, caller, team_with,
};
use crate::ADA;
use crate::process::run;
use crate::wire::WITH_HANDSHAKE;

async fn server_with_token() -> Team {
    team_with(Setup {
        shared: Some(Some(TOKEN)),
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn token_authenticates_and_is_never_sent_to_posthog() {
    let team = server_with_token().await;
    let member = team.caller(TOKEN);
    assert_eq!(member.tool_names().await, all_tools());
    let result = member.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(result["isError"], false);
    let mut session = McpClient::begin(&member, WITH_HANDSHAKE[1]).await;
    session.call("persons-retrieve", &json!({"id": ADA})).await;
    let mut legacy = LegacyClient::begin(&member).await;
    legacy.call("persons-retrieve", &json!({"id": ADA})).await;
    let requests = team.sandbox.requests();
    assert_eq!(keys(&requests), [Sandbox::KEY; 3]);
    for request in requests {
        let seen = format!("{request:?}");
        assert!(!seen.contains(secret(TOKEN)), "{seen}");
    }
}

#[tokio::test]
async fn requests_without_the_token_are_rejected() {
    let team = server_with_token().await;
    let cut = &TOKEN[..TOKEN.len() - 1];
    let longer = format!("{TOKEN}0");
    let other = TOKEN.replace('4', "5");
    let louder = TOKEN.to_uppercase();
    let wrong = [cut, &longer, &other, &louder, MARY, Sandbox::KEY];
    let bearers = wrong.into_iter().map(Some).chain([None]);
    for bearer in bearers {
        let caller = caller(team.address, bearer);
        for (method, path) in PROTECTED_ROUTES {
            let request = caller.request(method.clone(), path).json(&json!({}));
            let reply = caller.read(request).await;
            assert!(reply.challenge().starts_with("Bearer "), "{method} {path}");
        }
    }
    assert!(team.sandbox.requests().is_empty());
}

/// Its token comes from the operator: no client is sent to PostHog to get one.
#[tokio::test]
async fn challenge_does_not_lead_to_posthog() {
    let team = server_with_token().await;
    let stranger = team.caller(MARY);
    let reply = stranger
        .read(stranger.stateless("tools/list", json!({})))
        .await;
    assert_eq!(reply.challenge(), "Bearer realm=\"posthog-persons-mcp\"");
    let document = stranger.get("/.well-known/oauth-protected-resource").await;
    let document = document.json();
    assert_eq!(document["resource"], format!("http://{}/mcp", team.address));
    assert_eq!(document.get("authorization_servers"), None, "{document}");
    assert_eq!(document.get("scopes_supported"), None, "{document}");
}

#[tokio::test]
async fn loopback_requests_need_no_token_if_none_is_set() {
    let team = team_with(Setup {
        shared: Some(None),
        ..Setup::default()
    })
    .await;
    let anonymous = caller(team.address, None);
    assert_eq!(anonymous.tool_names().await, all_tools());
    anonymous
        .call("persons-retrieve", &json!({"id": ADA}))
        .await;
    // An API key in the request is ignored.
    let mary = team.caller(MARY);
    mary.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(keys(&team.sandbox.requests()), [Sandbox::KEY; 2]);
}

/// The message of a start that must fail; asserts that it contains no secret.
async fn startup_error(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut all = vec!["http"];
    all.extend(arguments);
    let mut command = crate::process::binary(&all);
    command.envs(variables.iter().copied());
    let ended = run(command, "").await;
    let error = ended.startup_error().to_owned();
    for (name, value) in variables {
        let shown = !value.trim().is_empty() && error.contains(value);
        assert!(!shown, "{name}: {error}");
    }
    error
}

#[tokio::test]
async fn server_key_on_a_public_address_requires_a_token() {
    for bind in ["0.0.0.0:0", "[::]:0"] {
        let error = startup_error(&["--bind", bind], &[(KEY, MARY)]).await;
        assert!(
            error.contains(AUTH_TOKEN) && error.contains(bind),
            "{error}"
        );
        let error = startup_error(&["--bind", bind, "--sandbox"], &[]).await;
        assert!(error.contains(AUTH_TOKEN), "{error}");
        let error = startup_error(&["--bind", bind], &[(KEY, MARY), (AUTH_TOKEN, " ")]).await;
        assert!(error.contains(AUTH_TOKEN), "{error}");
    }
    // Starts with a token, or without a server key.
    for (key, token) in [(MARY, TOKEN), ("", "")] {
        let mut command = crate::process::binary(&["http", "--bind", "0.0.0.0:0"]);
        command
            .env(KEY, key)
            .env(AUTH_TOKEN, token)
            .env("POSTHOG_HOST", "http://127.0.0.1:1");
        Process::start(command).await.stop().await;
    }
}

#[tokio::test]
async fn token_without_a_server_key_fails_the_start() {
    let error = startup_error(&["--bind", "127.0.0.1:0"], &[(AUTH_TOKEN, TOKEN)]).await;
    assert!(error.contains(AUTH_TOKEN), "{error}");
}

#[tokio::test]
async fn short_secrets_fail_the_start() {
    let short = &TOKEN[..31];
    for name in [AUTH_TOKEN, STATE_KEY] {
        let error = startup_error(&["--bind", "127.0.0.1:0"], &[(KEY, MARY), (name, short)]).await;
        assert!(error.contains(name) && error.contains("31"), "{error}");
    }
    let mut command = binary(&["--sandbox"]);
    let enough = &TOKEN[..32];
    command.env(AUTH_TOKEN, enough).env(STATE_KEY, enough);
    let process = Process::start(command).await;
    let offered = offered_by_default().into_iter();
    let offered: Vec<&str> = offered.map(|tool| tool.name).collect();
    assert_eq!(process.caller(enough).tool_names().await, offered);
    let log = process.stop().await;
    assert!(!log.contains(enough), "{log}");
}

#[tokio::test]
async fn logs_and_responses_contain_neither_the_server_key_nor_its_token() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let sandbox = Sandbox::start(listener, Setup::default().sandbox)
        .await
        .unwrap();
    let mut command = binary_at(&sandbox.url(), &["--log", "trace"]);
    command
        .env("RUST_LOG", "trace")
        .env(KEY, MARY)
        .env(AUTH_TOKEN, TOKEN);
    let process = Process::start(command).await;
    let mut error = Vec::new();
    for bearer in [TOKEN, MARY, JOHN] {
        let caller = process.caller(bearer);
        for request in [
            caller.calling("persons-retrieve", &json!({"id": ADA})),
            caller.stateless("tools/list", json!({})),
            caller.request(Method::GET, "/metrics"),
            caller.request(Method::GET, "/readyz"),
        ] {
            let reply = caller.read(request).await;
            error.push(format!("{:?} {}", reply.headers, reply.text));
        }
    }
    error.push(process.stop().await);
    for error in error {
        for secret_part in [TOKEN, MARY, JOHN].map(secret) {
            assert!(!error.contains(secret_part), "{error}");
        }
    }
    let mut used = keys(&sandbox.requests());
    // The readiness probe sends no key.
    used.retain(|key| !key.is_empty());
    assert_eq!(used, [MARY]);
}
