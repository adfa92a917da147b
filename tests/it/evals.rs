//! The evals of `evals/persons.yaml`: every task's script is played against the real binary and a sandbox of its own, and
//! scored as an assistant's work would be. Writes `docs/examples.md` from the same conversations.

#[path = "../../evals/mod.rs"]
pub(crate) mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use kit::score::{Doer, Finding, Request, Witness, score, unconfirmed};
use kit::suite::{Answers, Human as Asked, PERSONS, Suite, Task};
use kit::transcript::{Answer, Call, Line, Transcript, Yes, record};
use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::{Clock, Sandbox};
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::{ClientLifecycleMode, ClientServiceExt};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::human::{Human, Reaction};
use crate::process::binary;
use crate::wire::PATIENCE;

/// Tasks that are played at the same time.
const SIDE_BY_SIDE: usize = 4;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples.md");

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

/// A task that was played, and what is left of it.
struct Played {
    /// What an answer should have been and was not.
    wrong: Vec<String>,
    transcript: Transcript,
    sandbox: Sandbox,
}

impl Played {
    /// Everything that is wrong with it.
    async fn problems(&self, suite: &Suite, task: &Task) -> Vec<String> {
        let witness = Witness::new(&self.sandbox.url()).unwrap();
        let findings = score(suite, task, Doer::Script, &self.transcript, &witness).await;
        let failed = findings
            .unwrap()
            .into_iter()
            .filter(|finding| !finding.holds);
        let failed = failed.map(|finding: Finding| finding.to_string());
        self.wrong.iter().cloned().chain(failed).collect()
    }
}

/// Plays a script: the real binary, a real client, and everything between them on record.
async fn play(task: &Task, lifecycle: ClientLifecycleMode) -> Played {
    let sandbox = kit::sandbox::start(&task.fixture, Clock::Manual)
        .await
        .unwrap();
    let arguments = kit::sandbox::arguments(&task.fixture);
    let mut command = binary(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    command.envs(kit::sandbox::environment(&task.fixture, &sandbox.url()));
    let mut server = command.spawn().unwrap();
    let said = (server.stdout.take().unwrap(), server.stdin.take().unwrap());
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let lines: Arc<Mutex<Vec<Line>>> = Arc::default();
    let kept = Arc::clone(&lines);
    let recording = tokio::spawn(record(tokio::io::split(theirs), said, move |line| {
        // As they would come back from a file.
        kept.lock().unwrap().push(Line::read(&line.text()).unwrap());
        Ok(())
    }));
    let human = match task.human {
        Asked::NotAsked | Asked::Declines => Human::answering_with(Reaction::Decline),
        Asked::Agrees => Human::answering_with(Reaction::Tick),
        Asked::AgreesInTheChat => Human::default(),
    };
    let client = human.serve_with_lifecycle(ours, lifecycle).await.unwrap();

    let mut wrong = Vec::new();
    let mut kept = BTreeMap::new();
    for (number, step) in task.script.iter().enumerate() {
        sandbox.advance(std::time::Duration::from_secs(step.after));
        let arguments = filled(Value::Object(step.with.clone()), &kept);
        let arguments = arguments.as_object().unwrap().clone();
        let request = CallToolRequestParams::new(step.call.clone()).with_arguments(arguments);
        let answer = match client.call_tool(request).await {
            Ok(result) => Answer {
                text: crate::text(&result),
                structured: result.structured_content.unwrap_or_default(),
                is_error: result.is_error == Some(true),
                is_unknown: false,
            },
            Err(error) => Answer {
                text: error.to_string(),
                structured: Value::Null,
                is_error: false,
                is_unknown: true,
            },
        };
        for (name, pointer) in &step.keep {
            let value = answer.structured.pointer(pointer).cloned();
            kept.insert(name.clone(), value.unwrap_or_default());
        }
        let place = format!("step {} ({})", number + 1, step.call);
        wrong.extend(differences(step, &answer).map(|difference| format!("{place}: {difference}")));
    }
    client.cancel().await.unwrap();
    timeout(PATIENCE, recording)
        .await
        .expect("an end in time")
        .unwrap()
        .unwrap();
    let status = timeout(PATIENCE, server.wait())
        .await
        .expect("an end in time")
        .unwrap();
    if !status.success() {
        wrong.push(format!("the server ended with {status}"));
    }
    let transcript = Transcript::read(&lines.lock().unwrap());
    Played {
        wrong,
        transcript,
        sandbox,
    }
}

/// The arguments with what earlier answers gave.
fn filled(arguments: Value, kept: &BTreeMap<String, Value>) -> Value {
    match arguments {
        Value::String(text) => match text
            .strip_prefix('<')
            .and_then(|text| text.strip_suffix('>'))
        {
            Some(name) => kept
                .get(name)
                .cloned()
                .unwrap_or_else(|| panic!("nothing was kept as {name}")),
            None => text.into(),
        },
        Value::Array(items) => items.into_iter().map(|item| filled(item, kept)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, filled(value, kept)))
            .collect(),
        other => other,
    }
}

