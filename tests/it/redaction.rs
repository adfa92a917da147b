//! With `--mask-emails` and `--redact email,name` nothing that the real binary says holds an e-mail address or a name of
//! anybody: no answer, question, prompt, completion, document, error, log line or line of the audit log.
//!
//! What must not be said is read from the sandbox's own API, and what has to be called from the catalog.

#![allow(
    deprecated,
    reason = "log messages are what newer versions left out and older clients ask for"
)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthog_persons_mcp::policy::Effect;
use posthog_persons_mcp::tools::{ToolDefinition, catalog};
use posthog_sandbox::{Clock, Fault, FaultKind, Sandbox, SandboxOptions};
use regex_lite::Regex;
use rmcp::model::{
    ArgumentInfo, CallToolRequestParams, CompleteRequestParams, GetPromptRequestParams,
    LoggingLevel, PromptReference, ProtocolVersion, ReadResourceRequestParams, Reference,
    SetLevelRequestParams,
};
use rmcp::service::RunningService;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::evals::kit::score::Witness;
use crate::evals::kit::transcript::record;
use crate::human::{Human, Reaction};
use crate::process::binary;
use crate::wire::PATIENCE;

/// Numbers of persons that the story may have, those that no list shows included.
const NUMBERS: std::ops::Range<u64> = 101..210;

/// Distinct ids of one person that are tried: all of them, but of the kiosk, which has thousands of one kind.
const TRIED: usize = 10;
const TRIED_OF_MANY: usize = 2;

/// The real binary on a sandbox, with everything that it says kept.
struct Session {
    client: RunningService<RoleClient, Human>,
    sandbox: Sandbox,
    said: Arc<Mutex<Vec<String>>>,
    recording: JoinHandle<std::io::Result<()>>,
    logs: JoinHandle<String>,
    audit: std::path::PathBuf,
}

async fn begin(settings: &[&str], human: Human, lifecycle: ClientLifecycleMode) -> Session {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let options = SandboxOptions {
        clock: Clock::Manual,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(listener, options).await.unwrap();
    let audit = std::env::temp_dir().join(format!("audit-{}.jsonl", uuid::Uuid::new_v4()));
    let mut command = binary(&[
        "stdio",
        "--log",
        "trace",
        "--audit-log",
        audit.to_str().unwrap(),
    ]);
    command
        .args(settings)
        .env("POSTHOG_HOST", sandbox.url())
        .env("POSTHOG_PERSONAL_API_KEY", Sandbox::LEGACY_KEY)
        .env("POSTHOG_PROJECT_ID", Sandbox::PROJECT.to_string());
    let mut server = command.spawn().unwrap();
    let mut stderr = server.stderr.take().unwrap();
    let pipes = (server.stdout.take().unwrap(), server.stdin.take().unwrap());
    let logs = tokio::spawn(async move {
        let mut text = String::new();
        stderr.read_to_string(&mut text).await.unwrap();
        assert!(server.wait().await.unwrap().success(), "{text}");
        text
    });
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&said);
    let recording = tokio::spawn(record(tokio::io::split(theirs), pipes, move |line| {
        if !line.client {
            kept.lock().unwrap().push(line.message.to_string());
        }
        Ok(())
    }));
    Session {
        client: human.serve_with_lifecycle(ours, lifecycle).await.unwrap(),
        sandbox,
        said,
        recording,
        logs,
        audit,
    }
}

impl Session {
    /// Calls a tool. What it answers is on record, whatever it is.
    async fn call(&self, tool: &str, arguments: Value) {
        let arguments = arguments.as_object().unwrap().clone();
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let _ = self.client.call_tool(request).await;
    }

    /// Everything that was said, each with where.
    async fn end(self) -> Vec<(&'static str, String)> {
        self.client.cancel().await.unwrap();
        let recorded = timeout(PATIENCE, self.recording).await;
        recorded.expect("an end in time").unwrap().unwrap();
        let logs = timeout(PATIENCE, self.logs)
            .await
            .expect("an end in time")
            .unwrap();
        let audit = std::fs::read_to_string(&self.audit).unwrap();
        std::fs::remove_file(&self.audit).unwrap();
        let said = self.said.lock().unwrap();
        let said = said.iter().map(|line| ("answer", line.clone()));
        said.chain([("log", logs), ("audit log", audit)]).collect()
    }
}

