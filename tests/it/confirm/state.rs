//! Elicitation between two calls, with sealed state (2026-07-28).

use super::raw_client::*;
use super::support::*;
use crate::connect;
use crate::wire::WITHOUT_HANDSHAKE;
use crate::writing::{QA, writes};
use posthog_persons_mcp::approval::{ApprovalOptions, Approvals};
use posthog_persons_mcp::policy::Confirm;
use posthog_persons_mcp::server::confirmation::Confirmer;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn malformed_replies_are_rejected_between_calls() {
    let session = connect().await;
    let server = server(&session, confirmer());
    let mut client = RawClient::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    for response in non_confirming_replies() {
        let id = client.call(TOOL, &deletion()).await;
        let state = state(&client.result(id).await);
        let result = client
            .repeat(TOOL, &deletion(), &state, response.clone())
            .await;
        assert_rejected(&result, "Nothing was sent: ");
        assert_eq!(writes(&session), no_requests(), "{response}");
    }
}

#[tokio::test]
async fn state_without_reply_elicits_again() {
    let session = connect().await;
    let server = server(&session, confirmer());
    let mut client = RawClient::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let first = state(&client.result(id).await);
    let elicitations = client.repeat(TOOL, &deletion(), &first, Value::Null).await;
    let second = state(&elicitations);
    assert!(
        elicitations["inputRequests"]["confirm"].is_object(),
        "{elicitations}"
    );
    let params =
        json!({"requestState": second, "inputResponses": {"something else": confirming_reply()}});
    let id = client.call_with(TOOL, &deletion(), params).await;
    let third = state(&client.result(id).await);
    assert_eq!(writes(&session), no_requests());
    let result = client
        .repeat(TOOL, &deletion(), &third, confirming_reply())
        .await;
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(writes(&session), [DELETE]);
}

#[tokio::test]
async fn reply_without_state_is_ignored() {
    let session = connect().await;
    let server = server(&session, confirmer());
    let mut client = RawClient::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let params = json!({"inputResponses": {"confirm": confirming_reply()}});
    let id = client.call_with(TOOL, &deletion(), params).await;
    state(&client.result(id).await);
    assert_eq!(writes(&session), no_requests());
}

#[tokio::test]
async fn state_is_bound_to_its_call_and_usable_once() {
    let session = connect().await;
    let server = server(&session, confirmer());
    let mut client = RawClient::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
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
        let result = client
            .repeat(tool, &arguments, &genuine, confirming_reply())
            .await;
        assert_rejected(&result, STALE);
        assert_eq!(writes(&session), no_requests(), "{arguments}");
    }
    let text = genuine.as_str().unwrap();
    for place in [0, text.len() / 2, text.len() - 1] {
        let mut bytes = text.as_bytes().to_vec();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let tampered = json!(String::from_utf8(bytes).unwrap());
        assert_rejected(
            &client
                .repeat(TOOL, &deletion(), &tampered, confirming_reply())
                .await,
            STALE,
        );
        assert_eq!(writes(&session), no_requests());
    }
    assert_rejected(
        &client
            .repeat(TOOL, &deletion(), &json!(""), confirming_reply())
            .await,
        STALE,
    );

    let result = client
        .repeat(TOOL, &deletion(), &genuine, confirming_reply())
        .await;
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(writes(&session), [DELETE]);
    // Neither by this client nor by another.
    assert_rejected(
        &client
            .repeat(TOOL, &deletion(), &genuine, confirming_reply())
            .await,
        STALE,
    );
    let mut next = RawClient::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    assert_rejected(
        &next
            .repeat(TOOL, &deletion(), &genuine, confirming_reply())
            .await,
        STALE,
    );
    assert_eq!(writes(&session), no_requests());
}

/// Waits in real time: the seal reads the system clock.
#[tokio::test]
async fn expired_state_is_rejected() {
    let session = connect().await;
    let confirmer = Confirmer::with_ttl(Confirm::Auto, None, Duration::from_millis(1));
    let mut client =
        RawClient::begin(&server(&session, confirmer), WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let state = state(&client.result(id).await);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_rejected(
        &client
            .repeat(TOOL, &deletion(), &state, confirming_reply())
            .await,
        STALE,
    );
    assert_eq!(writes(&session), no_requests());
}

#[tokio::test]
async fn token_and_state_are_not_interchangeable() {
    let session = connect().await;
    let approvals = Approvals::new(ApprovalOptions::default());
    let server = server(&session, Confirmer::new(Confirm::Auto, Some(approvals)));
    let mut mute = RawClient::begin(&server, WITHOUT_HANDSHAKE, json!({})).await;
    let id = mute.call(TOOL, &deletion()).await;
    let token = mute.result(id).await["structuredContent"]["confirmation"].clone();
    assert!(token.is_string());
    assert_rejected(
        &mute
            .repeat(TOOL, &deletion(), &token, confirming_reply())
            .await,
        STALE,
    );

    let mut client = RawClient::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let state = state(&client.result(id).await);
    let id = mute.call(TOOL, &with_token(deletion(), &state)).await;
    assert_rejected(&mute.result(id).await, STALE);
    assert_eq!(writes(&session), no_requests());
}
