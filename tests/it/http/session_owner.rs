//! A session belongs to the credential that opened it.

use serde_json::json;

use super::credentials::keys;
use super::{JOHN, LegacyClient, MARY, McpClient, Method, SESSION, caller, team};
use crate::wire::{WITH_HANDSHAKE, request};
use crate::{ADA, NOBODY};

#[tokio::test]
async fn session_rejects_every_other_credential() {
    let team = team().await;
    let john = team.caller(JOHN);
    for version in WITH_HANDSHAKE {
        let mut marys = McpClient::begin(&team.caller(MARY), version).await;
        let johns = marys.used_by(&john);
        let call = json!({"name": "persons-retrieve", "arguments": {"id": ADA}});
        for message in [
            request(version, 7, "tools/call", call),
            request(version, 7, "initialize", json!({})),
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
            json!({"jsonrpc": "2.0", "id": 1, "result": {"action": "accept"}}),
        ] {
            assert_eq!(johns.post(&message).await.status(), 404, "{message}");
        }
        for method in [Method::GET, Method::DELETE] {
            let refused = john.read(johns.request(method.clone())).await;
            assert_eq!(refused.status, 404, "{version} {method}");
        }
        // A caller without a credential is rejected too.
        let anonymous = marys.used_by(&caller(team.address, None));
        let list = request(version, 7, "tools/list", json!({}));
        assert_eq!(anonymous.post(&list).await.status(), 401);
        // The owner can still use it.
        let person = marys.call("persons-retrieve", &json!({"id": ADA})).await;
        assert_eq!(person["isError"], false, "{version}");
    }
    let used = keys(&team.sandbox.requests());
    assert_eq!(used, [MARY; WITH_HANDSHAKE.len()]);
}

#[tokio::test]
async fn session_of_another_credential_looks_like_an_unknown_one() {
    let team = team().await;
    let john = team.caller(JOHN);
    let marys = McpClient::begin(&team.caller(MARY), WITH_HANDSHAKE[2]).await;
    let list = request(WITH_HANDSHAKE[2], 7, "tools/list", json!({}));
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let mut seen = Vec::new();
        for session in [marys.session(), NOBODY] {
            let request = john
                .request(method.clone(), "/mcp")
                .header(SESSION, session);
            let reply = john.read(request.json(&list)).await;
            seen.push((reply.status, reply.text));
        }
        assert_eq!(seen[0], seen[1], "{method}");
    }
}

#[tokio::test]
async fn stream_accepts_messages_of_its_own_credential_only() {
    let team = team().await;
    let mut marys = LegacyClient::begin(&team.caller(MARY)).await;
    let call = json!({"name": "persons-retrieve", "arguments": {"id": ADA}});
    let call = request("2024-11-05", 7, "tools/call", call);
    for (bearer, status) in [(Some(JOHN), 404), (None, 401)] {
        let other = caller(team.address, bearer);
        let post = other.request(Method::POST, &marys.messages).json(&call);
        assert_eq!(other.read(post).await.status, status);
    }
    let person = marys.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(person["isError"], false);
    assert_eq!(keys(&team.sandbox.requests()), [MARY]);
}
