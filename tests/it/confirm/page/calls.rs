//! Calls that wait for the page, at the level of messages: progress, cancellation, and the end of the connection.

use super::super::raw_client::*;
use super::super::support::*;
use super::browser::*;
use crate::connect;
use crate::wire::{TIMEOUT, WITHOUT_HANDSHAKE, parse_message};
use crate::writing::{QA, writes};
use posthog_persons_mcp::approval::{ApprovalOptions, Approvals};
use posthog_persons_mcp::policy::Confirm;
use posthog_persons_mcp::server::confirmation::Confirmer;
use posthog_sandbox::{Fault, FaultKind};
use serde_json::json;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const VERSIONS: [&str; 3] = [WAITING[0], WAITING[1], WITHOUT_HANDSHAKE];

fn confirmer() -> Confirmer {
    let approvals = Approvals::new(ApprovalOptions::default());
    Confirmer::new(Confirm::Auto, Some(approvals))
}

/// A first call, and the second one with its token, which waits.
async fn waiting_call(client: &mut RawClient) -> (u64, OpenPage) {
    let id = client.call(TOOL, &deletion()).await;
    let result = client.result(id).await;
    let page = OpenPage {
        browser: Browser::of(result_text(&result)),
        token: result["structuredContent"]["confirmation"].clone(),
    };
    let arguments = with_token(deletion(), &page.token);
    let params = json!({"_meta": {"progressToken": "p"}});
    let id = client.call_with(TOOL, &arguments, params).await;
    let line = timeout(TIMEOUT, client.lines.next_line()).await;
    let note = parse_message(&line.unwrap().unwrap().unwrap());
    assert_eq!(note["method"], "notifications/progress", "{note}");
    assert_eq!(note["params"]["progressToken"], "p");
    assert_eq!(
        note["params"]["message"],
        "waiting for the user's answer on the approval page"
    );
    (id, page)
}

#[tokio::test]
async fn waiting_call_reports_progress() {
    let session = connect().await;
    let server = server(&session, confirmer());
    for version in VERSIONS {
        let mut client = RawClient::begin(&server, version, json!({})).await;
        let (id, page) = waiting_call(&mut client).await;
        page.browser.approve().await;
        assert_eq!(client.result(id).await["isError"], false, "{version}");
        assert_eq!(writes(&session), [DELETE], "{version}");
        client.end().await;
    }
}

/// The approval stays for the next call.
#[tokio::test]
async fn cancelled_call_sends_nothing() {
    let session = connect().await;
    let server = server(&session, confirmer());
    for version in VERSIONS {
        let mut client = RawClient::begin(&server, version, json!({})).await;
        let (id, page) = waiting_call(&mut client).await;
        let params = json!({"requestId": id, "reason": "enough"});
        client
            .send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
            .await;
        // Whatever the client sends next is read after the cancellation.
        let next = client
            .call("persons-retrieve", &json!({"id": crate::NOBODY}))
            .await;
        assert_eq!(client.result(next).await["isError"], true);
        page.browser.approve().await;
        assert_eq!(page.browser.heading().await, "Approved", "{version}");
        assert_eq!(writes(&session), no_requests(), "{version}");

        let arguments = with_token(deletion(), &page.token);
        let id = client.call(TOOL, &arguments).await;
        assert_eq!(client.result(id).await["isError"], false, "{version}");
        assert_eq!(writes(&session), [DELETE], "{version}");
        client.end().await;
    }
}

#[tokio::test]
async fn end_of_the_connection_sends_nothing() {
    let session = connect().await;
    let server = server(&session, confirmer());
    for version in VERSIONS {
        let mut client = RawClient::begin(&server, version, json!({})).await;
        let (id, page) = waiting_call(&mut client).await;
        let rest = client.end().await;
        let response = rest.iter().find(|message| message["id"] == id);
        let response = response.unwrap_or_else(|| panic!("{version}: {rest:?}"));
        assert_rejected(
            &response["result"],
            "Nothing was sent: the client disconnected.",
        );
        page.browser.approve().await;
        assert_eq!(page.browser.heading().await, "Approved", "{version}");
        assert_eq!(writes(&session), no_requests(), "{version}");
    }
}

/// The connection ends after the approval, while the persons are read once more: the last moment before the request.
#[tokio::test]
async fn connection_that_ends_after_the_approval_sends_nothing() {
    const READ: &str = "batch_by_uuids";
    let session = connect().await;
    let server = server(&session, confirmer());
    let delay = FaultKind::Delay(Duration::from_millis(500));
    session.sandbox.inject(Fault::always(READ, delay));
    let arguments = json!({"ids": [QA[0]]});
    for version in VERSIONS {
        let mut client = RawClient::begin(&server, version, json!({})).await;
        let id = client.call(TOOL, &arguments).await;
        let result = client.result(id).await;
        let browser = Browser::of(result_text(&result));
        browser.approve().await;
        session.requests();
        let token = &result["structuredContent"]["confirmation"];
        client
            .call(TOOL, &with_token(arguments.clone(), token))
            .await;
        let reads = || {
            let requests = session.sandbox.requests().into_iter();
            requests
                .filter(|request| request.path.contains(READ))
                .count()
        };
        while reads() < 2 {
            sleep(Duration::from_millis(5)).await;
        }
        let rest = client.end().await;
        assert_rejected(
            &rest[0]["result"],
            "Nothing was sent: the call was cancelled, or its client disconnected.",
        );
        assert_eq!(writes(&session), no_requests(), "{version}");
        assert_eq!(browser.heading().await, "Approved", "{version}");
    }
}
