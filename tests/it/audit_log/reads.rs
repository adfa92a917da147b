//! Lines about reads: of whom and which fields, on request.

use std::collections::BTreeSet;
use std::fs;

use posthog_persons_mcp::audit::{AuditLog, ChainKey, Read};
use posthog_persons_mcp::output::{OutputOptions, Redaction};
use posthog_persons_mcp::policy::Confirm;
use posthog_persons_mcp::tools::catalog;
use rmcp::model::{ArgumentInfo, CompleteRequestParams, ReadResourceRequestParams, Reference};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::*;
use crate::human::{Human, Reaction};
use crate::process::{binary, run, session_input};
use crate::result_invariants::{example, read_calls};
use crate::wire::WITH_HANDSHAKE;
use crate::writing::QA;
use crate::{ADA, Session, Setup, connect_with, text};

/// Whose calls are always recorded, as writes are.
const EXPORT: &str = "persons-export";

/// A session whose reads are recorded.
async fn reading(log: &Log, setup: Setup) -> Session {
    let audit = Some(log.open().with_reads());
    connect_with(Setup { audit, ..setup }).await
}

/// Every person of the sandbox: its UUID, and the texts of its property values.
async fn persons(session: &Session) -> Vec<(String, Vec<String>)> {
    let list = json!({"limit": 1000, "select": ["*"]});
    let found = session.call("persons-list", list).await;
    let rows = found["results"].as_array().unwrap().iter();
    rows.map(|row| {
        let properties = row["properties"].as_object().cloned().unwrap_or_default();
        let texts = properties.values().filter_map(Value::as_str);
        let uuid = row["uuid"].as_str().unwrap().to_owned();
        (uuid, texts.map(str::to_owned).collect())
    })
    .collect()
}

