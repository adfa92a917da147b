//! Sends the requests of a recording in order, with what happened on the server in between.

use std::time::Duration;

use posthog_sandbox::{Clock, Era, Fault, FaultKind, Sandbox, SandboxOptions, Seed};
use serde_json::json;
use tokio::net::TcpListener;

use super::compare::difference;
use super::differences::{DIFFERENCES, applies, is_listed};
use super::recording::{Pair, Recording};
use crate::{ReferenceClient, client, read};

const RECORDINGS: [(Era, &str); 2] = [
    (
        Era::August2025,
        include_str!("../../recordings/2025-08.json"),
    ),
    (Era::June2026, include_str!("../../recordings/2026-06.json")),
];

#[tokio::test]
async fn the_sandbox_responds_as_recorded() {
    let mut wrong = Vec::new();
    let mut unused: Vec<_> = DIFFERENCES.iter().collect();
    for (era, json) in RECORDINGS {
        let recording = Recording::read(json);
        let api = start(era, json, &recording).await;
        for pair in &recording.pairs {
            // The query API of the recorded server is that of 2025 in both.
            if era > Era::August2025 && pair.request.is_query() {
                continue;
            }
            unused.retain(|listed| !applies(listed, &pair.id, era.as_str()));
            let found = replay(&api, pair).await;
            match (found, is_listed(&pair.id, era.as_str())) {
                (Some(found), false) => wrong.push(format!("{era} {}: {found}", pair.id)),
                (None, true) => wrong.push(format!("{era} {} no longer differs", pair.id)),
                _ => {}
            }
        }
    }
    wrong.extend(
        unused
            .iter()
            .map(|listed| format!("no pair is {}", listed.0)),
    );
    assert!(
        wrong.is_empty(),
        "{}\n{} differ",
        wrong.join("\n"),
        wrong.len()
    );
}

async fn start(era: Era, json: &str, recording: &Recording) -> ReferenceClient {
    let options = SandboxOptions {
        era,
        seed: Some(Seed::parse(json).unwrap()),
        clock: Clock::Manual,
        keys: recording.keys(),
        ..SandboxOptions::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    ReferenceClient {
        sandbox: Sandbox::start(listener, options).await.unwrap(),
        client: client(),
        key: Sandbox::KEY,
    }
}

async fn replay(api: &ReferenceClient, pair: &Pair) -> Option<String> {
    prepare(api, pair);
    let request = pair.request.builder(&api.client, &api.sandbox.url());
    let reply = read(request.send().await.unwrap()).await;
    api.sandbox.clear_faults();
    api.sandbox
        .update_behaviors(|behaviors| *behaviors = Default::default());
    if pair.changes_state {
        // In the recording what is asynchronous was done when the response came.
        api.advance(60);
    }
    if pair.request.is_query() {
        return super::query::difference(pair.response.status, &pair.response.body, &reply);
    }
    difference(&pair.response, &reply)
}

/// What was done to the server before the request, as the notes of the recording say.
fn prepare(api: &ReferenceClient, pair: &Pair) {
    if pair.request.is_throttled() {
        api.sandbox
            .inject(Fault::once("", FaultKind::Throttle { retry_after: 49 }));
    }
    api.sandbox.update_behaviors(|behaviors| {
        let capture = pair.id.split_once("-capture-");
        if let Some((_, status)) = capture {
            behaviors.capture_down = true;
            behaviors.capture_status = status.parse().unwrap();
        }
        behaviors.foreign_current_project = pair.id == "cohorts-current-project-is-another";
        let fails = pair.id == "bulk-one-fails";
        behaviors.deletion_fails_at = fails.then(|| "delete_postgres".to_owned());
    });
    match pair.id.as_str() {
        "deletion-status-completed" => api.sandbox.advance(Duration::from_secs(7 * 24 * 3600)),
        "reset-reused-list" => {
            let properties = json!({"$set": {"email": "re1@example.com"}});
            api.capture("re_1", "$identify", properties);
        }
        _ => {}
    }
}
