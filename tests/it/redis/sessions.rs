//! Sessions that all processes share.

use futures::future::join_all;
use posthog_sandbox::Sandbox;
use redis::AsyncCommands;
use serde_json::json;

use super::{Team, VERSION, poll_until};

#[tokio::test]
async fn session_works_with_alternating_processes() {
    let team = Team::start().await;
    let proxy = team.proxy.url();
    let session = team.session(&proxy, &proxy).await;
    for _ in 0..3 {
        session.list(&proxy).await;
        session.read(&proxy).await;
        // An odd number of requests per round, so that each kind of request alternates between the processes.
        let ping = json!({"jsonrpc": "2.0", "id": 9, "method": "ping"});
        assert!(session.send_request(&proxy, &ping).await["result"].is_object());
    }
    assert_eq!(team.proxy.connections(), 2 + 3 * 3);
    for process in &team.processes {
        let log = process.log.lock().unwrap();
        assert!(log.contains("tool call finished"), "{log}");
    }
}

#[tokio::test]
async fn session_is_restored_under_concurrent_requests() {
    let team = Team::start().await;
    for _ in 0..5 {
        let session = team.session(&team.one(), &team.one()).await;
        let other = team.other();
        join_all((1..=8).map(|id| session.list_as(id, &other))).await;
    }
}

#[tokio::test]
async fn session_rejects_other_credentials_on_every_process() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let session = team.session(&one, &one).await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    let reply = json!({"jsonrpc": "2.0", "id": 0, "result": {"action": "cancel"}});
    // The session is not yet known to the other process; later it is.
    for _ in 0..2 {
        for to in [&other, &one] {
            for message in [&list, &reply] {
                let id = Some(session.id.as_str());
                let response = team.send(to, Sandbox::LEGACY_KEY, id, message).await;
                assert_eq!(response.status(), 404);
                let response = team.send(to, Sandbox::KEY, Some("unknown"), message).await;
                assert_eq!(response.status(), 404, "{message}");
            }
        }
        session.list(&other).await;
    }
    for to in [&one, &other] {
        for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
            let request = team.http.request(method, format!("{to}/mcp"));
            let request = request
                .bearer_auth(Sandbox::LEGACY_KEY)
                .header("accept", "text/event-stream")
                .header("mcp-protocol-version", VERSION)
                .header("mcp-session-id", &session.id);
            assert_eq!(request.send().await.unwrap().status(), 404);
        }
        session.list(to).await;
    }
}

/// A stored handshake without an owner belongs to no caller.
#[tokio::test]
async fn session_without_a_known_owner_is_rejected() {
    let team = Team::start().await;
    let session = team.session(&team.one(), &team.one()).await;
    let mut redis = team.redis.connection().await;
    let key = format!("posthog-persons-mcp:owner:{}", session.id);
    let deleted: usize = redis.del(key).await.unwrap();
    assert_eq!(deleted, 1);
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    for key in [Sandbox::LEGACY_KEY, Sandbox::KEY] {
        let id = Some(session.id.as_str());
        let response = team.send(&team.other(), key, id, &list).await;
        assert_eq!(response.status(), 404);
    }
    session.list(&team.one()).await;
}

#[tokio::test]
async fn session_ends_on_every_process() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let session = team.session(&one, &other).await;
    session.list(&one).await;
    session.list(&other).await;
    let end = team
        .http
        .delete(format!("{one}/mcp"))
        .bearer_auth(Sandbox::KEY)
        .header("mcp-protocol-version", VERSION)
        .header("mcp-session-id", &session.id);
    assert!(end.send().await.unwrap().status().is_success());
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    for to in [&one, &other] {
        poll_until("ended", || async {
            session.send(to, &list).await.status() == 404
        })
        .await;
    }
}

#[tokio::test]
async fn session_in_use_does_not_expire() {
    let team = Team::start().await;
    let session = team.session(&team.one(), &team.other()).await;
    let mut redis = team.redis.connection().await;
    let keys =
        ["session", "owner"].map(|kind| format!("posthog-persons-mcp:{kind}:{}", session.id));
    for key in &keys {
        let forgotten_soon: bool = redis.expire(key, 100).await.unwrap();
        assert!(forgotten_soon, "{key}");
    }
    session.list(&team.one()).await;
    for key in &keys {
        let seconds: i64 = redis.ttl(key).await.unwrap();
        assert!(seconds > 100, "{key}: {seconds}");
    }
}

/// Sessions restored from another process count toward the limit.
#[tokio::test]
async fn session_limit_applies_on_every_process() {
    let team = Team::start_with(&["--max-sessions", "2"]).await;
    let (one, other) = (team.one(), team.other());
    for _ in 0..5 {
        let session = team.session(&one, &one).await;
        session.list(&other).await;
    }
    for to in [&one, &other] {
        let metrics = team.http.get(format!("{to}/metrics")).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(metrics.contains("\nmcp_sessions 2\n"), "{metrics}");
    }
}
