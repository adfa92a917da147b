//! API keys that PostHog has not accepted: nothing outlives their requests, and they disturb nobody.

use futures::future::join_all;
use posthog_client::Project;
use posthog_persons_mcp::http::HttpLimits;
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::limits::{team_limited_to, wait_until};
use super::{
    Caller, EventStream, JOHN, LegacyClient, MARY, McpClient, Method, Setup, Team, result_text,
    team, team_with,
};
use crate::ADA;
use crate::wire::{TIMEOUT, WITH_HANDSHAKE, opening_messages, request};

/// The request that asks PostHog about a key.
const ASKS: &str = "/api/personal_api_keys/@current/";

fn made_up(number: usize) -> String {
    format!("phx_made_up_{number:08}")
}

fn handshake(caller: &Caller) -> reqwest::RequestBuilder {
    let hello = opening_messages(WITH_HANDSHAKE[2]).remove(0);
    caller.request(Method::POST, "/mcp").json(&hello)
}

/// How often PostHog was asked about a key.
fn asked(team: &Team) -> usize {
    let requests = team.sandbox.requests();
    requests
        .iter()
        .filter(|request| request.path == ASKS)
        .count()
}

async fn person(caller: &Caller) -> Value {
    caller.call("persons-retrieve", &json!({"id": ADA})).await
}

#[tokio::test]
async fn made_up_keys_open_no_session_and_no_stream() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 4,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let mut session = McpClient::begin(&mary, WITH_HANDSHAKE[2]).await;
    let mut stream = LegacyClient::begin(&mary).await;
    team.sandbox.clear_requests();
    for number in 0..30 {
        let caller = team.caller(&made_up(number));
        for request in [
            handshake(&caller),
            caller.request(Method::GET, "/sse"),
            caller.request(Method::GET, "/mcp"),
            session.used_by(&caller).request(Method::GET),
            session
                .used_by(&caller)
                .request(Method::POST)
                .json(&json!({})),
        ] {
            let reply = caller.read(request).await;
            let challenge = reply.challenge();
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
            assert!(reply.text.contains("PostHog rejected"), "{}", reply.text);
        }
    }
    // PostHog was asked once about each: a rejection is remembered.
    assert_eq!(asked(&team), 30);
    let arguments = json!({"id": ADA});
    let result = session.call("persons-retrieve", &arguments).await;
    assert_eq!(result["isError"], false, "{result}");
    let result = stream.call("persons-retrieve", &arguments).await;
    assert_eq!(result["isError"], false, "{result}");
}

#[tokio::test]
async fn any_response_but_a_rejection_accepts_a_key() {
    // Neither may read anything that these calls read.
    let mut setup = Setup::default();
    let keys = ["phx_without_scopes_1", "phx_without_scopes_2"];
    let without = keys.map(|key| posthog_sandbox::Key::scoped(key, &["annotation:read"]));
    setup.sandbox.keys.extend(without);
    let team = team_with(setup).await;
    let one = team.caller(keys[0]);
    McpClient::begin(&one, WITH_HANDSHAKE[2]).await;
    assert_eq!(asked(&team), 1);
    // Its own call has shown that already.
    let other = team.caller(keys[1]);
    let result = person(&other).await;
    assert!(result_text(&result).contains("person:read"), "{result}");
    McpClient::begin(&other, WITH_HANDSHAKE[2]).await;
    LegacyClient::begin(&other).await;
    assert_eq!(asked(&team), 1);
}

#[tokio::test]
async fn unreachable_posthog_rejects_no_key() {
    let team = team_with(Setup {
        upstream: Some("http://127.0.0.1:1".to_owned()),
        ..Setup::default()
    })
    .await;
    let mary = team.caller(MARY);
    for _ in 0..2 {
        for request in [handshake(&mary), mary.request(Method::GET, "/sse")] {
            let reply = mary.read(request).await;
            assert_eq!(reply.status, 503, "{}", reply.text);
            assert_eq!(reply.header("retry-after"), "5");
        }
        // What ends with its response is served.
        assert!(!mary.tool_names().await.is_empty());
        let result = person(&mary).await;
        let text = result_text(&result);
        assert!(text.starts_with("Could not connect to "), "{text}");
    }
}

