//! Concurrency limits: requests over a limit are rejected, others are not affected.

use std::time::Duration;

use posthog_persons_mcp::http::HttpLimits;
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use reqwest::RequestBuilder;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{
    Caller, EventStream, JOHN, LegacyClient, MARY, McpClient, Method, Setup, Team, team_with,
};
use crate::ADA;
use crate::wire::{TIMEOUT, WITH_HANDSHAKE, request};

/// A person for whom PostHog never responds.
const STALLED_PERSON: u64 = 9_999;

fn with(limits: HttpLimits) -> Setup {
    Setup {
        limits,
        ..Setup::default()
    }
}

pub(super) async fn team_limited_to(limits: HttpLimits) -> Team {
    let team = team_with(with(limits)).await;
    // Until PostHog has accepted a key, its requests are limited together with those of all others.
    for key in [MARY, JOHN] {
        assert_eq!(status(&team.caller(key)).await, 200);
    }
    team.sandbox.clear_requests();
    let fault = Fault {
        times: usize::MAX,
        ..Fault::once(&format!("/persons/{STALLED_PERSON}/"), FaultKind::Stall)
    };
    team.sandbox.inject(fault);
    team
}

/// Polls until a condition holds.
pub(super) async fn wait_until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(TIMEOUT, waiting).await.is_ok(), "{what}");
}

/// The number of requests that PostHog has received and not responded to.
fn requests_in_flight(sandbox: &Sandbox) -> usize {
    let path = format!("/persons/{STALLED_PERSON}/");
    let requests = sandbox.requests();
    let held = requests
        .iter()
        .filter(|request| request.path.contains(&path));
    held.count()
}

fn stalled_call(caller: &Caller) -> RequestBuilder {
    caller.calling("persons-retrieve", &json!({"id": STALLED_PERSON}))
}

/// Concurrent requests per key to PostHog.
const CONCURRENCY: usize = 8;

/// Starts calls that stay in flight until they are aborted.
async fn start_calls(team: &Team, caller: &Caller, count: usize) -> Vec<JoinHandle<()>> {
    let before = requests_in_flight(&team.sandbox);
    let calls = (0..count).map(|_| {
        let call = stalled_call(caller).send();
        tokio::spawn(async move { drop(call.await) })
    });
    let calls: Vec<_> = calls.collect();
    wait_until("the calls arrive", async || {
        requests_in_flight(&team.sandbox) == before + count.min(CONCURRENCY)
    })
    .await;
    calls
}

pub(super) fn abort_all(calls: Vec<JoinHandle<()>>) {
    calls.iter().for_each(JoinHandle::abort);
}

pub(super) async fn status(caller: &Caller) -> u16 {
    let call = caller.calling("persons-retrieve", &json!({"id": ADA}));
    caller.read(call).await.status
}

/// Asserts a rejection with 429 and its message.
async fn assert_rate_limited(caller: &Caller, request: RequestBuilder, status: u16) {
    let reply = caller.read(request).await;
    assert_eq!(reply.status, status, "{}", reply.text);
    let seconds: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(reply.text.contains("try again"), "{}", reply.text);
}

#[tokio::test]
async fn credential_over_its_limit_is_rejected_and_others_are_not() {
    let team = team_limited_to(HttpLimits {
        max_in_flight_per_credential: 3,
        ..HttpLimits::default()
    })
    .await;
    let (mary, john) = (team.caller(MARY), team.caller(JOHN));
    let calls = start_calls(&team, &mary, 3).await;
    for request in [
        mary.calling("persons-retrieve", &json!({"id": ADA})),
        mary.request(Method::POST, "/mcp").json(&request(
            WITH_HANDSHAKE[0],
            1,
            "initialize",
            json!({}),
        )),
    ] {
        assert_rate_limited(&mary, request, 429).await;
    }
    assert_eq!(status(&john).await, 200);
    assert_eq!(mary.get("/healthz").await.status, 200);
    abort_all(calls);
    wait_until("there is room again", async || status(&mary).await == 200).await;
}

