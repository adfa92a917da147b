//! Confirmations over HTTP: in sessions, in stateless calls, across credentials, and for clients without elicitation.

use posthog_persons_mcp::policy::Confirm;
use serde_json::{Value, json};

use super::{
    Caller, EventStream, JOHN, LegacyClient, MARY, McpClient, Method, Setup, assert_rejected,
    result_text, team, team_with,
};
use crate::wire::{WITH_HANDSHAKE, WITHOUT_HANDSHAKE};
use crate::writing::QA;

pub(super) const TOOL: &str = "persons-bulk-delete";
pub(super) const DELETE: &str = "POST B/bulk_delete/";
pub(super) const STALE: &str = "Invalid confirmation";

/// The versions in which an elicitation is sent while the call waits.
pub(super) const WAITING: [&str; 2] = ["2025-06-18", "2025-11-25"];

pub(super) const STATE_KEY: &str = "state_91c7e2b05d4f8a3661e0b7d92c5f4a38";
pub(super) const OTHER_STATE_KEY: &str = "state_28f1a6d0937be45c0a9d6e13f7824cb5";

pub(super) fn deletion() -> Value {
    json!({"ids": [QA[0]]})
}

pub(super) fn confirming_reply() -> Value {
    json!({"action": "accept", "content": {"confirm": true}})
}

pub(super) fn no_requests() -> Vec<String> {
    Vec::new()
}

/// The user's reply to an elicitation.
pub(super) fn elicitation_reply(question: &Value, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": question["id"], "result": result})
}

pub(super) fn calling(tool: &str, arguments: &Value) -> Value {
    json!({"name": tool, "arguments": arguments})
}

// Sessions.

/// Calls the deletion in a session; returns the request id, the stream of the call and the elicitation on it.
pub(super) async fn elicit(session: &mut McpClient) -> (u64, EventStream, Value) {
    let (id, mut events) = session.open("tools/call", calling(TOOL, &deletion())).await;
    let question = events.next_message().await;
    assert_eq!(question["method"], "elicitation/create", "{question}");
    let shown = question["params"]["message"].as_str().unwrap();
    assert!(shown.contains(QA[0]), "{shown}");
    (id, events, question)
}

/// The result at the end of a call's stream.
pub(super) async fn result(id: u64, mut events: EventStream) -> Value {
    let response = events.next_message().await;
    assert_eq!(response["id"], id, "{response}");
    events.end().await;
    response["result"].clone()
}

