//! Nothing that the server writes contains a masked address or a redacted name.

#![allow(
    deprecated,
    reason = "log messages are what newer versions left out and older clients ask for"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use posthog_persons_mcp::policy::Effect;
use posthog_persons_mcp::tools::{ToolDefinition, catalog};
use posthog_sandbox::Fault;
use rmcp::ClientLifecycleMode;
use rmcp::model::{
    ArgumentInfo, CompleteRequestParams, GetPromptRequestParams, LoggingLevel, PromptReference,
    ProtocolVersion, ReadResourceRequestParams, Reference, SetLevelRequestParams,
};
use serde_json::json;

use super::calls::calls;
use super::faults::quoting;
use super::sandbox_persons::SandboxPersons;
use super::session::{Session, begin};
use crate::human::{Human, Reaction};

/// Everything else that requests persons.
async fn prompts_completions_and_resources(session: &Session, known: &SandboxPersons) {
    let client = &session.client;
    let prompts = client.list_all_prompts().await.unwrap();
    let mut named = prompts
        .iter()
        .map(|prompt| prompt.name.clone())
        .collect::<Vec<_>>();
    assert!(!named.is_empty());
    named.push("ada@example.com".to_owned());
    for prompt in &named {
        for person in known
            .addresses
            .iter()
            .map(String::as_str)
            .chain(known.uuids())
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
    let uuids = known.uuids();
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
async fn masked_addresses_are_never_written() {
    assert_nothing_leaks(&["--mask-emails"], false).await;
}

#[tokio::test]
async fn redacted_names_and_masked_addresses_are_never_written() {
    assert_nothing_leaks(&["--mask-emails", "--redact", "email,name"], true).await;
}

async fn assert_nothing_leaks(settings: &[&str], names: bool) {
    let mut leaks = BTreeSet::new();
    let sessions = [
        (
            Human::answering_with(Reaction::Decline),
            ClientLifecycleMode::Initialize,
        ),
        (Human::answering_with(Reaction::Tick), modern()),
        // No elicitation: the tool result contains the question.
        (Human::default(), ClientLifecycleMode::Initialize),
    ];
    for (number, (human, lifecycle)) in sessions.into_iter().enumerate() {
        let session = begin(settings, human.clone(), lifecycle).await;
        let known = SandboxPersons::read(&session.sandbox).await;
        if number == 0 {
            reads(&session, &known).await;
        }
        // Tools without a confirmation write the same in every session.
        writes(&session, &known, |tool| number == 0 || tool.confirmable).await;
        assert_eq!(human.elicitations().is_empty(), number == 2);
        let written = session.end().await;
        assert!(written.len() > 100, "only {} messages", written.len());
        let audited = written.last().unwrap().1.lines().count();
        assert!(
            number == 2 || audited > 20,
            "only {audited} lines in the audit log"
        );
        for (place, text) in &written {
            for line in text.lines() {
                if let Some(secret) = known.leaked_by(line, names) {
                    let at = line.to_lowercase().find(&secret).unwrap_or_default();
                    let around: String = line
                        .chars()
                        .skip(at.saturating_sub(200))
                        .take(400)
                        .collect();
                    leaks.insert(format!("a {place} contains {secret}: … {around} …"));
                }
            }
        }
    }
    let all: Vec<String> = leaks.into_iter().collect();
    assert!(all.is_empty(), "{} in all\n{}", all.len(), all.join("\n"));
}

fn tools(selected: impl Fn(&ToolDefinition) -> bool) -> impl Iterator<Item = &'static str> {
    let tools = catalog().into_iter().filter(selected);
    tools.map(|tool| tool.name)
}

fn is_read(tool: &ToolDefinition) -> bool {
    tool.effect == Effect::Read
}

/// Every read, and every tool with PostHog quoting an address.
async fn reads(session: &Session, known: &SandboxPersons) {
    let level = SetLevelRequestParams::new(LoggingLevel::Debug);
    session.client.set_level(level).await.unwrap();
    prompts_completions_and_resources(session, known).await;
    for tool in tools(is_read) {
        for person in &known.persons {
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
        let arguments = calls(tool, &known.persons[0]).swap_remove(0);
        for what in quoting() {
            session.sandbox.inject(Fault::once("", what));
            session.call(tool, arguments.clone()).await;
            session.sandbox.clear_faults();
        }
    }
}

async fn writes(
    session: &Session,
    known: &SandboxPersons,
    selected: impl Fn(&ToolDefinition) -> bool,
) {
    for tool in tools(|tool| !is_read(tool) && selected(tool)) {
        for person in &known.persons {
            for arguments in calls(tool, person) {
                session.call(tool, arguments).await;
            }
        }
        // The effects of one tool are visible to the next.
        session.sandbox.advance(Duration::from_secs(1));
    }
    session.sandbox.update_behaviors(|behaviors| {
        behaviors.deletion_fails_at = Some("ada@example.com".to_owned());
    });
    for person in &known.persons {
        let arguments = json!({"ids": [person["uuid"]]});
        session.call("persons-bulk-delete", arguments).await;
    }
}
