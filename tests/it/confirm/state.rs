//! Elicitation between two calls, with sealed state (2026-07-28).

use super::raw_client::*;
use super::support::*;
use crate::connect;
use crate::wire::WITHOUT_HANDSHAKE;
use crate::writing::{QA, sent};
use posthog_persons_mcp::policy::Confirm;
use posthog_persons_mcp::server::confirmation::Confirmer;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn malformed_replies_are_rejected_between_calls() {
    let session = connect().await;
    let server = server(&session, gate());
    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    for answer in no_answers() {
        let id = client.call(TOOL, &deletion()).await;
        let state = state(&client.result(id).await);
        let result = client
            .again(TOOL, &deletion(), &state, answer.clone())
            .await;
        refused(&result, "Nothing was sent: ");
        assert_eq!(sent(&session), nothing(), "{answer}");
    }
}

#[tokio::test]
async fn state_without_reply_elicits_again() {
    let session = connect().await;
    let server = server(&session, gate());
    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let first = state(&client.result(id).await);
    let asked = client.again(TOOL, &deletion(), &first, Value::Null).await;
    let second = state(&asked);
    assert!(asked["inputRequests"]["confirm"].is_object(), "{asked}");
    let params = json!({"requestState": second, "inputResponses": {"something else": tick()}});
    let id = client.call_with(TOOL, &deletion(), params).await;
    let third = state(&client.result(id).await);
    assert_eq!(sent(&session), nothing());
    let result = client.again(TOOL, &deletion(), &third, tick()).await;
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(sent(&session), [DELETE]);
}

#[tokio::test]
async fn reply_without_state_is_ignored() {
    let session = connect().await;
    let server = server(&session, gate());
    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let params = json!({"inputResponses": {"confirm": tick()}});
    let id = client.call_with(TOOL, &deletion(), params).await;
    state(&client.result(id).await);
    assert_eq!(sent(&session), nothing());
}

#[tokio::test]
async fn state_is_bound_to_its_call_and_usable_once() {
    let session = connect().await;
    let server = server(&session, gate());
    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let genuine = state(&client.result(id).await);

    let mut others = vec![(TOOL, json!({"ids": [QA[1]]})), ("persons-split", split())];
    for (name, value) in [
        ("delete_events", json!(false)),
        ("delete_recordings", json!(true)),
        ("keep_person", json!(true)),
        ("distinct_ids", json!(["qa-2"])),
    ] {
        let mut other = deletion();
        other[name] = value;
        others.push((TOOL, other));
    }
    for (tool, arguments) in others {
        let result = client.again(tool, &arguments, &genuine, tick()).await;
        refused(&result, STALE);
        assert_eq!(sent(&session), nothing(), "{arguments}");
    }
    let text = genuine.as_str().unwrap();
    for place in [0, text.len() / 2, text.len() - 1] {
        let mut bytes = text.as_bytes().to_vec();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let tampered = json!(String::from_utf8(bytes).unwrap());
        refused(
            &client.again(TOOL, &deletion(), &tampered, tick()).await,
            STALE,
        );
        assert_eq!(sent(&session), nothing());
    }
    refused(
        &client.again(TOOL, &deletion(), &json!(""), tick()).await,
        STALE,
    );

    let result = client.again(TOOL, &deletion(), &genuine, tick()).await;
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(sent(&session), [DELETE]);
    // Neither by this client nor by another.
    refused(
        &client.again(TOOL, &deletion(), &genuine, tick()).await,
        STALE,
    );
    let mut next = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    refused(
        &next.again(TOOL, &deletion(), &genuine, tick()).await,
        STALE,
    );
    assert_eq!(sent(&session), nothing());
}

/// Waits in real time: the seal reads the system clock.
#[tokio::test]
async fn expired_state_is_rejected() {
    let session = connect().await;
    let confirmer = Confirmer::with_ttl(Confirm::Auto, true, Duration::from_millis(1));
    let mut client = ByHand::begin(&server(&session, confirmer), WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let state = state(&client.result(id).await);
    tokio::time::sleep(Duration::from_millis(20)).await;
    refused(
        &client.again(TOOL, &deletion(), &state, tick()).await,
        STALE,
    );
    assert_eq!(sent(&session), nothing());
}

#[tokio::test]
async fn token_and_state_are_not_interchangeable() {
    let session = connect().await;
    let server = server(&session, gate());
    let mut mute = ByHand::begin(&server, WITHOUT_HANDSHAKE, json!({})).await;
    let id = mute.call(TOOL, &deletion()).await;
    let token = mute.result(id).await["structuredContent"]["confirmation"].clone();
    assert!(token.is_string());
    refused(&mute.again(TOOL, &deletion(), &token, tick()).await, STALE);

    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let state = state(&client.result(id).await);
    let id = mute.call(TOOL, &with_token(deletion(), &state)).await;
    refused(&mute.result(id).await, STALE);
    assert_eq!(sent(&session), nothing());
}