#[tokio::test]
async fn full_server_rejects_requests_and_recovers() {
    let team = team_limited_to(HttpLimits {
        max_in_flight: 4,
        max_in_flight_per_credential: 3,
        ..HttpLimits::default()
    })
    .await;
    let (mary, john) = (team.caller(MARY), team.caller(JOHN));
    let marys = start_calls(&team, &mary, 3).await;
    let johns = start_calls(&team, &john, 1).await;
    for other in [&john, &team.caller("phx_another_user")] {
        assert_rate_limited(other, stalled_call(other), 503).await;
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(john.get(path).await.status, 200, "{path}");
    }
    abort_all(marys);
    wait_until("there is room again", async || status(&john).await == 200).await;
    abort_all(johns);
}

#[tokio::test]
async fn response_releases_its_permit() {
    let team = team_limited_to(HttpLimits {
        max_in_flight: 1,
        max_in_flight_per_credential: 1,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    for _ in 0..3 {
        assert_eq!(status(&mary).await, 200);
        assert_eq!(
            mary.read(mary.stateless("no/method", json!({})))
                .await
                .status,
            404
        );
        let broken = mary.request(Method::POST, "/mcp").body("{");
        assert_ne!(mary.read(broken).await.status, 429);
        let mut session = McpClient::begin(&mary, WITH_HANDSHAKE[2]).await;
        session.call("persons-retrieve", &json!({"id": ADA})).await;
        // An open stream takes no permit.
        let _open = EventStream::of(mary.send(session.request(Method::GET)).await);
        let _older = LegacyClient::begin(&mary).await;
        assert_eq!(status(&mary).await, 200);
    }
}

#[tokio::test]
async fn credential_at_its_limit_does_not_delay_another() {
    let limits = HttpLimits::default();
    let team = team_limited_to(limits).await;
    let calls = start_calls(
        &team,
        &team.caller(MARY),
        limits.max_in_flight_per_credential,
    )
    .await;
    assert_eq!(status(&team.caller(JOHN)).await, 200);
    abort_all(calls);
}

#[tokio::test]
async fn legacy_sse_calls_are_limited() {
    let team = team_limited_to(HttpLimits {
        max_in_flight_per_credential: 2,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let legacy = LegacyClient::begin(&mary).await;
    let mut refused = 0;
    for id in 1..=5 {
        let params = json!({"name": "persons-retrieve", "arguments": {"id": STALLED_PERSON}});
        let call = request("2024-11-05", id, "tools/call", params);
        if mary.read(legacy.posting(&call)).await.status == 429 {
            refused += 1;
        }
    }
    assert_eq!(refused, 3);
}

#[tokio::test]
async fn session_call_holds_its_permit_while_it_runs() {
    let team = team_limited_to(HttpLimits {
        max_in_flight_per_credential: 2,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let mut session = McpClient::begin(&mary, WITH_HANDSHAKE[2]).await;
    for id in 1..=6 {
        let before = requests_in_flight(&team.sandbox);
        session.last_id = id;
        let params = json!({"name": "persons-retrieve", "arguments": {"id": STALLED_PERSON}});
        let call = request(session.version, id, "tools/call", params);
        // The client disconnects right after sending its call.
        let response = session.post(&call).await;
        if response.status() == 200 {
            wait_until("the call arrives", async || {
                requests_in_flight(&team.sandbox) > before
            })
            .await;
        }
    }
    assert_eq!(requests_in_flight(&team.sandbox), 2);
}

#[tokio::test]
async fn elicitation_reply_needs_no_permit() {
    let team = team_limited_to(HttpLimits {
        max_in_flight_per_credential: 1,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY).with_elicitation();
    let mut session = McpClient::begin(&mary, WITH_HANDSHAKE[3]).await;
    let params = json!({"name": "persons-bulk-delete", "arguments": {"ids": [ADA]}});
    let (_, mut events) = session.open("tools/call", params).await;
    let question = events.next_message().await;
    let no = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}});
    assert_eq!(session.post(&no).await.status(), 202);
    let message = events.next_message().await;
    assert_eq!(message["result"]["isError"], true, "{message}");
}
