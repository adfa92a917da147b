//! The evals of `evals/persons.yaml`: every task's script is played against the real binary and a sandbox of its own, and
//! scored as an assistant's work would be.

#[path = "../../evals/mod.rs"]
pub(crate) mod kit;

use std::collections::BTreeSet;

use futures::StreamExt;
use kit::play::Played;
use kit::score::{Doer, Finding, Request, Witness, score, unconfirmed};
use kit::suite::{Answers, PERSONS, Suite, Task};
use kit::transcript::Approval;
use posthog_persons_mcp::tools::catalog;
use rmcp::ClientLifecycleMode;
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

use crate::process::binary;

/// Tasks that are played at the same time.
const CONCURRENCY: usize = 4;

fn tools() -> BTreeSet<String> {
    let tools = catalog();
    tools.iter().map(|tool| tool.name.to_owned()).collect()
}

fn yaml() -> String {
    std::fs::read_to_string(PERSONS).unwrap()
}

fn suite() -> Suite {
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

/// Everything that is wrong with a task that was played.
async fn found(played: &Played, suite: &Suite, task: &Task) -> Vec<String> {
    let witness = Witness::new(&played.sandbox.url()).unwrap();
    let findings = score(suite, task, Doer::Script, &played.transcript, &witness).await;
    let failed = findings
        .unwrap()
        .into_iter()
        .filter(|finding| !finding.holds);
    let failed = failed.map(|finding: Finding| finding.to_string());
    played.wrong.iter().cloned().chain(failed).collect()
}

async fn play(task: &Task, lifecycle: ClientLifecycleMode) -> Played {
    kit::play::play(task, lifecycle, binary(&[])).await.unwrap()
}

#[tokio::test]
async fn every_script_does_its_task_and_leaves_the_state_that_it_should() {
    let suite = suite();
    for lifecycle in [with_handshake, without_handshake] {
        let played = futures::stream::iter(&suite.tasks).map(async |task| {
            let played = play(task, lifecycle()).await;
            let problems = found(&played, &suite, task).await;
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

#[test]
fn a_suite_that_knows_other_tools_than_the_catalog_cannot_be_read() {
    let mut fewer = tools();
    fewer.remove("persons-split");
    let problems = Suite::read(&yaml(), &fewer).unwrap_err();
    assert!(
        problems.contains("split-two-ids: there is no tool persons-split"),
        "{problems}"
    );
    let mut more = tools();
    more.insert("persons-merge".to_owned());
    let problems = Suite::read(&yaml(), &more).unwrap_err();
    assert_eq!(problems, "no task covers the tool persons-merge");
    let misspelt = yaml().replacen("expected_tools:", "expectedtools:", 1);
    let problems = Suite::read(&misspelt, &tools()).unwrap_err();
    assert!(problems.contains("expectedtools"), "{problems}");
}

/// The tasks with one of them changed.
fn changed(id: &str, change: impl FnOnce(&mut Task)) -> Suite {
    let mut suite = suite();
    change(suite.tasks.iter_mut().find(|task| task.id == id).unwrap());
    suite
}

async fn problems(suite: &Suite, id: &str) -> String {
    let task = suite.task(id).unwrap();
    let played = play(task, with_handshake()).await;
    found(&played, suite, task).await.join("\n")
}

#[tokio::test]
async fn a_state_that_does_not_hold_fails_its_task() {
    let suite = changed("set-one-property", |task| {
        let state = &mut task.state[0];
        state
            .has
            .insert("/properties/plan".to_owned(), json!("free"));
        state.lacks.push("/properties/seats".to_owned());
    });
    let problems = problems(&suite, "set-one-property").await;
    assert_eq!(
        problems,
        "FAILED state of persons/ada0ada0-1815-4852-8000-000000000101/: /properties/plan is \"enterprise\" and not \"free\", \
         /properties/seats is 12 and should not be there"
    );
}

#[tokio::test]
async fn a_tool_that_does_not_belong_to_the_task_fails_it_and_so_does_one_that_is_missing() {
    let suite = changed("find-by-email", |task| {
        task.expected_tools = vec!["persons-retrieve".to_owned()];
    });
    assert_eq!(
        problems(&suite, "find-by-email").await,
        "FAILED persons-retrieve was called\nFAILED no tool that does not belong to the task: [\"persons-list\"]"
    );
}

#[tokio::test]
async fn an_answer_without_its_facts_fails_the_task() {
    let suite = changed("find-by-email", |task| {
        task.script[0].says.push("Grace".to_owned());
        task.script[0].facts.insert("/count".to_owned(), json!(2));
        task.script[0].answers = Answers::Error;
    });
    let problems = problems(&suite, "find-by-email").await;
    for problem in [
        "answers Ok",
        "does not say \"Grace\"",
        "/count is None and not 2",
    ] {
        assert!(problems.contains(problem), "{problem}: {problems}");
    }
}

#[tokio::test]
async fn a_deletion_that_nobody_was_asked_about_is_found() {
    let suite = changed("erase-somebody", |task| {
        task.fixture.flags = vec!["--confirm".to_owned(), "off".to_owned()];
    });
    let problems = problems(&suite, "erase-somebody").await;
    let found =
        "FAILED writes without confirmation: 1 [\"POST /api/projects/1/persons/bulk_delete/\"]";
    assert!(problems.contains(found), "{problems}");
    assert!(problems.contains("FAILED the human: Agrees"), "{problems}");
}

#[test]
fn a_yes_serves_one_deletion_of_those_whom_it_named() {
    let request = |path: &str, body: Value| Request {
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
    let yes = |question: &str| Approval {
        question: question.to_owned(),
        by_token: false,
    };
    let count =
        |requests: &[Request], approvals: &[Approval]| unconfirmed(requests, approvals).len();
    assert_eq!(count(&[delete()], &[]), 1);
    assert_eq!(count(&[delete()], &[yes("a-1")]), 1);
    assert_eq!(count(&[delete()], &[yes("a-1, b-2")]), 0);
    assert_eq!(count(&[delete(), delete()], &[yes("a-1, b-2")]), 1);
    assert_eq!(count(&[split()], &[yes("d-4")]), 1);
    assert_eq!(count(&[split()], &[yes("d-4 of c-3")]), 0);
    // Without a body PostHog would split everything off.
    let all = request("c-3/split/", Value::Null);
    assert_eq!(count(&[all], &[]), 1);
    let one = Request {
        method: "DELETE".to_owned(),
        ..request("c-3/", Value::Null)
    };
    assert_eq!(count(std::slice::from_ref(&one), &[yes("d-4")]), 1);
    assert_eq!(count(&[one], &[yes("c-3")]), 0);
    let changes = request("c-3/update_property/", json!({"key": "plan", "value": 1}));
    assert!(changes.writes() && count(&[changes], &[]) == 0);
    assert!(!request("batch_by_uuids/", json!({})).writes());
}

#[tokio::test]
async fn a_token_that_comes_back_twice_is_one_yes() {
    let suite = suite();
    let task = suite.task("erase-in-a-client-that-cannot-ask").unwrap();
    let approvals = play(task, with_handshake()).await.transcript.approvals;
    assert_eq!(approvals.len(), 1, "{approvals:?}");
    assert!(approvals[0].by_token && approvals[0].question.contains("Delete 1 person"));
}