fn names(line: &Value, field: &str) -> BTreeSet<String> {
    let names = line[field].as_array().unwrap().iter();
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn each_call_that_shows_something_has_one_line_without_values() {
    let everyone = persons(&connect_with(Setup::default()).await).await;
    let known: BTreeSet<&String> = everyone.iter().map(|(uuid, _)| uuid).collect();
    for structured in [true, false] {
        for tool in catalog() {
            let log = Log::new();
            let mut setup = Setup::default();
            setup.limits.structured = structured;
            let session = reading(&log, setup).await;
            let mut arguments = example(&tool);
            if tool.confirmable {
                arguments["dry_run"] = true.into();
            }
            let result = session.result(tool.name, arguments).await;
            assert_eq!(result.is_error, Some(false), "{}", tool.name);
            let (shown, lines) = (text(&result), log.lines());
            let ends = ["queued", "done"];
            if lines
                .iter()
                .any(|line| ends.iter().any(|end| line["outcome"] == *end))
            {
                assert_eq!(
                    lines.len(),
                    2,
                    "{}: a write or an export has lines of its own",
                    tool.name
                );
                continue;
            }
            let [line] = &lines[..] else {
                panic!("{}: {lines:?}", tool.name);
            };
            assert_eq!(line["tool"], tool.name);
            assert_eq!(line["outcome"], "shown");
            let recorded = names(line, "persons");
            for (uuid, texts) in &everyone {
                let is_shown = shown.contains(uuid.as_str());
                assert!(
                    !is_shown || recorded.contains(uuid),
                    "{}: {line}",
                    tool.name
                );
                for value in texts.iter().filter(|value| value.len() > 4) {
                    assert!(
                        !line.to_string().contains(value.as_str()),
                        "{value}: {line}"
                    );
                }
            }
            let unknown: Vec<&String> = recorded.iter().filter(|id| !known.contains(id)).collect();
            // The numeric ids of an activity log, and the persons that a split would make.
            let are_expected = unknown.iter().all(|id| id.parse::<u64>().is_ok())
                || tool.name == "persons-split"
                || tool.name == "persons-deletion-status-list";
            assert!(are_expected, "{}: {unknown:?}", tool.name);
            assert!(!names(line, "fields").is_empty(), "{}: {line}", tool.name);
            assert!(names(line, "withheld").is_empty(), "{}: {line}", tool.name);
            if tool.example.contains(ADA) {
                assert!(!recorded.is_empty(), "{}: {line}", tool.name);
            }
        }
    }
}

#[tokio::test]
async fn redacted_fields_are_named_as_withheld() {
    let log = Log::new();
    let setup = Setup {
        limits: OutputOptions {
            redaction: Redaction::new(&["email".to_owned()], false),
            ..OutputOptions::default()
        },
        ..Setup::default()
    };
    let session = reading(&log, setup).await;
    let arguments = json!({"id": ADA, "select": ["email", "plan"]});
    session.text("persons-retrieve", arguments.clone()).await;
    let list = json!({"search": "ada@", "select": ["email", "plan"], "format": "csv"});
    session.text("persons-list", list).await;
    let timeline = json!({"id": ADA, "keys": ["email", "plan"], "date_from": "2026-01-01"});
    session
        .text("persons-properties-timeline-retrieve", timeline)
        .await;
    for (line, withheld, shown) in [
        (0, "properties.email", "properties.plan"),
        (1, "email", "plan"),
        (2, "properties.email", "properties.plan"),
    ] {
        let line = &log.lines()[line];
        assert!(names(line, "withheld").contains(withheld), "{line}");
        assert!(names(line, "fields").contains(shown), "{line}");
        assert!(!names(line, "fields").contains(withheld), "{line}");
        assert_eq!(names(line, "persons"), [ADA.to_owned()].into(), "{line}");
    }
}

#[tokio::test]
async fn nothing_is_shown_without_its_line() {
    let log = Log::new();
    let setup = Setup {
        human: Human::answering_with(Reaction::Tick),
        confirm: Some(Confirm::Auto),
        ..Setup::default()
    };
    let session = reading(&log, setup).await;
    // A folder in place of the file.
    fs::remove_file(&log.0).unwrap();
    fs::create_dir(&log.0).unwrap();
    let mut calls = read_calls();
    calls.push((DELETE, json!({"ids": [QA[0]]})));
    calls.push((DELETE, json!({"ids": [QA[0]], "dry_run": true})));
    for (tool, arguments) in calls {
        let error = session.error(tool, arguments).await;
        let happens = match tool {
            EXPORT => "changed or exported",
            _ => "shown",
        };
        let expected =
            format!("The audit log cannot be written, and nothing is {happens} without an entry.");
        assert!(error.starts_with(&expected), "{tool}: {error}");
    }
    let resource = ReadResourceRequestParams::new(format!("posthog://persons/{ADA}"));
    assert!(session.client.read_resource(resource).await.is_err());
    assert_eq!(completions(&session).await, Vec::<String>::new());
    let requests = session.requests();
    let deletes = |request: &String| request.contains("bulk_delete");
    assert!(!requests.iter().any(deletes), "{requests:?}");
    fs::remove_dir(&log.0).unwrap();
}

async fn completions(session: &Session) -> Vec<String> {
    let argument = ArgumentInfo::new("person", "ada@");
    let prompt = Reference::for_prompt("investigate-person");
    let request = CompleteRequestParams::new(prompt, argument);
    let found = session.client.complete(request).await.unwrap();
    found.completion.values
}

#[tokio::test]
async fn resources_completions_and_previews_are_reads() {
    let log = Log::new();
    let setup = Setup {
        human: Human::answering_with(Reaction::Decline),
        ..Setup::default()
    };
    let session = reading(&log, setup).await;
    let resource = ReadResourceRequestParams::new(format!("posthog://persons/{ADA}"));
    session.client.read_resource(resource).await.unwrap();
    assert_eq!(completions(&session).await, ["ada@example.com"]);
    session.error(DELETE, json!({"ids": [QA[0]]})).await;
    let lines = log.lines();
    let read = |line: &Value| (line["tool"].clone(), line["persons"].clone());
    let read: Vec<_> = lines.iter().map(read).collect();
    assert_eq!(
        read,
        [
            (json!("persons-retrieve"), json!([ADA])),
            (json!("completion/complete"), json!([])),
            (json!(DELETE), json!([QA[0]])),
        ]
    );
    assert_eq!(lines[1]["fields"], json!(["properties.email"]));
    assert!(!log.text().contains('@'), "{}", log.text());
}

#[tokio::test]
async fn reads_are_not_recorded_by_default() {
    let log = Log::new();
    let session = approving(&log).await;
    let calls = read_calls().into_iter();
    for (tool, arguments) in calls.filter(|(tool, _)| *tool != EXPORT) {
        session.text(tool, arguments).await;
    }
    assert_eq!(log.lines(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_read_of_many_persons_has_several_lines() {
    let log = Log::new();
    let audit = AuditLog::open(&log.0, ChainKey::default()).unwrap();
    let persons: Vec<String> = (0..2500).map(|_| Uuid::new_v4().to_string()).collect();
    let read = Read {
        tool: "persons-export",
        project: 1,
        persons: persons.clone(),
        ..Read::default()
    };
    audit.record_read(read).await.unwrap();
    let lines = log.lines();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line["id"] == lines[0]["id"]));
    let recorded: Vec<Value> = lines
        .iter()
        .flat_map(|line| line["persons"].as_array().unwrap().clone())
        .collect();
    assert_eq!(json!(recorded), json!(persons));
}

#[tokio::test]
async fn audit_reads_flag_records_reads() {
    let log = Log::new();
    let path = log.0.to_str().unwrap();
    let input = session_input(
        WITH_HANDSHAKE[2],
        &[("persons-retrieve", json!({"id": ADA}))],
    );
    let mut command = binary(&["--sandbox", "--audit-log", path]);
    command.env("POSTHOG_MCP_AUDIT_READS", "1");
    let ended = run(command, &input).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(log.lines()[0]["persons"], json!([ADA]));
    let checked = run(binary(&["audit", "verify", path]), "").await;
    assert!(
        checked
            .stdout
            .starts_with("1 lines in the chain, 1 about reads\n"),
        "{}",
        checked.stdout
    );

    let ended = run(binary(&["--sandbox", "--audit-reads"]), "").await;
    assert!(
        ended.startup_error().contains("set --audit-log"),
        "{}",
        ended.stderr
    );
}
