//! A server that is attacked with made-up keys, oversized messages and idle connections serves its callers throughout, and
//! its memory does not grow.
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{Caller, JOHN, LegacyClient, MARY, McpClient, Method, Process, binary_at, team};
use crate::soak::megabytes;
use crate::wire::{WITH_HANDSHAKE, opening_messages};
use crate::{ADA, NOBODY};

/// Attackers at the same time.
const ATTACKERS: usize = 8;
/// What an attack may leave behind, of an unoptimized build.
const TOLERANCE_MEGABYTES: u64 = 64;

/// One round of an attacker with a key of its own.
async fn attack(one: &Caller, number: usize, idle: &mut Vec<TcpStream>) {
    let caller = Caller {
        bearer: Some(format!("phx_made_up_{number:08}")),
        ..one.clone()
    };
    let large = "x".repeat(1_000_000);
    let mut hello = opening_messages(WITH_HANDSHAKE[2]).remove(0);
    let subscribe = json!({"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": {"uri": large}});
    let post = || caller.request(Method::POST, "/mcp");
    let request = match number % 8 {
        0 => post().json(&hello),
        1 => {
            hello["params"]["clientInfo"]["name"] = json!(large);
            post().json(&hello)
        }
        2 => caller.request(Method::GET, "/sse"),
        3 => post().header(super::SESSION, NOBODY).json(&subscribe),
        4 => caller.calling("persons-retrieve", &json!({"id": ADA})),
        5 => caller
            .request(Method::GET, "/mcp")
            .header(super::SESSION, NOBODY),
        6 => caller.stateless("tools/list", json!({})),
        _ => {
            let connection = TcpStream::connect(one.address).await;
            idle.extend(connection);
            return;
        }
    };
    if let Ok(response) = request.send().await {
        let status = response.status().as_u16();
        let served = matches!(number % 8, 4 | 6) && status == 200;
        assert!(
            served || matches!(status, 401 | 413 | 429 | 503),
            "{status}"
        );
    }
}

#[tokio::test]
async fn callers_are_served_during_an_attack() {
    let team = team().await;
    let process = Process::start(binary_at(&team.sandbox.url(), &[])).await;
    let id = process.child.id().unwrap();
    let (mary, john) = (process.caller(MARY), process.caller(JOHN));
    let mut session = McpClient::begin(&mary, WITH_HANDSHAKE[3]).await;
    let mut legacy = LegacyClient::begin(&john).await;
    let before = megabytes(id, "VmRSS");
    let (stop, made_up) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|_| {
            let (stop, made_up) = (Arc::clone(&stop), Arc::clone(&made_up));
            let one = process.caller("");
            tokio::spawn(async move {
                let mut idle = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let number = made_up.fetch_add(1, Ordering::Relaxed);
                    attack(&one, number, &mut idle).await;
                }
            })
        })
        .collect();
    let arguments = json!({"id": ADA});
    let served = |result: &Value| assert_eq!(result["isError"], false, "{result}");
    while made_up.load(Ordering::Relaxed) < 1_000 {
        served(&mary.call("persons-retrieve", &arguments).await);
        served(&session.call("persons-retrieve", &arguments).await);
        served(&legacy.call("persons-retrieve", &arguments).await);
        McpClient::begin(&john, WITH_HANDSHAKE[1]).await;
        for probe in [&mary, &process.caller("")] {
            assert_eq!(probe.get("/healthz").await.status, 200);
        }
    }
    stop.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.await.unwrap();
    }
    let after = megabytes(id, "VmRSS");
    assert!(
        after < before + TOLERANCE_MEGABYTES,
        "{before} MB, then {after} MB"
    );
    process.stop().await;
}

#[tokio::test]
#[ignore = "takes minutes; prints figures for docs/reliability.md"]
async fn memory_under_100_000_made_up_keys() {
    let team = team().await;
    let process = Process::start(binary_at(&team.sandbox.url(), &[])).await;
    let id = process.child.id().unwrap();
    let one = process.caller("");
    let mary = process.caller(MARY);
    mary.call("persons-retrieve", &json!({"id": ADA})).await;
    let before = megabytes(id, "VmRSS");
    let mut number = 0;
    while number < 100_000 {
        let handshakes = (number..number + 64).map(|number| {
            let caller = Caller {
                bearer: Some(format!("phx_made_up_{number:08}")),
                ..one.clone()
            };
            let hello = opening_messages(WITH_HANDSHAKE[2]).remove(0);
            let request = caller.request(Method::POST, "/mcp").json(&hello);
            async move {
                request
                    .send()
                    .await
                    .map(|response| response.status().as_u16())
            }
        });
        for status in join_all(handshakes).await.into_iter().flatten() {
            assert!(matches!(status, 401 | 429 | 503), "{status}");
        }
        number += 64;
    }
    let (after, peak) = (megabytes(id, "VmRSS"), megabytes(id, "VmHWM"));
    eprintln!("{number} made-up keys: {before} MB before, {after} MB after, peak {peak} MB");
    mary.call("persons-retrieve", &json!({"id": ADA})).await;
    process.stop().await;
}

#[tokio::test]
#[ignore = "prints figures for docs/reliability.md"]
async fn memory_of_1000_idle_streams() {
    let keys: Vec<String> = (0..4).map(|number| format!("phx_user_{number}")).collect();
    let mut setup = super::Setup::default();
    let accepted = keys
        .iter()
        .map(|key| posthog_sandbox::Key::scoped(key, &["*"]));
    setup.sandbox.keys.extend(accepted);
    let team = super::team_with(setup).await;
    let process = Process::start(binary_at(&team.sandbox.url(), &[])).await;
    let id = process.child.id().unwrap();
    process
        .caller(MARY)
        .call("persons-retrieve", &json!({"id": ADA}))
        .await;
    let before = megabytes(id, "VmRSS");
    let mut streams = Vec::new();
    for number in 0..1_000 {
        let caller = process.caller(&keys[number % keys.len()]);
        streams.push(LegacyClient::begin(&caller).await);
    }
    let after = megabytes(id, "VmRSS");
    eprintln!("1000 idle streams with sessions: {before} MB before, {after} MB after");
    let served = process
        .caller(MARY)
        .call("persons-retrieve", &json!({"id": ADA}))
        .await;
    assert_eq!(served["isError"], false, "{served}");
    drop(streams);
    process.stop().await;
}