fn differences(step: &kit::suite::Step, answer: &Answer) -> impl Iterator<Item = String> {
    let kind = match (answer.is_unknown, answer.is_error) {
        (true, _) => Answers::UnknownTool,
        (_, true) => Answers::Error,
        _ => Answers::Ok,
    };
    let mut differences = Vec::new();
    if kind != step.answers {
        differences.push(format!("answers {kind:?}: {}", answer.text));
    }
    for fact in step.says.iter().filter(|fact| !answer.text.contains(*fact)) {
        differences.push(format!("does not say {fact:?}: {}", answer.text));
    }
    for fact in step
        .never_says
        .iter()
        .filter(|fact| answer.text.contains(*fact))
    {
        differences.push(format!("says {fact:?}: {}", answer.text));
    }
    for (pointer, wanted) in &step.facts {
        let found = answer.structured.pointer(pointer);
        if found != Some(wanted) {
            differences.push(format!("{pointer} is {found:?} and not {wanted}"));
        }
    }
    for pointer in step.keep.values() {
        if answer.structured.pointer(pointer).is_none() {
            differences.push(format!("nothing to keep at {pointer}: {}", answer.text));
        }
    }
    differences.into_iter()
}

#[tokio::test]
async fn every_script_does_its_task_and_leaves_the_state_that_it_should() {
    let suite = suite();
    for lifecycle in [with_handshake, without_handshake] {
        let played = futures::stream::iter(&suite.tasks).map(async |task| {
            let played = play(task, lifecycle()).await;
            let problems = played.problems(&suite, task).await;
            problems
                .into_iter()
                .map(|problem| format!("{}: {problem}", task.id))
                .collect::<Vec<_>>()
        });
        let problems: Vec<Vec<String>> = played.buffered(SIDE_BY_SIDE).collect().await;
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
    played.problems(suite, task).await.join("\n")
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
    let yes = |question: &str| Yes {
        question: question.to_owned(),
        by_token: false,
    };
    let count = |requests: &[Request], yeses: &[Yes]| unconfirmed(requests, yeses).len();
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
    let yeses = play(task, with_handshake()).await.transcript.yeses;
    assert_eq!(yeses.len(), 1, "{yeses:?}");
    assert!(yeses[0].by_token && yeses[0].question.contains("Delete 1 person"));
}

// The page of examples.

/// Lines of an answer that the page shows.
const MAX_LINES: usize = 20;
/// Characters of a line that the page shows.
const MAX_COLUMNS: usize = 400;

const OPENING: &str = "\
# Examples

What a user says, what the assistant calls, what comes back. The words of the assistant are left out; everything else is
from real conversations with the server. The same persons are in the sandbox, so that each can be tried:

```sh
posthog-persons-mcp --sandbox call persons-list '{\"email\": \"ada@example.com\"}'
```

This page is written by a test, from the tasks of [evals/persons.yaml](../evals/persons.yaml), and the test fails when an
answer changes: `UPDATE_EXAMPLES=1 cargo test --test it page_of_examples` writes it anew. `http://sandbox` stands for the address of
PostHog, `…` for what is too long for a page and for tokens.
";

#[tokio::test]
async fn the_page_of_examples_shows_what_the_server_says() {
    let suite = suite();
    let mut page = OPENING.to_owned();
    for task in &suite.tasks {
        let Some(explanation) = &task.page else {
            continue;
        };
        let played = play(task, with_handshake()).await;
        assert_eq!(played.wrong, Vec::<String>::new(), "{}", task.id);
        let here = played.sandbox.url();
        let _ = write!(page, "\n## “{}”\n\n{}\n", task.intent, explanation.trim());
        for call in &played.transcript.calls {
            push_call(&mut page, call, &here);
        }
    }
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let written = std::fs::read_to_string(Path::new(PAGE)).unwrap_or_default();
    assert!(
        written == page,
        "docs/examples.md is not what the server says: UPDATE_EXAMPLES=1 cargo test --test it page_of_examples writes it anew"
    );
}

fn push_call(page: &mut String, call: &Call, here: &str) {
    let mut arguments: Map<String, Value> = call.arguments.clone();
    if arguments.contains_key("confirmation") {
        arguments["confirmation"] = "…".into();
    }
    let _ = write!(page, "\n`{}` `{}`\n", call.tool, Value::Object(arguments));
    for (question, agrees) in &call.asked {
        let answer = if *agrees { "Yes" } else { "No" };
        let _ = write!(
            page,
            "\nThe human is asked:\n\n{}\nand says: **{answer}**\n",
            block(question, here)
        );
    }
    let answer = call.answer.as_ref().unwrap();
    let _ = write!(page, "\n{}", block(&answer.text, here));
}

/// A text as a block, cut where it is long, without what differs from run to run.
fn block(text: &str, here: &str) -> String {
    let text = text.replace(here, "http://sandbox");
    let text = match text.split_once("confirmation \"") {
        Some((before, rest)) => {
            let (_, after) = rest.split_once('"').unwrap();
            format!("{before}confirmation \"…\"{after}")
        }
        None => text,
    };
    let count = text.lines().count();
    let mut block = "```text\n".to_owned();
    for line in text.lines().take(MAX_LINES) {
        let shown: String = line.chars().take(MAX_COLUMNS).collect();
        let more = if shown.len() < line.len() { "…" } else { "" };
        let _ = writeln!(block, "{}{more}", shown.replace("```", "'''"));
    }
    if count > MAX_LINES {
        let _ = writeln!(block, "… {} more lines", count - MAX_LINES);
    }
    block + "```\n"
}