/// The persons of the story as the sandbox's own API shows them, and what must not be said of them.
struct Story {
    persons: Vec<Value>,
    addresses: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl Story {
    async fn read(sandbox: &Sandbox) -> Self {
        let witness = Witness::new(&sandbox.url()).unwrap();
        let mut persons = Vec::new();
        for number in NUMBERS {
            let (status, person) = witness
                .read(&format!("api/projects/1/persons/{number}/"))
                .await
                .unwrap();
            if status == 200 {
                persons.push(person);
            }
        }
        let mut everything = persons.clone();
        for path in [
            "api/users/@me/",
            "api/projects/1/persons/?limit=1000",
            "api/projects/1/persons/activity/?limit=100",
            "api/projects/1/persons/values/?key=email",
        ] {
            let (status, answer) = witness.read(path).await.unwrap();
            assert_eq!(status, 200, "{path}: {answer}");
            everything.push(answer);
        }
        let (mut addresses, mut names) = (BTreeSet::new(), BTreeSet::new());
        let address = Regex::new(r#"[^\s<>"',;]+@[^\s<>"',;]+"#).unwrap();
        for answer in &everything {
            let mut texts = Vec::new();
            collect(answer, &mut texts);
            for text in texts.into_iter().filter(|text| text.contains('@')) {
                addresses.extend(
                    address
                        .find_iter(text)
                        .map(|found| found.as_str().to_lowercase()),
                );
            }
        }
        for person in everything.iter().chain(rows(&everything)) {
            if let Some(name) = person["properties"]["name"].as_str() {
                names.insert(name.to_lowercase());
            }
        }
        for known in [
            "ada@example.com",
            "luigi@example.com",
            "ghost@example.com",
            "mary.somerville@example.com",
        ] {
            assert!(
                addresses.contains(known),
                "{known} is not among {addresses:?}"
            );
        }
        assert!(names.contains("ada lovelace"), "{names:?}");
        Self {
            persons,
            addresses,
            names,
        }
    }

    fn uuids(&self) -> impl Iterator<Item = &str> {
        self.persons
            .iter()
            .map(|person| person["uuid"].as_str().unwrap())
    }

    /// What a text says that it must not.
    fn told_by(&self, text: &str, names: bool) -> Option<String> {
        let text = text.to_lowercase();
        let names = self.names.iter().filter(|_| names);
        let known = self.addresses.iter().chain(names).find(|secret| {
            text.contains(secret.as_str()) || text.contains(&secret.replace('@', "%40"))
        });
        if let Some(known) = known {
            return Some(known.clone());
        }
        address_in(&text)
    }
}

/// Anything that has the form of an address, such as one that a call brought. By hand: a pattern takes its time over the
/// long values of the story.
fn address_in(text: &str) -> Option<String> {
    let marks = ["@", "%40"].into_iter();
    let mut marks = marks.flat_map(|mark| text.match_indices(mark));
    let is_part = |c: char| c.is_alphanumeric() || "._+-".contains(c);
    marks.find_map(|(at, mark)| {
        let before = text[..at].chars().rev().take_while(|c| is_part(*c)).count();
        let after: String = text[at + mark.len()..]
            .chars()
            .take_while(|c| is_part(*c))
            .collect();
        (before > 0 && after.contains('.')).then(|| format!("{mark}{after}"))
    })
}

fn rows(answers: &[Value]) -> impl Iterator<Item = &Value> {
    answers
        .iter()
        .filter_map(|answer| answer["results"].as_array())
        .flatten()
}

fn collect<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(fields) => {
            for (name, value) in fields {
                texts.push(name);
                collect(value, texts);
            }
        }
        _ => {}
    }
}