#[tokio::test]
async fn failing_posthog_accepts_no_key() {
    let team = team().await;
    for fault in [
        FaultKind::ServerError { status: 502 },
        FaultKind::page(200),
        FaultKind::page(404),
        FaultKind::json(403, &json!({"message": "Forbidden"})),
        FaultKind::json(404, &json!({"detail": "Not found."})),
        FaultKind::redirect(302, "https://login.example/"),
        FaultKind::DropBeforeEffect,
    ] {
        team.sandbox.inject(Fault::always("", fault));
        let caller = team.caller("phx_made_up_in_an_outage");
        assert_eq!(caller.read(handshake(&caller)).await.status, 503);
        person(&caller).await;
        assert_eq!(caller.read(handshake(&caller)).await.status, 503);
        team.sandbox.clear_faults();
    }
    let mary = team.caller(MARY);
    McpClient::begin(&mary, WITH_HANDSHAKE[2]).await;
}

/// Ingestion, not PostHog's API, may have rejected this.
#[tokio::test]
async fn rejection_of_a_property_deletion_says_nothing_about_the_key() {
    let team = team().await;
    let mary = team.caller(MARY);
    let rejected = json!({"type": "authentication_error", "code": "authentication_failed", "detail": "No.", "attr": null});
    team.sandbox.inject(Fault::once(
        "/delete_property/",
        FaultKind::json(401, &rejected),
    ));
    let arguments = json!({"id": ADA, "unset": "plan"});
    mary.call("persons-property-delete", &arguments).await;
    assert_eq!(person(&mary).await["isError"], false);
}

#[tokio::test]
async fn revoked_key_is_rejected_and_asked_about_again() {
    let team = team().await;
    let mary = team.caller(MARY);
    let mut session = McpClient::begin(&mary, WITH_HANDSHAKE[2]).await;
    let legacy = LegacyClient::begin(&mary).await;
    let revoked = json!({"type": "authentication_error", "code": "authentication_failed", "detail": "No.", "attr": null});
    team.sandbox
        .inject(Fault::once("/persons/", FaultKind::json(403, &revoked)));
    let result = session.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(result["isError"], true, "{result}");
    let list = request(session.version, 7, "tools/list", json!({}));
    assert_eq!(session.post(&list).await.status(), 401);
    assert_eq!(mary.read(handshake(&mary)).await.status, 401);
    // What the key opened before has ended.
    legacy.events.end().await;
    // Others are not affected.
    assert_eq!(person(&team.caller(JOHN)).await["isError"], false);
}

/// An idle stream sends no request that could be turned away.
#[tokio::test]
async fn what_a_key_opened_ends_once_posthog_rejects_it() {
    let team = team_limited_to(HttpLimits::default()).await;
    let (mary, john) = (team.caller(MARY), team.caller(JOHN));
    let mut session = McpClient::begin(&mary, WITH_HANDSHAKE[2]).await;
    let idle = mary.send(session.request(Method::GET)).await;
    let mut legacy = LegacyClient::begin(&mary).await;
    // A call of the session that PostHog has not answered ends with the session.
    let stalled = json!({"name": "persons-retrieve", "arguments": {"id": 9_999}});
    let (_, stalled) = session.open("tools/call", stalled).await;
    let mut others = (
        McpClient::begin(&john, WITH_HANDSHAKE[2]).await,
        LegacyClient::begin(&john).await,
    );
    let rejected = json!({"type": "authentication_error", "code": "authentication_failed", "detail": "No.", "attr": null});
    let request = format!("/persons/{ADA}/");
    team.sandbox
        .inject(Fault::once(&request, FaultKind::json(403, &rejected)));
    // The stream still has the result that says why it ends.
    let arguments = json!({"id": ADA});
    let result = legacy.call("persons-retrieve", &arguments).await;
    assert!(result_text(&result).contains("API key"), "{result}");
    for (what, stream) in [
        ("legacy stream", legacy.events),
        ("stream of the session", EventStream::of(idle)),
        ("call of the session", stalled),
    ] {
        let end = timeout(TIMEOUT, stream.end()).await;
        assert!(end.is_ok(), "the {what} stays open");
    }
    for result in [
        others.0.call("persons-retrieve", &arguments).await,
        others.1.call("persons-retrieve", &arguments).await,
    ] {
        assert_eq!(result["isError"], false, "{result}");
    }
}

