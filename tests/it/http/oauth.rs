//! OAuth access tokens: PostHog's own, for this server, and only while PostHog reports them as active.

use posthog_sandbox::{Fault, FaultKind, Key};
use serde_json::{Value, json};

use super::{McpClient, Setup, Team, assert_rejected, result_text, team_with};
use crate::ADA;
use crate::wire::WITH_HANDSHAKE;

const TOKEN: &str = "pha_mary_3d1f7c0a95e2b846";
const RESOURCE: &str = "https://mcp.example.com/mcp";
const INTROSPECT: &str = "/oauth/introspect";

/// A server at [`RESOURCE`], and a token with these fields in its introspection.
async fn team_with_token(introspection: Value, resource: Option<&'static str>) -> Team {
    let mut setup = Setup {
        resource,
        ..Setup::default()
    };
    let fields = introspection.as_object().unwrap().clone();
    setup.sandbox.keys.push(Key {
        introspection: fields,
        ..Key::scoped(TOKEN, &["*"])
    });
    team_with(setup).await
}

fn paths(team: &Team) -> Vec<String> {
    let requests = team.sandbox.requests();
    requests.into_iter().map(|request| request.path).collect()
}

#[tokio::test]
async fn active_token_is_introspected_once_and_used() {
    let far = 4_000_000_000_u64;
    for (introspection, resource) in [
        (json!({}), Some(RESOURCE)),
        (json!({"aud": RESOURCE, "exp": far}), Some(RESOURCE)),
        (
            json!({"aud": ["https://other.example", RESOURCE]}),
            Some(RESOURCE),
        ),
        // Without a public URL the server does not know its name.
        (json!({"aud": "https://other.example/mcp"}), None),
    ] {
        let team = team_with_token(introspection, resource).await;
        let mary = team.caller(TOKEN);
        for _ in 0..2 {
            let result = mary.call("persons-retrieve", &json!({"id": ADA})).await;
            assert_eq!(result["isError"], false, "{result}");
        }
        McpClient::begin(&mary, WITH_HANDSHAKE[3]).await;
        let person = format!("/api/projects/1/persons/{ADA}/");
        assert_eq!(paths(&team), [INTROSPECT, &person, &person]);
    }
}

#[tokio::test]
async fn token_that_is_not_active_or_for_another_resource_is_rejected() {
    let other = "this OAuth token was issued for another resource";
    for (introspection, why) in [
        (
            json!({"active": false}),
            "PostHog reports that this OAuth token is not active",
        ),
        (
            json!({"exp": 1}),
            "PostHog reports that this OAuth token is not active",
        ),
        (json!({"aud": "https://other.example/mcp"}), other),
        (
            json!({"aud": ["https://other.example", "https://mcp.example.com.evil/mcp"]}),
            other,
        ),
    ] {
        let team = team_with_token(introspection, Some(RESOURCE)).await;
        let mary = team.caller(TOKEN);
        for request in [
            mary.calling("persons-retrieve", &json!({"id": ADA})),
            mary.stateless("tools/list", json!({})),
            mary.calling("persons-bulk-delete", &json!({"ids": [ADA]})),
        ] {
            let reply = mary.read(request).await;
            let challenge = reply.challenge();
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
            assert!(challenge.contains("resource_metadata="), "{challenge}");
            assert_eq!(reply.text.trim_end(), why);
        }
        // The token was shown to nothing but the introspection.
        assert_eq!(paths(&team), [INTROSPECT]);
    }
}

#[tokio::test]
async fn token_that_posthog_does_not_know_is_rejected() {
    let team = team_with_token(json!({}), Some(RESOURCE)).await;
    let stranger = team.caller("pha_of_another_application");
    let call = stranger.calling("persons-retrieve", &json!({"id": ADA}));
    assert!(
        stranger
            .read(call)
            .await
            .challenge()
            .contains("invalid_token")
    );
    assert_eq!(paths(&team), [INTROSPECT]);
}

#[tokio::test]
async fn posthog_without_introspection_accepts_no_token() {
    let team = team_with_token(json!({}), Some(RESOURCE)).await;
    let missing = json!({"type": "invalid_request", "code": "not_found", "detail": "Endpoint not found.", "attr": null});
    team.sandbox
        .inject(Fault::always(INTROSPECT, FaultKind::json(404, &missing)));
    let mary = team.caller(TOKEN);
    let call = mary.calling("persons-retrieve", &json!({"id": ADA}));
    let reply = mary.read(call).await;
    assert!(reply.challenge().contains("invalid_token"));
    assert!(reply.text.contains("does not report"), "{}", reply.text);
    assert_eq!(paths(&team), [INTROSPECT]);
}

#[tokio::test]
async fn token_is_not_used_while_it_cannot_be_checked() {
    let team = team_with_token(json!({}), Some(RESOURCE)).await;
    let failing = FaultKind::ServerError { status: 503 };
    team.sandbox.inject(Fault::always(INTROSPECT, failing));
    let mary = team.caller(TOKEN);
    let result = mary.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_rejected(&result, "PostHog failed (status 503)");
    assert!(!result_text(&result).contains(TOKEN));
    assert!(paths(&team).iter().all(|path| path == INTROSPECT));
    team.sandbox.clear_faults();
    let result = mary.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(result["isError"], false, "{result}");
}