/// The calls of a tool that concern a person, by each of the names that the person has. A tool without a line here fails.
fn calls(tool: &str, person: &Value) -> Vec<Value> {
    let uuid = &person["uuid"];
    let ids = person["distinct_ids"].as_array().unwrap();
    let tried = if ids.len() > TRIED {
        TRIED_OF_MANY
    } else {
        TRIED
    };
    let ids: Vec<&Value> = ids.iter().take(tried).collect();
    let each = |arguments: &dyn Fn(&Value) -> Value| {
        ids.iter().map(|id| arguments(id)).collect::<Vec<_>>()
    };
    let all = json!(["*"]);
    match tool {
        "persons-list" => {
            let mut calls = each(&|id| json!({"distinct_id": id, "select": all}));
            calls.push(json!({"search": uuid}));
            if let Some(email) = person["properties"].get("email") {
                calls.push(json!({"email": email}));
                calls.push(json!({"email": email, "format": "csv"}));
                calls.push(json!({"properties": [{"key": "email", "operator": "icontains", "value": email}]}));
                calls
                    .push(json!({"properties": [{"key": "email", "operator": email, "value": 1}]}));
                calls.push(json!({"limit": email}));
                calls.push(json!({email.as_str().unwrap(): email}));
            }
            calls
        }
        "persons-retrieve" => {
            let mut calls = each(&|id| json!({"distinct_id": id}));
            calls.extend(each(&|id| json!({"id": id})));
            calls.push(json!({"id": uuid, "select": all}));
            calls
        }
        "persons-values-retrieve" => {
            let keys = person["properties"].as_object().unwrap().keys();
            let mut calls: Vec<Value> = keys.map(|key| json!({"key": key})).collect();
            calls.extend(each(&|id| json!({"key": id, "value": id})));
            calls
        }
        "persons-cohorts-retrieve" => vec![json!({"person_id": uuid})],
        "persons-batch-retrieve" => vec![
            json!({"uuids": [uuid], "select": all}),
            json!({"distinct_ids": with_a_stranger(&ids)}),
        ],
        "persons-activity-retrieve" => vec![json!({"id": uuid}), json!({"limit": 100})],
        "persons-properties-timeline-retrieve" => vec![
            json!({"id": uuid, "date_from": "2026-01-01", "breakdown": "email"}),
            json!({"id": uuid, "date_from": "2026-01-01", "properties": [{"key": "name", "operator": "is_set"}]}),
        ],
        "persons-properties-at-time-retrieve" => {
            let mut calls = each(
                &|id| json!({"distinct_id": id, "timestamp": "2026-10-31T00:00:00Z", "select": all}),
            );
            calls.push(json!({"person_id": uuid, "timestamp": "2026-10-31T00:00:00Z", "include_set_once": true}));
            calls
        }
        "persons-deletion-status-list" => {
            vec![json!({"person_uuid": uuid}), json!({"status": "all"})]
        }
        "persons-funnel" => each(
            &|id| json!({"events": [{"id": "sign up"}, {"id": "purchase"}], "funnel_step": 1, "search": id, "select": all}),
        ),
        "persons-trends" => each(
            &|id| json!({"entity_id": "$pageview", "date_from": "2026-01-01", "search": id, "select": all}),
        ),
        "persons-lifecycle" => vec![
            json!({"target_date": "2026-10-28", "lifecycle_type": "new", "events": [{"id": "sign up"}], "select": all}),
            json!({"target_date": "2026-10-28", "lifecycle_type": "new", "events": [{"id": "ada@example.com"}]}),
        ],
        "persons-update" => {
            let mut calls = each(
                &|id| json!({"distinct_id": id, "properties": {"email": id, "name": id, "x@y.example": 1}}),
            );
            calls.push(json!({"id": uuid, "properties": {"contact": "new@example.com"}}));
            calls
        }
        "persons-property-set" => each(&|id| json!({"distinct_id": id, "key": id, "value": id})),
        "persons-property-delete" => each(&|id| json!({"distinct_id": id, "unset": [id, "email"]})),
        "persons-reset-distinct-id" => each(&|id| json!({"distinct_id": id})),
        "persons-split" => {
            let mut calls = each(
                &|id| json!({"id": uuid, "distinct_ids_to_split": [id], "dry_run": true, "allow_creator_id": true}),
            );
            calls.extend(each(
                &|id| json!({"id": uuid, "distinct_ids_to_split": [id]}),
            ));
            calls.extend(each(&|id| json!({"id": uuid, "main_distinct_id": id})));
            calls.push(json!({"id": uuid, "main_distinct_id": "mis.spelt@example.com"}));
            calls.push(json!({"id": uuid, "distinct_ids_to_split": ["mis.spelt@example.com"]}));
            calls
        }
        "persons-bulk-delete" => vec![
            json!({"ids": [uuid], "delete_events": true, "dry_run": true}),
            json!({"distinct_ids": ids, "dry_run": true}),
            json!({"distinct_ids": [ids[0], "not.there@nowhere.example"], "delete_events": true}),
            json!({"ids": [uuid], "delete_recordings": true}),
        ],
        other => panic!("{other} has no line here"),
    }
}

