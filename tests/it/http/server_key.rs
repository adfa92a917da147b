//! A server with its own API key, and the bearer token that protects it.

use posthog_sandbox::Sandbox;
use serde_json::json;

use super::credentials::{AUTH_TOKEN, KEY, STATE_KEY, TOKEN, keys, secret};
use super::{
    Conversation, JOHN, MARY, Method, Older, PROTECTED, Process, Setup, Team, all_tools, binary,
    binary_at, caller, team_with,
};
use crate::ADA;
use crate::process::run;
use crate::wire::WITH_HANDSHAKE;

async fn guarded() -> Team {
    team_with(Setup {
        shared: Some(Some(TOKEN)),
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn token_authenticates_and_is_never_sent_to_posthog() {
    let team = guarded().await;
    let member = team.caller(TOKEN);
    assert_eq!(member.offered().await, all_tools());
    let result = member.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(result["isError"], false);
    let mut session = Conversation::begin(&member, WITH_HANDSHAKE[1]).await;
    session.call("persons-retrieve", &json!({"id": ADA})).await;
    let mut older = Older::begin(&member).await;
    older.call("persons-retrieve", &json!({"id": ADA})).await;
    let requests = team.sandbox.requests();
    assert_eq!(keys(&requests), [Sandbox::KEY; 3]);
    for request in requests {
        let seen = format!("{request:?}");
        assert!(!seen.contains(secret(TOKEN)), "{seen}");
    }
}

#[tokio::test]
async fn requests_without_the_token_are_rejected() {
    let team = guarded().await;
    let cut = &TOKEN[..TOKEN.len() - 1];
    let longer = format!("{TOKEN}0");
    let other = TOKEN.replace('4', "5");
    let louder = TOKEN.to_uppercase();
    let wrong = [cut, &longer, &other, &louder, MARY, Sandbox::KEY];
    let bearers = wrong.into_iter().map(Some).chain([None]);
    for bearer in bearers {
        let caller = caller(team.address, bearer);
        for (method, path) in PROTECTED {
            let request = caller.request(method.clone(), path).json(&json!({}));
            let reply = caller.read(request).await;
            assert!(reply.challenge().starts_with("Bearer "), "{method} {path}");
        }
    }
    assert!(team.sandbox.requests().is_empty());
}

#[tokio::test]
async fn loopback_requests_need_no_token_if_none_is_set() {
    let team = team_with(Setup {
        shared: Some(None),
        ..Setup::default()
    })
    .await;
    let anonymous = caller(team.address, None);
    assert_eq!(anonymous.offered().await, all_tools());
    anonymous
        .call("persons-retrieve", &json!({"id": ADA}))
        .await;
    // An API key in the request is ignored.
    let mary = team.caller(MARY);
    mary.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(keys(&team.sandbox.requests()), [Sandbox::KEY; 2]);
}

/// The message of a start that must fail; asserts that it contains no secret.
async fn refusal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut all = vec!["http"];
    all.extend(arguments);
    let mut command = crate::process::binary(&all);
    command.envs(variables.iter().copied());
    let ended = run(command, "").await;
    let said = ended.refusal().to_owned();
    for (name, value) in variables {
        let shown = !value.trim().is_empty() && said.contains(value);
        assert!(!shown, "{name}: {said}");
    }
    said
}

#[tokio::test]
async fn server_key_on_a_public_address_requires_a_token() {
    for bind in ["0.0.0.0:0", "[::]:0"] {
        let said = refusal(&["--bind", bind], &[(KEY, MARY)]).await;
        assert!(said.contains(AUTH_TOKEN) && said.contains(bind), "{said}");
        let said = refusal(&["--bind", bind, "--sandbox"], &[]).await;
        assert!(said.contains(AUTH_TOKEN), "{said}");
        let said = refusal(&["--bind", bind], &[(KEY, MARY), (AUTH_TOKEN, " ")]).await;
        assert!(said.contains(AUTH_TOKEN), "{said}");
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
    let said = refusal(&["--bind", "127.0.0.1:0"], &[(AUTH_TOKEN, TOKEN)]).await;
    assert!(said.contains(AUTH_TOKEN), "{said}");
}

#[tokio::test]
async fn short_secrets_fail_the_start() {
    let short = &TOKEN[..31];
    for name in [AUTH_TOKEN, STATE_KEY] {
        let said = refusal(&["--bind", "127.0.0.1:0"], &[(KEY, MARY), (name, short)]).await;
        assert!(said.contains(name) && said.contains("31"), "{said}");
    }
    let mut command = binary(&["--sandbox"]);
    let enough = &TOKEN[..32];
    command.env(AUTH_TOKEN, enough).env(STATE_KEY, enough);
    let process = Process::start(command).await;
    assert_eq!(process.caller(enough).offered().await, all_tools());
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
    let mut said = Vec::new();
    for bearer in [TOKEN, MARY, JOHN] {
        let caller = process.caller(bearer);
        for request in [
            caller.calling("persons-retrieve", &json!({"id": ADA})),
            caller.stateless("tools/list", json!({})),
            caller.request(Method::GET, "/metrics"),
            caller.request(Method::GET, "/readyz"),
        ] {
            let reply = caller.read(request).await;
            said.push(format!("{:?} {}", reply.headers, reply.text));
        }
    }
    said.push(process.stop().await);
    for said in said {
        for secret_part in [TOKEN, MARY, JOHN].map(secret) {
            assert!(!said.contains(secret_part), "{said}");
        }
    }
    let mut used = keys(&sandbox.requests());
    // The readiness probe sends no key.
    used.retain(|key| !key.is_empty());
    assert_eq!(used, [MARY]);
}
