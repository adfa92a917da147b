//! A server that is killed while it erases a thousand persons. Whatever is left, the report puts every person into one
//! state, and calls nothing gone that is not.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use posthog_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::support::*;
use crate::http_client;
use crate::process::session_input;
use crate::stdio::connected;
use crate::wire::WITH_HANDSHAKE;

const SANDBOXES: usize = 10;
const MOMENTS: [Moment; 5] = [
    Moment::Start,
    Moment::Call,
    Moment::Write,
    Moment::Write,
    Moment::Write,
];
const KILLS: usize = MOMENTS.len();
const PERSONS: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_twice_or_called_gone_after_a_kill() {
    let rounds = stream::iter(0..SANDBOXES).map(|_| tokio::spawn(round()));
    let kinds: Vec<[usize; 3]> = rounds
        .buffer_unordered(2)
        .map(|ended| ended.unwrap())
        .collect()
        .await;
    // The kills hit all phases: before the request, during it, and after it.
    let total = |kind: usize| kinds.iter().map(|round| round[kind]).sum::<usize>();
    assert_eq!(total(0) + total(1) + total(2), SANDBOXES * KILLS);
    assert!(total(0) > 0 && total(1) > 0, "{kinds:?}");
}

/// Five kills at one sandbox, with one log. How many calls had no line, no outcome, and an outcome.
async fn round() -> [usize; 3] {
    let sandbox = sandbox_now(KILLS * PERSONS + 100).await;
    let directory = Directory::new();
    let log = directory.file("audit.jsonl");
    std::fs::write(&log, "").unwrap();
    let everybody = list(&sandbox).await;
    // Without the seeded ones, some of whom have many distinct ids.
    let chosen: Vec<&String> = everybody.iter().rev().take(KILLS * PERSONS).collect();
    for (moment, ids) in MOMENTS.into_iter().zip(chosen.chunks(PERSONS)) {
        erase_and_kill(&sandbox, &log, json!(ids), moment).await;
    }
    let lines: Vec<Value> = std::fs::read_to_string(&log)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let started = lines
        .iter()
        .filter(|line| line["outcome"] == "started")
        .count();
    let ended = lines.len() - started;

    let mut times_sent: HashMap<String, usize> = HashMap::new();
    for request in sandbox.requests() {
        if request.path.ends_with("/bulk_delete/") {
            for id in request.body["ids"].as_array().unwrap() {
                *times_sent
                    .entry(id.as_str().unwrap().to_owned())
                    .or_default() += 1;
            }
        }
    }
    assert!(times_sent.values().all(|times| *times == 1));
    let recorded: HashSet<String> = lines
        .iter()
        .flat_map(|line| line["persons"].as_array().unwrap())
        .map(|person| person.as_str().unwrap().to_owned())
        .collect();
    assert!(times_sent.keys().all(|person| recorded.contains(person)));

    for advance in [0, 60, 8 * 24 * 3600] {
        sandbox.advance(Duration::from_secs(advance));
        let report = report(&sandbox, &log).await;
        assert_eq!(report["log"]["is_intact"], true, "{report}");
        assert_eq!(report["log"]["without_outcome"], started - ended);
        let persons = report["persons"].as_array().unwrap();
        let named: HashSet<&str> = persons
            .iter()
            .map(|person| person["person"].as_str().unwrap())
            .collect();
        assert_eq!(named.len(), persons.len(), "each person once");
        assert_eq!(named.len(), recorded.len());
        let there: HashSet<String> = list(&sandbox).await.into_iter().collect();
        let verified = verified_events(&sandbox).await;
        for person in persons {
            let uuid = person["person"].as_str().unwrap();
            let is_gone = !there.contains(uuid) && verified.contains(uuid);
            if person["state"] == "verified_gone" {
                assert!(!there.contains(uuid), "{person}");
            }
            if person["events"]
                .as_str()
                .unwrap()
                .starts_with("verified gone")
            {
                assert!(verified.contains(uuid), "{person}");
            }
            if is_gone {
                assert_eq!(person["state"], "verified_gone", "{person}");
            }
            if !times_sent.contains_key(uuid) {
                assert_eq!(person["profile"], "there", "{person}");
            }
        }
    }
    assert_eq!(sandbox.violations(), Vec::<String>::new());
    [KILLS - started, started - ended, ended]
}

/// What a kill hits, at a random time.
#[derive(Clone, Copy)]
enum Moment {
    /// The first milliseconds, in which nothing is written yet.
    Start,
    Call,
    /// From its first line in the audit log on.
    Write,
}

/// Kills the server at a random moment.
async fn erase_and_kill(sandbox: &Sandbox, log: &str, ids: Value, moment: Moment) {
    let flags = ["--confirm", "off", "--audit-log", log];
    let mut child = connected(&flags, &sandbox.url(), Sandbox::KEY)
        .spawn()
        .unwrap();
    let arguments = json!({"ids": ids, "delete_events": true, "delete_recordings": true});
    let input = session_input(WITH_HANDSHAKE[3], &[(DELETE, arguments)]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    match moment {
        Moment::Start => sleep(random(20_000)).await,
        Moment::Call => sleep(random(1_200_000)).await,
        Moment::Write => {
            let length = || std::fs::metadata(log).unwrap().len();
            let (before, until) = (length(), Instant::now() + Duration::from_secs(10));
            while length() == before && Instant::now() < until {
                sleep(Duration::from_millis(1)).await;
            }
            sleep(random(60_000)).await;
        }
    }
    // SIGKILL.
    child.kill().await.unwrap();
}

/// The UUIDs that PostHog lists, the newest first.
async fn list(sandbox: &Sandbox) -> Vec<String> {
    column(sandbox, "persons/?limit=50000", "uuid").await
}

/// The persons whose events PostHog says are deleted.
async fn verified_events(sandbox: &Sandbox) -> HashSet<String> {
    let path = "persons/deletion_status/?status=completed&limit=50000";
    let persons = column(sandbox, path, "person_uuid").await;
    persons.into_iter().collect()
}

/// One field of all results.
async fn column(sandbox: &Sandbox, path: &str, field: &str) -> Vec<String> {
    let page = get(sandbox, path).await;
    let rows = page["results"].as_array().unwrap().iter();
    rows.map(|row| row[field].as_str().unwrap().to_owned())
        .collect()
}

async fn get(sandbox: &Sandbox, path: &str) -> Value {
    let url = format!("{}/api/projects/{}/{path}", sandbox.url(), Sandbox::PROJECT);
    let request = http_client::client().get(url).bearer_auth(Sandbox::KEY);
    request.send().await.unwrap().json().await.unwrap()
}

/// A time below this many microseconds.
fn random(microseconds: u64) -> Duration {
    Duration::from_micros(rand::random_range(0..microseconds))
}
