//! The evals of `evals/persons.yaml`: every script is played against the binary, with a sandbox per task, and scored like
//! an assistant's run.

#[path = "../../evals/mod.rs"]
pub(crate) mod harness;

use std::collections::BTreeSet;

use futures::StreamExt;
use harness::play::Playback;
use harness::score::{Actor, Finding, ReceivedRequest, SandboxClient, score, unconfirmed_writes};
use harness::suite::{ExpectedOutcome, SUITE_PATH, Suite, Task};
use harness::transcript::Approval;
use posthog_persons_mcp::tools::catalog;
use rmcp::ClientLifecycleMode;
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

use crate::process::binary;

/// Concurrently played tasks.
const CONCURRENCY: usize = 4;

fn tools() -> BTreeSet<String> {
    let tools = catalog();
    tools.iter().map(|tool| tool.name.to_owned()).collect()
}

fn yaml() -> String {
    std::fs::read_to_string(SUITE_PATH).unwrap()
}

pub(crate) fn suite() -> Suite {
    Suite::read(&yaml(), &tools()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn with_handshake() -> ClientLifecycleMode {
    ClientLifecycleMode::Initialize
}

fn without_handshake() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

/// The script's mismatches and the failed checks.
async fn failures(played: &Playback, suite: &Suite, task: &Task) -> Vec<String> {
    let sandbox = SandboxClient::new(&played.sandbox.url()).unwrap();
    let findings = score(suite, task, Actor::Script, &played.transcript, &sandbox).await;
    let failed = findings
        .unwrap()
        .into_iter()
        .filter(|finding| !finding.passed);
    let failed = failed.map(|finding: Finding| finding.to_string());
    played.mismatches.iter().cloned().chain(failed).collect()
}

async fn play(task: &Task, lifecycle: ClientLifecycleMode) -> Playback {
    harness::play::play(task, lifecycle, binary(&[]))
        .await
        .unwrap()
}

#[tokio::test]
async fn every_script_passes_with_and_without_a_handshake() {
    let suite = suite();
    for lifecycle in [with_handshake, without_handshake] {
        let played = futures::stream::iter(&suite.tasks).map(async |task| {
            let played = play(task, lifecycle()).await;
            let problems = failures(&played, &suite, task).await;
            problems
                .into_iter()
                .map(|problem| format!("{}: {problem}", task.id))
                .collect::<Vec<_>>()
        });
        let problems: Vec<Vec<String>> = played.buffered(CONCURRENCY).collect().await;
        let problems = problems.concat();
        assert!(
            problems.is_empty(),
            "{:?}\n{}",
            lifecycle(),
            problems.join("\n")
        );
    }
}

/// Fewer say little about a model. `suite` also checks that no prompt names a tool.
#[test]
fn suite_has_at_least_60_tasks() {
    let tasks = suite().tasks.len();
    assert!(tasks >= 60, "{tasks} tasks");
}

#[test]
fn suite_rejects_unknown_tools_uncovered_tools_and_unknown_fields() {
    let mut fewer = tools();
    fewer.remove("persons-split");
    let problems = Suite::read(&yaml(), &fewer).unwrap_err();
    assert!(
        problems.contains("split-two-ids: unknown tool persons-split"),
        "{problems}"
    );
    let mut more = tools();
    more.insert("persons-anonymize".to_owned());
    let problems = Suite::read(&yaml(), &more).unwrap_err();
    assert_eq!(problems, "no task covers the tool persons-anonymize");
    let named = yaml().replacen("What plans are people on?", "Call persons-split.", 1);
    let problems = Suite::read(&named, &tools()).unwrap_err();
    assert_eq!(
        problems,
        "values-of-a-property: the intent names the tool persons-split"
    );
    let misspelt = yaml().replacen("expected_tools:", "expectedtools:", 1);
    let problems = Suite::read(&misspelt, &tools()).unwrap_err();
    assert!(problems.contains("expectedtools"), "{problems}");
}

/// The suite with one task modified.
fn suite_with(id: &str, change: impl FnOnce(&mut Task)) -> Suite {
    let mut suite = suite();
    change(suite.tasks.iter_mut().find(|task| task.id == id).unwrap());
    suite
}

async fn problems(suite: &Suite, id: &str) -> String {
    let task = suite.task(id).unwrap();
    let played = play(task, with_handshake()).await;
    failures(&played, suite, task).await.join("\n")
}

#[tokio::test]
async fn unexpected_state_fails_the_task() {
    let suite = suite_with("set-one-property", |task| {
        let state = &mut task.state[0];
        state
            .has
            .insert("/properties/plan".to_owned(), json!("free"));
        state.lacks.push("/properties/seats".to_owned());
    });
    let problems = problems(&suite, "set-one-property").await;
    assert_eq!(
        problems,
        "FAILED state of persons/ada0ada0-1815-4852-8000-000000000101/: /properties/plan is \"enterprise\", expected \"free\", \
         /properties/seats is 12, expected absent"
    );
}

#[tokio::test]
async fn unexpected_and_missing_tools_fail_the_task() {
    let suite = suite_with("find-by-email", |task| {
        task.expected_tools = vec!["persons-retrieve".to_owned()];
    });
    assert_eq!(
        problems(&suite, "find-by-email").await,
        "FAILED persons-retrieve was called\nFAILED no unexpected tools: [\"persons-list\"]"
    );
}

#[tokio::test]
async fn tool_result_that_differs_from_the_script_fails_the_task() {
    let suite = suite_with("find-by-email", |task| {
        task.script[0].contains.push("Grace".to_owned());
        task.script[0]
            .structured
            .insert("/count".to_owned(), json!(2));
        task.script[0].outcome = ExpectedOutcome::Error;
    });
    let problems = problems(&suite, "find-by-email").await;
    for problem in [
        "outcome Ok",
        "does not contain \"Grace\"",
        "/count is None, expected 2",
    ] {
        assert!(problems.contains(problem), "{problem}: {problems}");
    }
}

#[tokio::test]
async fn unconfirmed_deletion_fails_the_task() {
    let suite = suite_with("erase-person", |task| {
        task.fixture.flags = vec!["--confirm".to_owned(), "off".to_owned()];
    });
    let problems = problems(&suite, "erase-person").await;
    let expected =
        "FAILED writes without confirmation: 1 [\"POST /api/projects/1/persons/bulk_delete/\"]";
    assert!(problems.contains(expected), "{problems}");
    assert!(
        problems.contains("FAILED confirmation Approved"),
        "{problems}"
    );
}

#[test]
fn confirmation_covers_one_request_and_only_the_ids_it_names() {
    let request = |path: &str, body: Value| ReceivedRequest {
        method: "POST".to_owned(),
        path: format!("/api/projects/1/persons/{path}"),
        body,
    };
    let delete = || {
        request(
            "bulk_delete/",
            json!({"ids": ["a-1", "b-2"], "delete_events": true}),
        )
    };
    let split = || request("c-3/split/", json!({"distinct_ids_to_split": ["d-4"]}));
    let approval = |question: &str| Approval {
        question: question.to_owned(),
        by_token: false,
    };
    let count = |requests: &[ReceivedRequest], approvals: &[Approval]| {
        unconfirmed_writes(requests, approvals).len()
    };
    assert_eq!(count(&[delete()], &[]), 1);
    assert_eq!(count(&[delete()], &[approval("a-1")]), 1);
    assert_eq!(count(&[delete()], &[approval("a-1, b-2")]), 0);
    assert_eq!(count(&[delete(), delete()], &[approval("a-1, b-2")]), 1);
    assert_eq!(count(&[split()], &[approval("d-4")]), 1);
    assert_eq!(count(&[split()], &[approval("d-4 of c-3")]), 0);
    // Without a body PostHog splits off all distinct ids.
    let all = request("c-3/split/", Value::Null);
    assert_eq!(count(&[all], &[]), 1);
    let one = ReceivedRequest {
        method: "DELETE".to_owned(),
        ..request("c-3/", Value::Null)
    };
    assert_eq!(count(std::slice::from_ref(&one), &[approval("d-4")]), 1);
    assert_eq!(count(&[one], &[approval("c-3")]), 0);
    // A merge of several persons is one event for each, under one confirmation.
    let merge = |alias: &str| ReceivedRequest {
        path: "/i/v0/e/".to_owned(),
        ..request(
            "",
            json!({"distinct_id": "e-5", "properties": {"alias": alias}}),
        )
    };
    assert_eq!(count(&[merge("f-6")], &[]), 1);
    assert_eq!(count(&[merge("f-6")], &[approval("f-6")]), 1);
    assert_eq!(count(&[merge("f-6")], &[approval("e-5, f-6")]), 0);
    let both = [merge("f-6"), merge("g-7")];
    assert_eq!(count(&both, &[approval("e-5, f-6")]), 1);
    assert_eq!(count(&both, &[approval("e-5, f-6, g-7")]), 0);
    let twice = [merge("f-6"), merge("f-6")];
    assert_eq!(count(&twice, &[approval("e-5, f-6")]), 1);
    let changes = request("c-3/update_property/", json!({"key": "plan", "value": 1}));
    assert!(changes.is_write() && count(&[changes], &[]) == 0);
    assert!(!request("batch_by_uuids/", json!({})).is_write());
}

#[tokio::test]
async fn token_used_twice_counts_as_one_approval() {
    let suite = suite();
    let task = suite.task("erase-without-elicitation").unwrap();
    let approvals = play(task, with_handshake()).await.transcript.approvals;
    assert_eq!(approvals.len(), 1, "{approvals:?}");
    assert!(approvals[0].by_token && approvals[0].question.contains("Delete 1 person"));
}
