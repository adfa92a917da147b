//! Progress notifications: sent while a call waits, only for a call with a progress token.

use std::time::Duration;

use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};

use crate::stdio::{connected, sandbox};
use crate::wire::{JsonRpcClient, request, versions};

/// Calls a tool; returns the progress notifications and the response.
async fn call_with_progress(
    version: &'static str,
    fault: Fault,
    token: Option<&Value>,
) -> (Vec<Value>, Value) {
    let sandbox = sandbox().await;
    let mut child = connected(&[], &sandbox.url(), Sandbox::KEY)
        .spawn()
        .unwrap();
    let reader = child.stdout.take().unwrap();
    let writer = child.stdin.take().unwrap();
    let (mut wire, _) = JsonRpcClient::begin(version, reader, writer).await;
    sandbox.inject(fault);
    let params = json!({"name": "persons-list", "arguments": {"limit": 1}});
    let mut call = request(version, 7, "tools/call", params);
    if let Some(token) = token {
        call["params"]["_meta"]["progressToken"] = token.clone();
    }
    wire.send(&call).await;
    let mut notifications = Vec::new();
    loop {
        let message = wire.receive().await.unwrap();
        if message["id"] == 7 {
            assert_eq!(wire.end().await, Vec::<Value>::new(), "nothing follows");
            return (notifications, message);
        }
        assert_eq!(message["method"], "notifications/progress", "{message}");
        notifications.push(message["params"].clone());
    }
}

#[tokio::test]
async fn progress_token_receives_wait_reasons() {
    let limited = || Fault::once("persons", FaultKind::Throttle { retry_after: 1 });
    let failed = || Fault {
        times: 2,
        ..Fault::once("persons", FaultKind::ServerError { status: 503 })
    };
    for version in versions() {
        for token in [json!(7), json!("the list")] {
            let (notifications, response) =
                call_with_progress(version, limited(), Some(&token)).await;
            assert_eq!(response["result"]["isError"], false, "{response}");
            assert_eq!(notifications.len(), 1, "{version}: {notifications:?}");
            assert_eq!(notifications[0]["progressToken"], token);
            assert_eq!(
                notifications[0]["message"],
                "PostHog's rate limit is reached; waiting 1.0 seconds"
            );
        }
        let (notifications, response) =
            call_with_progress(version, failed(), Some(&json!(0))).await;
        assert_eq!(response["result"]["isError"], false, "{response}");
        let progress: Vec<&Value> = notifications
            .iter()
            .map(|notifications| &notifications["progress"])
            .collect();
        assert_eq!(
            progress,
            [&json!(1.0), &json!(2.0)],
            "it grows: {notifications:?}"
        );
        for notifications in &notifications {
            let message = notifications["message"].as_str().unwrap();
            assert!(
                message.starts_with("PostHog failed; retrying in "),
                "{message}"
            );
        }
    }
}

#[tokio::test]
async fn call_without_progress_token_receives_no_notifications() {
    for version in versions() {
        let limited = Fault::once("persons", FaultKind::Throttle { retry_after: 1 });
        let (notifications, response) = call_with_progress(version, limited, None).await;
        assert_eq!(response["result"]["isError"], false, "{response}");
        assert_eq!(notifications, Vec::<Value>::new(), "{version}");
        // A slow response is no reason for a notification.
        let slow = Fault::once("persons", FaultKind::Delay(Duration::from_millis(50)));
        let (notifications, _) = call_with_progress(version, slow, Some(&json!(1))).await;
        assert_eq!(notifications, Vec::<Value>::new(), "{version}");
    }
}