#[tokio::test]
async fn unverified_keys_share_few_places_and_others_are_not_affected() {
    let team = team_limited_to(HttpLimits {
        max_unverified: 2,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    assert_eq!(person(&mary).await["isError"], false);
    team.sandbox.clear_requests();
    let stalled: Vec<_> = (0..40)
        .map(|number| {
            let caller = team.caller(&made_up(number));
            let call = caller
                .calling("persons-retrieve", &json!({"id": 9_999}))
                .send();
            tokio::spawn(async move { call.await.unwrap().status().as_u16() })
        })
        .collect();
    let at_posthog = || team.sandbox.requests().len();
    wait_until("the places are taken", async || at_posthog() == 2).await;
    for _ in 0..3 {
        assert_eq!(person(&mary).await["isError"], false);
        McpClient::begin(&mary, WITH_HANDSHAKE[2]).await;
        LegacyClient::begin(&mary).await;
        assert_eq!(mary.get("/healthz").await.status, 200);
    }
    // The others wait, and those beyond the queue were turned away.
    let made_up = team.sandbox.requests();
    let made_up = made_up.iter().filter(|request| {
        request
            .header("authorization")
            .is_some_and(|key| key.contains("made_up"))
    });
    assert_eq!(made_up.count(), 2);
    wait_until("some are rejected", async || {
        stalled.iter().any(tokio::task::JoinHandle::is_finished)
    })
    .await;
    abort_all_statuses(stalled).await;
    // A new caller gets a place again.
    wait_until("there is room again", async || {
        let john = team.caller(JOHN);
        let call = john.calling("persons-retrieve", &json!({"id": ADA}));
        john.read(call).await.status == 200
    })
    .await;
}

async fn abort_all_statuses(calls: Vec<tokio::task::JoinHandle<u16>>) {
    for call in calls {
        if call.is_finished() {
            assert_eq!(call.await.unwrap(), 503);
        } else {
            call.abort();
        }
    }
}

/// The project that `@current` stood for when a key first called is fixed, whatever others call.
#[tokio::test]
async fn made_up_keys_move_no_key_to_another_project() {
    const MADE_UP: usize = 10_001;
    let team = team_with(Setup {
        project: Project::Current,
        limits: HttpLimits {
            max_requests_per_minute: u64::MAX,
            ..HttpLimits::default()
        },
        ..Setup::default()
    })
    .await;
    let mary = team.caller(MARY);
    let mut session = McpClient::begin(&mary, WITH_HANDSHAKE[2]).await;
    assert_eq!(person(&mary).await["isError"], false);
    team.sandbox
        .update_behaviors(|behaviors| behaviors.foreign_current_project = true);
    let note = json!({"jsonrpc": "2.0", "method": "notifications/made/up"});
    let mut number = 0;
    while number < MADE_UP {
        let notes = (number..number + 16).map(|number| {
            let caller = Caller {
                bearer: Some(made_up(number)),
                ..mary.clone()
            };
            let note = caller.request(Method::POST, "/mcp").json(&note);
            async move { caller.send(note).await }
        });
        number += join_all(notes).await.len();
    }
    team.sandbox.clear_requests();
    assert_eq!(person(&mary).await["isError"], false);
    let result = session.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(result["isError"], false, "{result}");
    let path = format!("/api/projects/{}/persons/{ADA}/", Sandbox::PROJECT);
    let requests = team.sandbox.requests();
    let paths: Vec<_> = requests.iter().map(|request| &request.path).collect();
    assert_eq!(paths, [&path, &path]);
}

/// Two first calls of one key that run at the same time agree on its project.
#[tokio::test]
async fn concurrent_first_calls_resolve_one_project() {
    let team = team_with(Setup {
        project: Project::Current,
        ..Setup::default()
    })
    .await;
    let mary = team.caller(MARY);
    let calls = join_all((0..8).map(|_| person(&mary))).await;
    assert!(calls.iter().all(|result| result["isError"] == false));
    let requests = team.sandbox.requests();
    let resolved = requests
        .iter()
        .filter(|request| request.path == "/api/users/@me/");
    assert_eq!(resolved.count(), 1);
}