fn with_a_stranger(ids: &[&Value]) -> Vec<Value> {
    let ids = ids.iter().map(|id| (*id).clone());
    ids.chain(["not.there@nowhere.example".into()]).collect()
}

/// What PostHog may say, quoting an address.
fn quoting() -> Vec<FaultKind> {
    const QUOTE: &str =
        "nothing is known of ada@example.com, ada%40example.com or <Ada.Lovelace@Example.com>";
    let error = |status, attr: Value| {
        let body =
            json!({"type": "validation_error", "code": "invalid", "detail": QUOTE, "attr": attr});
        FaultKind::json(status, &body)
    };
    let text = |status, content_type: &str, body: &str| FaultKind::Response {
        status,
        content_type: content_type.to_owned(),
        body: body.to_owned(),
        headers: Vec::new(),
    };
    vec![
        error(400, Value::Null),
        error(400, json!("ada@example.com")),
        error(401, Value::Null),
        error(403, Value::Null),
        error(404, Value::Null),
        error(500, Value::Null),
        FaultKind::json(
            403,
            &json!({"detail": "API key missing required scope 'ada@example.com'"}),
        ),
        FaultKind::json(400, &json!({"ada@example.com": [QUOTE]})),
        FaultKind::json(200, &json!("ada@example.com")),
        FaultKind::json(
            200,
            &json!({"results": "ada@example.com", "uuid": 1, "properties": "ada@example.com"}),
        ),
        FaultKind::json(
            200,
            &json!({"results": [{"uuid": 1, "properties": "ada@example.com"}], "ada@example.com": 1}),
        ),
        text(200, "application/json", QUOTE),
        text(500, "text/plain", QUOTE),
        text(200, "text/html; charset=utf-8", "<h1>ada@example.com</h1>"),
    ]
}

/// What is no tool, and asks all the same.
async fn prompts_completions_and_resources(session: &Session, story: &Story) {
    let client = &session.client;
    let prompts = client.list_all_prompts().await.unwrap();
    let mut named = prompts
        .iter()
        .map(|prompt| prompt.name.clone())
        .collect::<Vec<_>>();
    assert!(!named.is_empty());
    named.push("ada@example.com".to_owned());
    for prompt in &named {
        for person in story
            .addresses
            .iter()
            .map(String::as_str)
            .chain(story.uuids())
        {
            let arguments = json!({"person": person}).as_object().unwrap().clone();
            let request = GetPromptRequestParams::new(prompt.clone()).with_arguments(arguments);
            let _ = client.get_prompt(request).await;
        }
        for typed in ["a", "@", "ada@example.com"] {
            let prompt = Reference::Prompt(PromptReference::new(prompt.clone()));
            let argument = ArgumentInfo::new("person", typed);
            let _ = client
                .complete(CompleteRequestParams::new(prompt, argument))
                .await;
        }
    }
    let uuids = story.uuids();
    for id in uuids.chain(["ada@example.com"]) {
        let uri = format!("posthog://persons/{id}");
        let _ = client
            .read_resource(ReadResourceRequestParams::new(uri))
            .await;
    }
    session.call("ada@example.com", json!({})).await;
}

fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

#[tokio::test]
async fn no_address_is_told_where_addresses_are_masked() {
    nothing_is_told(&["--mask-emails"], false).await;
}

#[tokio::test]
async fn neither_an_address_nor_a_name_is_told_where_both_are_redacted_as_well() {
    nothing_is_told(&["--mask-emails", "--redact", "email,name"], true).await;
}

async fn nothing_is_told(settings: &[&str], names: bool) {
    let mut told = BTreeSet::new();
    let sessions = [
        (
            Human::answering_with(Reaction::Decline),
            ClientLifecycleMode::Initialize,
        ),
        (Human::answering_with(Reaction::Tick), modern()),
        // Nobody can be asked: the question is the answer.
        (Human::default(), ClientLifecycleMode::Initialize),
    ];
    for (number, (human, lifecycle)) in sessions.into_iter().enumerate() {
        let session = begin(settings, human.clone(), lifecycle).await;
        let story = Story::read(&session.sandbox).await;
        if number == 0 {
            reads(&session, &story).await;
        }
        // What asks nobody says the same whoever is there.
        writes(&session, &story, |tool| number == 0 || tool.confirmable).await;
        assert_eq!(human.asked().is_empty(), number == 2);
        let said = session.end().await;
        assert!(said.len() > 100, "only {} messages", said.len());
        let audited = said.last().unwrap().1.lines().count();
        assert!(
            number == 2 || audited > 20,
            "only {audited} lines in the audit log"
        );
        for (place, text) in &said {
            for line in text.lines() {
                if let Some(secret) = story.told_by(line, names) {
                    let at = line.to_lowercase().find(&secret).unwrap_or_default();
                    let around: String = line
                        .chars()
                        .skip(at.saturating_sub(200))
                        .take(400)
                        .collect();
                    told.insert(format!("an {place} says {secret}: … {around} …"));
                }
            }
        }
    }
    let all: Vec<String> = told.into_iter().collect();
    assert!(all.is_empty(), "{} in all\n{}", all.len(), all.join("\n"));
}

fn tools(wanted: impl Fn(&ToolDefinition) -> bool) -> impl Iterator<Item = &'static str> {
    let tools = catalog().into_iter().filter(wanted);
    tools.map(|tool| tool.name)
}

fn is_read(tool: &ToolDefinition) -> bool {
    tool.effect == Effect::Read
}

/// Everything that changes nothing, and every tool with PostHog quoting an address.
async fn reads(session: &Session, story: &Story) {
    let level = SetLevelRequestParams::new(LoggingLevel::Debug);
    session.client.set_level(level).await.unwrap();
    prompts_completions_and_resources(session, story).await;
    for tool in tools(is_read) {
        for person in &story.persons {
            for arguments in calls(tool, person) {
                session.call(tool, arguments).await;
            }
        }
    }
    for arguments in [
        json!({"select": ["*"], "limit": 100}),
        json!({"format": "csv"}),
    ] {
        session.call("persons-list", arguments).await;
    }
    for tool in tools(|_| true) {
        let arguments = calls(tool, &story.persons[0]).swap_remove(0);
        for what in quoting() {
            session.sandbox.inject(Fault::once("", what));
            session.call(tool, arguments.clone()).await;
            session.sandbox.clear_faults();
        }
    }
}

async fn writes(session: &Session, story: &Story, wanted: impl Fn(&ToolDefinition) -> bool) {
    for tool in tools(|tool| !is_read(tool) && wanted(tool)) {
        for person in &story.persons {
            for arguments in calls(tool, person) {
                session.call(tool, arguments).await;
            }
        }
        // Whatever one tool takes away, the next finds as it was made, or gone.
        session.sandbox.advance(Duration::from_secs(1));
    }
    session.sandbox.update_behaviors(|behaviors| {
        behaviors.deletion_fails_at = Some("ada@example.com".to_owned());
    });
    for person in &story.persons {
        let arguments = json!({"ids": [person["uuid"]]});
        session.call("persons-bulk-delete", arguments).await;
    }
}