/// A client of these versions declares its capabilities once, in its handshake.
#[tokio::test]
async fn request_does_not_take_back_the_capabilities_of_its_session() {
    let team = team().await;
    let mary = team.caller(MARY).with_elicitation();
    let mut session = McpClient::begin(&mary, WAITING[0]).await;
    let mut params = calling(TOOL, &deletion());
    params["_meta"] = json!({"io.modelcontextprotocol/clientCapabilities": {}});
    let (_, mut events) = session.open("tools/call", params).await;
    let question = events.next_message().await;
    assert_eq!(question["method"], "elicitation/create", "{question}");
    // Nor does it add to them.
    let mut plain = McpClient::begin(&team.caller(MARY), WAITING[0]).await;
    let mut params = calling(TOOL, &deletion());
    params["_meta"] = json!({"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}});
    let message = plain.send_request("tools/call", params).await;
    assert_eq!(message["result"]["isError"], true, "{message}");
    assert_eq!(team.writes(), no_requests());
}

#[tokio::test]
async fn session_elicits_on_the_stream_of_the_call() {
    for version in WAITING {
        let team = team().await;
        let mary = team.caller(MARY).with_elicitation();
        let mut session = McpClient::begin(&mary, version).await;
        let (id, events, question) = elicit(&mut session).await;
        assert_eq!(team.writes(), no_requests());
        let posted = session
            .post(&elicitation_reply(&question, &confirming_reply()))
            .await;
        assert_eq!(posted.status(), 202);
        let done = result(id, events).await;
        assert_eq!(done["structuredContent"]["status"], "queued", "{done}");
        assert_eq!(team.writes(), [DELETE], "{version}");
    }
}

#[tokio::test]
async fn session_sends_nothing_without_an_accepted_elicitation() {
    let team = team().await;
    let mary = team.caller(MARY).with_elicitation();
    let mut session = McpClient::begin(&mary, WAITING[1]).await;
    for no in [
        json!({"action": "accept", "content": {"confirm": false}}),
        json!({"action": "accept"}),
        json!({"action": "decline"}),
        json!({"action": "cancel"}),
    ] {
        let (id, events, question) = elicit(&mut session).await;
        session.post(&elicitation_reply(&question, &no)).await;
        assert_rejected(&result(id, events).await, "Nothing was sent: ");
    }
    assert_eq!(team.writes(), no_requests());
}

#[tokio::test]
async fn elicitation_accepts_replies_of_its_own_session_only() {
    let team = team().await;
    let mary = team.caller(MARY).with_elicitation();
    let mut session = McpClient::begin(&mary, WAITING[1]).await;
    let (id, events, question) = elicit(&mut session).await;
    let yes = elicitation_reply(&question, &confirming_reply());
    // Neither in this session nor in one of the other credential.
    let john = team.caller(JOHN).with_elicitation();
    let johns = session.used_by(&john);
    assert_eq!(johns.post(&yes).await.status(), 404);
    let johns = McpClient::begin(&john, WAITING[1]).await;
    johns.post(&yes).await;
    assert_eq!(team.writes(), no_requests());
    session
        .post(&elicitation_reply(&question, &json!({"action": "decline"})))
        .await;
    let result = result(id, events).await;
    assert_rejected(&result, "Nothing was sent: the user declined.");
    assert_eq!(team.writes(), no_requests());
}

#[tokio::test]
async fn closing_a_session_with_an_open_elicitation_sends_nothing() {
    let team = team().await;
    let mary = team.caller(MARY).with_elicitation();
    let mut session = McpClient::begin(&mary, WAITING[0]).await;
    let (_, events, question) = elicit(&mut session).await;
    let closed = mary.send(session.request(Method::DELETE)).await;
    assert!(closed.status().is_success());
    events.end().await;
    let late = session
        .post(&elicitation_reply(&question, &confirming_reply()))
        .await;
    assert_eq!(late.status(), 404);
    assert_eq!(team.writes(), no_requests());
}

#[tokio::test]
async fn legacy_sse_elicits_on_its_stream() {
    let team = team().await;
    let mary = team.caller(MARY).with_elicitation();
    for (says, sends) in [
        (confirming_reply(), vec![DELETE]),
        (json!({"action": "cancel"}), vec![]),
    ] {
        let mut legacy = LegacyClient::begin_with(&mary, WAITING[0]).await;
        let id = legacy.open("tools/call", calling(TOOL, &deletion())).await;
        let question = legacy.events.next_message().await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        assert_eq!(team.writes(), no_requests());
        legacy.post(&elicitation_reply(&question, &says)).await;
        let done = legacy.events.next_message().await;
        assert_eq!(done["id"], id, "{done}");
        assert_eq!(done["result"]["isError"], sends.is_empty(), "{done}");
        assert_eq!(team.writes(), sends);
    }
}

// Stateless calls.

fn deletion_call(caller: &Caller, more: &Value) -> reqwest::RequestBuilder {
    let mut params = calling(TOOL, &deletion());
    for (name, value) in more.as_object().unwrap() {
        params[name] = value.clone();
    }
    caller.stateless("tools/call", params)
}

/// Calls the deletion; returns the state of the input-required result.
pub(super) async fn state(caller: &Caller) -> Value {
    let reply = caller.read(deletion_call(caller, &json!({}))).await;
    assert_eq!(reply.header("content-type"), "application/json");
    let result = reply.json()["result"].clone();
    assert_eq!(result["resultType"], "input_required", "{result}");
    let question = &result["inputRequests"]["confirm"];
    assert_eq!(question["method"], "elicitation/create", "{result}");
    let shown = question["params"]["message"].as_str().unwrap();
    assert!(shown.contains(QA[0]), "{shown}");
    assert!(result["requestState"].is_string(), "{result}");
    result["requestState"].clone()
}

/// Repeats the call with the state and the reply.
pub(super) async fn repeat(caller: &Caller, state: &Value, user_reply: &Value) -> Value {
    let more = json!({"requestState": state, "inputResponses": {"confirm": user_reply}});
    let reply = caller.read(deletion_call(caller, &more)).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["result"].clone()
}

#[track_caller]
pub(super) fn queued(result: &Value) {
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(result["structuredContent"]["status"], "queued", "{result}");
}

#[tokio::test]
async fn stateless_call_returns_input_required_and_its_state_is_single_use() {
    let team = team().await;
    let mary = team.caller(MARY).with_elicitation();
    let requested = state(&mary).await;
    assert_eq!(team.writes(), no_requests());
    queued(&repeat(&mary, &requested, &confirming_reply()).await);
    assert_eq!(team.writes(), [DELETE]);
    assert_rejected(&repeat(&mary, &requested, &confirming_reply()).await, STALE);
    assert_eq!(team.writes(), no_requests());
}

#[tokio::test]
async fn concurrent_confirmations_delete_once() {
    let team = team().await;
    let mary = team.caller(MARY).with_elicitation();
    let requested = state(&mary).await;
    let yes = confirming_reply();
    let (one, other) = tokio::join!(
        repeat(&mary, &requested, &yes),
        repeat(&mary, &requested, &yes)
    );
    let failed = [&one, &other]
        .into_iter()
        .filter(|result| result["isError"] == true);
    assert_eq!(failed.count(), 1, "{one} {other}");
    assert_eq!(team.writes(), [DELETE]);
}

#[tokio::test]
async fn stateless_call_sends_nothing_without_an_accepted_elicitation() {
    let team = team().await;
    let mary = team.caller(MARY).with_elicitation();
    for no in [
        json!({"action": "accept", "content": {"confirm": false}}),
        json!({"action": "accept", "content": {"confirm": "true"}}),
        json!({"action": "decline", "content": {"confirm": true}}),
        json!({"action": "cancel"}),
    ] {
        let requested = state(&mary).await;
        assert_rejected(&repeat(&mary, &requested, &no).await, "Nothing was sent: ");
    }
    assert_eq!(team.writes(), no_requests());
}

#[tokio::test]
async fn state_of_another_credential_is_rejected() {
    let team = team().await;
    let mary = team.caller(MARY).with_elicitation();
    let john = team.caller(JOHN).with_elicitation();
    let marys = state(&mary).await;
    assert_rejected(&repeat(&john, &marys, &confirming_reply()).await, STALE);
    assert_eq!(team.writes(), no_requests());
    // A rejected attempt does not use the state.
    queued(&repeat(&mary, &marys, &confirming_reply()).await);
    assert_eq!(team.writes(), [DELETE]);
}

// Clients without elicitation.

#[tokio::test]
async fn client_without_elicitation_cannot_delete_with_or_without_a_token() {
    let team = team().await;
    let mary = team.caller(MARY);
    let genuine = state(&mary.with_elicitation()).await;
    let tokens = [Value::Null, json!("rs2.made-up"), genuine.clone()];
    for token in tokens {
        let mut arguments = deletion();
        if token.is_string() {
            arguments["confirmation"] = token;
        }
        let mut results = Vec::new();
        for version in WITH_HANDSHAKE.into_iter().chain([WITHOUT_HANDSHAKE]) {
            let mut session = McpClient::begin(&mary, version).await;
            results.push(session.call(TOOL, &arguments).await);
        }
        results.push(
            LegacyClient::begin(&mary)
                .await
                .call(TOOL, &arguments)
                .await,
        );
        for result in results {
            assert_rejected(&result, "Rejected: ");
            assert!(
                result_text(&result).contains("Nothing was sent"),
                "{result}"
            );
            // No token is issued.
            assert!(!result.to_string().contains("rs2."), "{result}");
        }
    }
    assert_eq!(team.writes(), no_requests());
    // Previews are allowed.
    let look = json!({"ids": [QA[0]], "dry_run": true});
    let shown = mary.call(TOOL, &look).await;
    assert_eq!(shown["structuredContent"]["status"], "dry_run", "{shown}");
}

#[tokio::test]
async fn reply_of_a_client_without_elicitation_is_ignored() {
    let team = team().await;
    let mary = team.caller(MARY);
    let more = json!({"inputResponses": {"confirm": confirming_reply()}});
    let reply = mary.read(deletion_call(&mary, &more)).await;
    assert_rejected(&reply.json()["result"], "Rejected: ");
    let more =
        json!({"requestState": "rs2.made-up", "inputResponses": {"confirm": confirming_reply()}});
    let reply = mary.read(deletion_call(&mary, &more)).await;
    assert_eq!(reply.json()["result"]["isError"], true, "{}", reply.text);
    assert_eq!(team.writes(), no_requests());
}

#[tokio::test]
async fn confirm_off_deletes_without_elicitation() {
    let team = team_with(Setup {
        confirm: Confirm::Off,
        ..Setup::default()
    })
    .await;
    let mary = team.caller(MARY);
    for (caller, person) in [(mary.clone(), QA[0]), (mary.with_elicitation(), QA[1])] {
        queued(&caller.call(TOOL, &json!({"ids": [person]})).await);
        assert_eq!(team.writes(), [DELETE]);
    }
    let mut session = McpClient::begin(&mary, WITH_HANDSHAKE[0]).await;
    queued(&session.call(TOOL, &json!({"ids": [QA[2]]})).await);
    assert_eq!(team.writes(), [DELETE]);
}

#[tokio::test]
async fn confirm_strict_accepts_an_elicitation() {
    let team = team_with(Setup {
        confirm: Confirm::Strict,
        ..Setup::default()
    })
    .await;
    let mary = team.caller(MARY);
    assert_rejected(&mary.call(TOOL, &deletion()).await, "Rejected: ");
    let mary = mary.with_elicitation();
    let requested = state(&mary).await;
    queued(&repeat(&mary, &requested, &confirming_reply()).await);
    assert_eq!(team.writes(), [DELETE]);
}
