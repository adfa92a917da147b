//! The yes that a deletion needs: who is asked, what a yes is worth, and that without one nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join;
use insta::{allow_duplicates, assert_snapshot};
use posthog_client::{Client, Connection, ConnectionOptions, Project, RequiredScopes};
use posthog_persons_mcp::output::{OutputOptions, ToolOutput};
use posthog_persons_mcp::policy::{Confirm, Effect, Toolset};
use posthog_persons_mcp::server::confirmation::Confirmer;
use posthog_persons_mcp::server::{Server, WriteGuards};
use posthog_persons_mcp::stdio;
use posthog_persons_mcp::tools::{
    Context, Outcome, PendingWrite, Preview, Status, Tool, ToolDefinition, ToolError, ToolOutcome,
    WriteResult, catalog,
};
use posthog_sandbox::{FaultKind, Sandbox};
use rmcp::ClientLifecycleMode;
use rmcp::model::ProtocolVersion;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::human::{Human, Reaction};
use crate::wire::{PATIENCE, WITH_HANDSHAKE, WITHOUT_HANDSHAKE, message, request};
use crate::writing::{GRACE, LATER, QA, SOON, confirmed, inject_fault, owner, sent, written};
use crate::{ADA, NOBODY, Session, Setup, connect, connect_with, text};

const TOOL: &str = "persons-bulk-delete";

/// The versions in which a server can ask, and has to wait for the answer.
const WAITING: [&str; 2] = ["2025-06-18", "2025-11-25"];

const STALE: &str = "Invalid confirmation";
const CHANGED: &str = "The preview has changed";

fn both_ways_to_begin() -> [ClientLifecycleMode; 2] {
    [
        ClientLifecycleMode::Initialize,
        ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
    ]
}

/// Deletes two persons, one of whom has two names in the call, and somebody who is not there.
fn deletion() -> Value {
    json!({"distinct_ids": ["grace@example.com", "katherine@example.com", "qa-1", "nobody"], "delete_events": true})
}

fn split() -> Value {
    json!({"id": GRACE, "distinct_ids_to_split": ["katherine@example.com"]})
}

fn nothing() -> Vec<String> {
    Vec::new()
}

const DELETE: &str = "POST B/bulk_delete/";

// With a client library.

#[tokio::test]
async fn a_human_who_ticks_is_asked_once_and_deletes_whom_was_shown() {
    for lifecycle in both_ways_to_begin() {
        let human = Human::answering_with(Reaction::Tick);
        let session = connect_with(Setup {
            human: human.clone(),
            lifecycle,
            ..Setup::default()
        })
        .await;
        let answer = session.call(TOOL, deletion()).await;
        assert_eq!(answer["status"], "queued");
        let writes = written(&session);
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].0, DELETE);
        assert_eq!(writes[0].1["ids"], json!([GRACE, QA[0]]));
        assert_eq!(writes[0].1["delete_events"], true);

        let asked = human.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        for fact in [
            "Delete 2 persons from PostHog project 1 at http://127.0.0.1:",
            "This cannot be undone",
            &format!("- {GRACE}, 4 distinct ids, \"grace@example.com\"\n"),
            &format!("- {}, 1 distinct id, \"qa-1@example.org\"\n", QA[0]),
            "Each person is deleted entirely, with all properties and all distinct ids",
            "Also deleted: their events",
            "Recordings stay",
            "Not found (1): nobody\n",
        ] {
            assert!(asked[0].contains(fact), "{fact}: {}", asked[0]);
        }
        session.sandbox.advance(LATER);
        assert_eq!(owner(&session, "katherine@example.com").await, None);
        assert_eq!(owner(&session, "qa-2").await.unwrap(), QA[1]);
    }
}

#[tokio::test]
async fn whatever_is_not_a_tick_sends_nothing() {
    for lifecycle in both_ways_to_begin() {
        for (reaction, says) in [
            (
                Reaction::LeaveUnticked,
                "Nothing was sent: the user did not tick the box.",
            ),
            (
                Reaction::SendEmpty,
                "Nothing was sent: the user did not tick the box.",
            ),
            (Reaction::Decline, "Nothing was sent: the user declined."),
            (
                Reaction::Dismiss,
                "Nothing was sent: the user dismissed the question.",
            ),
        ] {
            let human = Human::answering_with(reaction);
            let session = connect_with(Setup {
                human: human.clone(),
                lifecycle: lifecycle.clone(),
                ..Setup::default()
            })
            .await;
            for (tool, arguments) in [(TOOL, deletion()), ("persons-split", split())] {
                assert_eq!(session.error(tool, arguments).await, says, "{reaction:?}");
            }
            assert_eq!(human.asked().len(), 2, "{reaction:?}");
            assert_eq!(sent(&session), nothing(), "{reaction:?}");
            session.sandbox.advance(LATER);
            assert_eq!(
                owner(&session, "katherine@example.com").await.unwrap(),
                GRACE
            );
        }
    }
}

/// The token is for clients that cannot ask: where the human can be asked, it opens nothing.
#[tokio::test]
async fn a_token_does_not_spare_a_human_the_question() {
    let human = Human::answering_with(Reaction::Decline);
    let session = connect_with(Setup {
        human: human.clone(),
        ..Setup::default()
    })
    .await;
    let mut arguments = deletion();
    arguments["confirmation"] = json!("rs2.anything");
    session.error(TOOL, arguments).await;
    assert_eq!(human.asked().len(), 1);
    assert_eq!(sent(&session), nothing());
}

#[tokio::test]
async fn changes_ask_nobody() {
    let human = Human::answering_with(Reaction::Decline);
    let session = connect_with(Setup {
        human: human.clone(),
        confirm: Confirm::Strict,
        ..Setup::default()
    })
    .await;
    let arguments = json!({"id": ADA, "properties": {"plan": "team"}});
    session.call("persons-update", arguments).await;
    assert_eq!(human.asked(), nothing());
    assert_eq!(sent(&session).len(), 1);
}

#[tokio::test]
async fn strict_takes_a_humans_yes_and_no_other() {
    let strict = |human| Setup {
        human,
        confirm: Confirm::Strict,
        ..Setup::default()
    };
    let session = connect_with(strict(Human::answering_with(Reaction::Tick))).await;
    session.call(TOOL, deletion()).await;
    assert_eq!(sent(&session), [DELETE]);

    let session = connect_with(strict(Human::default())).await;
    let told = session.error(TOOL, deletion()).await;
    assert!(told.starts_with("Rejected: "), "{told}");
    assert!(told.contains("Nothing was sent"), "{told}");
    let mut arguments = deletion();
    arguments["confirmation"] = json!("rs2.anything");
    assert_eq!(session.error(TOOL, arguments).await, told);
    assert_eq!(session.error("persons-split", split()).await, told);
    assert_eq!(sent(&session), nothing());
    // Looking is still allowed.
    let mut arguments = deletion();
    arguments["dry_run"] = json!(true);
    assert_eq!(session.call(TOOL, arguments).await["status"], "dry_run");
}

#[tokio::test]
async fn where_two_steps_prove_nothing_they_are_refused() {
    let session = connect_with(Setup {
        allow_token_confirmation: false,
        ..Setup::default()
    })
    .await;
    let told = session.error(TOOL, deletion()).await;
    assert!(told.starts_with("Rejected: "), "{told}");
    assert!(!told.contains("rs1.") && !told.contains("rs2."), "{told}");
    let mut arguments = deletion();
    arguments["confirmation"] = json!("rs2.anything");
    assert_eq!(session.error(TOOL, arguments).await, told);
    assert_eq!(sent(&session), nothing());
}

#[tokio::test]
async fn off_asks_nobody() {
    for lifecycle in both_ways_to_begin() {
        let human = Human::answering_with(Reaction::Decline);
        let session = connect_with(Setup {
            human: human.clone(),
            confirm: Confirm::Off,
            lifecycle,
            ..Setup::default()
        })
        .await;
        session.call(TOOL, deletion()).await;
        session.call("persons-split", split()).await;
        assert_eq!(human.asked(), nothing());
        assert_eq!(
            sent(&session),
            [DELETE.to_owned(), format!("POST B/{GRACE}/split/")]
        );
    }
}

// Two steps, where the client cannot ask.

fn with_token(mut arguments: Value, token: &Value) -> Value {
    arguments["confirmation"] = token.clone();
    arguments
}

#[tokio::test]
async fn the_first_call_sends_nothing_and_the_second_sends_what_was_shown() {
    for lifecycle in both_ways_to_begin() {
        let session = connect_with(Setup {
            lifecycle,
            ..Setup::default()
        })
        .await;
        let preview = session.result(TOOL, deletion()).await;
        assert_eq!(sent(&session), nothing());
        let shown = text(&preview);
        let facts = preview.structured_content.unwrap();
        assert_eq!(facts["status"], "confirmation_required");
        assert_eq!(facts["person_count"], 2);
        assert_eq!(facts["not_found"], json!(["nobody"]));
        let token = facts["confirmation"].as_str().unwrap();
        let shown = shown
            .replace(token, "TOKEN")
            .replace(&session.sandbox.url(), "http://sandbox");
        allow_duplicates! {
            assert_snapshot!(shown, @r#"
            Nothing was sent yet. Show the user all of the following and wait for their decision:

            Delete 2 persons from PostHog project 1 at http://sandbox? This cannot be undone.
            - 707be5a0-b120-5ae0-b57a-f77976f29c41, 4 distinct ids, "grace@example.com"
            - 326043c7-9577-586f-b399-8da3ff6a80ff, 1 distinct id, "qa-1@example.org"
            Each person is deleted entirely, with all properties and all distinct ids, including those not listed here. Also deleted: their events (in PostHog's weekly batch). Recordings stay.
            Not found (1): nobody

            Only if the user agrees, call persons-bulk-delete again with the same arguments and confirmation "TOKEN" (valid for 300 seconds, usable once).
            "#);
        }

        let done = session
            .call(TOOL, with_token(deletion(), &facts["confirmation"]))
            .await;
        assert_eq!(done["status"], "queued");
        let writes = written(&session);
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].1["ids"], json!([GRACE, QA[0]]));
    }
}

#[tokio::test]
async fn a_token_serves_once() {
    let session = connect().await;
    for (tool, arguments) in [("persons-split", split()), (TOOL, deletion())] {
        let token = &session.call(tool, arguments.clone()).await["confirmation"];
        let arguments = with_token(arguments, token);
        // Also where both calls come at the same time.
        let (one, other) = join(
            session.result(tool, arguments.clone()),
            session.result(tool, arguments.clone()),
        )
        .await;
        let refused = if one.is_error == Some(true) {
            one
        } else {
            other
        };
        assert!(text(&refused).starts_with(STALE), "{}", text(&refused));
        assert_eq!(sent(&session).len(), 1, "{tool}");
        let refused = session.error(tool, arguments).await;
        assert!(refused.starts_with(STALE), "{refused}");
        assert_eq!(sent(&session), nothing(), "{tool}");
    }
}

#[tokio::test]
async fn a_token_serves_no_other_call() {
    let session = connect().await;
    let token = session.call(TOOL, deletion()).await["confirmation"].clone();
    let mut others = vec![
        (
            TOOL,
            json!({"distinct_ids": ["qa-2"], "delete_events": true}),
        ),
        (TOOL, json!({"ids": [GRACE, QA[0]], "delete_events": true})),
        ("persons-split", split()),
    ];
    for (name, value) in [
        ("delete_events", json!(false)),
        ("delete_events", Value::Null),
        ("delete_recordings", json!(true)),
        ("keep_person", json!(true)),
        (
            "distinct_ids",
            json!(["grace@example.com", "katherine@example.com", "qa-1"]),
        ),
        (
            "distinct_ids",
            json!([
                "grace@example.com",
                "katherine@example.com",
                "qa-1",
                "nobody",
                "qa-2"
            ]),
        ),
    ] {
        let mut other = deletion();
        other[name] = value;
        others.push((TOOL, other));
    }
    for (tool, arguments) in others {
        let refused = session
            .error(tool, with_token(arguments.clone(), &token))
            .await;
        assert!(refused.starts_with(STALE), "{arguments}: {refused}");
        assert_eq!(sent(&session), nothing(), "{arguments}");
    }
    // The token of a split is none for a deletion, either.
    let foreign = session.call("persons-split", split()).await["confirmation"].clone();
    let refused = session.error(TOOL, with_token(deletion(), &foreign)).await;
    assert!(refused.starts_with(STALE), "{refused}");
    assert_eq!(sent(&session), nothing());
    // What was refused has used nothing up, and form is forgiven.
    let mut same = with_token(deletion(), &token);
    same["delete_events"] = json!("true");
    session.call(TOOL, same).await;
    assert_eq!(sent(&session), [DELETE]);
}

#[tokio::test]
async fn a_forged_token_sends_nothing() {
    let session = connect().await;
    let genuine = session.call(TOOL, deletion()).await["confirmation"].clone();
    let genuine = genuine.as_str().unwrap();
    let mut forged: Vec<String> = ["", " ", "yes", "true", "rs1.", "rs2.", "rs2.e30.AAAA"]
        .map(str::to_owned)
        .to_vec();
    for place in [0, genuine.len() / 2, genuine.len() - 1] {
        let mut bytes = genuine.as_bytes().to_vec();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        forged.push(String::from_utf8(bytes).unwrap());
    }
    forged.push(genuine[..genuine.len() - 1].to_owned());
    // Another server's token, for the very same call.
    let elsewhere = connect().await;
    let foreign = elsewhere.call(TOOL, deletion()).await["confirmation"].clone();
    forged.push(foreign.as_str().unwrap().to_owned());
    for token in forged {
        let refused = session
            .error(TOOL, with_token(deletion(), &json!(token)))
            .await;
        assert!(refused.starts_with(STALE), "{token}: {refused}");
        assert_eq!(sent(&session), nothing(), "{token}");
    }
    for token in [json!(true), json!([genuine]), json!({"yes": true})] {
        session.error(TOOL, with_token(deletion(), &token)).await;
        assert_eq!(sent(&session), nothing(), "{token}");
    }
}

/// Waits for a moment in real time: the seal has no other clock.
#[tokio::test]
async fn an_old_token_sends_nothing() {
    let session = connect_with(Setup {
        patience: Duration::from_millis(1),
        ..Setup::default()
    })
    .await;
    let token = session.call(TOOL, deletion()).await["confirmation"].clone();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let refused = session.error(TOOL, with_token(deletion(), &token)).await;
    assert!(refused.starts_with(STALE), "{refused}");
    assert_eq!(sent(&session), nothing());
}

fn rename(session: &Session, distinct_id: &str, email: &str) {
    let set = json!({"$set": {"email": email}});
    let set = set.as_object().unwrap().clone();
    session.sandbox.capture(distinct_id, "$set", set);
}

#[tokio::test]
async fn a_token_for_persons_who_have_changed_since_sends_nothing() {
    let session = connect().await;
    let token = session.call(TOOL, deletion()).await["confirmation"].clone();
    rename(&session, "qa-1", "the.boss@example.org");
    let refused = session.error(TOOL, with_token(deletion(), &token)).await;
    assert!(refused.starts_with(CHANGED), "{refused}");
    assert_eq!(sent(&session), nothing());

    // Fewer distinct ids.
    let token = session.call(TOOL, deletion()).await["confirmation"].clone();
    let laptop = json!({"id": GRACE, "distinct_ids_to_split": ["katherine-laptop"]});
    confirmed(&session, "persons-split", laptop).await;
    session.sandbox.advance(SOON);
    session.requests();
    let refused = session.error(TOOL, with_token(deletion(), &token)).await;
    assert!(refused.starts_with(CHANGED), "{refused}");
    assert_eq!(sent(&session), nothing());

    // Somebody who was not there is.
    let token = session.call(TOOL, deletion()).await["confirmation"].clone();
    session.sandbox.capture("nobody", "$pageview", Map::new());
    let refused = session.error(TOOL, with_token(deletion(), &token)).await;
    assert!(refused.starts_with(CHANGED), "{refused}");
    assert_eq!(sent(&session), nothing());

    // A split that finds one id less on the person.
    let katherine = json!({"id": GRACE, "main_distinct_id": "grace@example.com"});
    let token = session.call("persons-split", katherine.clone()).await["confirmation"].clone();
    confirmed(&session, "persons-split", split()).await;
    session.sandbox.advance(SOON);
    session.requests();
    let refused = session
        .error("persons-split", with_token(katherine, &token))
        .await;
    assert!(refused.starts_with(CHANGED), "{refused}");
    assert_eq!(sent(&session), nothing());
}

#[tokio::test]
async fn a_token_for_persons_who_are_gone_sends_nothing() {
    let session = connect().await;
    let qa = json!({"ids": [QA[0]]});
    let token = session.call(TOOL, qa.clone()).await["confirmation"].clone();
    confirmed(&session, TOOL, qa.clone()).await;
    session.sandbox.advance(LATER);
    session.requests();
    session.error(TOOL, with_token(qa, &token)).await;
    assert_eq!(sent(&session), nothing());
}

/// The owner of the key selects another project meanwhile: nobody was shown anything of that one.
#[tokio::test]
async fn the_project_stays_the_one_that_was_shown() {
    let session = connect_with(Setup {
        project: Project::Current,
        ..Setup::default()
    })
    .await;
    let preview = session.call(TOOL, deletion()).await;
    assert_eq!(preview["project"], Sandbox::PROJECT);
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.foreign_current_project = true);
    session
        .call(TOOL, with_token(deletion(), &preview["confirmation"]))
        .await;
    assert_eq!(sent(&session), [DELETE]);
}

#[tokio::test]
async fn a_preview_has_no_structured_content_where_that_is_off() {
    let mut setup = Setup::default();
    setup.limits.structured = false;
    let session = connect_with(setup).await;
    let preview = session.result(TOOL, deletion()).await;
    assert!(text(&preview).contains("confirmation \""));
    assert_eq!(preview.structured_content, None);
}

// By hand: what a client library would hide is in sight.

/// A client spoken for by hand, which can show a form unless it says otherwise.
struct ByHand {
    version: &'static str,
    capabilities: Value,
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    writer: WriteHalf<DuplexStream>,
    last_id: u64,
    served: JoinHandle<()>,
}

fn forms() -> Value {
    json!({"elicitation": {"form": {}}})
}

fn gate() -> Confirmer {
    Confirmer::new(Confirm::Auto, true)
}

/// A server on a session's sandbox, with a confirmer of its own.
fn server(session: &Session, confirmer: Confirmer) -> Server {
    server_of(catalog(), session, confirmer)
}

fn server_of(tools: Vec<ToolDefinition>, session: &Session, confirmer: Confirmer) -> Server {
    let options = ConnectionOptions::new(session.sandbox.url().parse().unwrap());
    let connection = Arc::new(Connection::new(&options).unwrap());
    let project = Project::Number(Sandbox::PROJECT);
    let context = Context {
        posthog: Client::new(connection, SecretString::from(Sandbox::KEY), project),
        limits: OutputOptions::default(),
    };
    Server::new(
        tools,
        context,
        WriteGuards {
            confirmer,
            audit: None,
        },
    )
}

impl ByHand {
    async fn begin(server: &Server, version: &'static str, capabilities: Value) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(theirs);
        let server = server.clone();
        let served = tokio::spawn(async move {
            stdio::serve(server, reader, writer).await.unwrap();
        });
        let (reader, writer) = tokio::io::split(ours);
        let mut client = Self {
            version,
            capabilities,
            lines: BufReader::new(reader).lines(),
            writer,
            last_id: 0,
            served,
        };
        if version != WITHOUT_HANDSHAKE {
            let who = json!({"name": "by hand", "version": "0"});
            let params = json!({"protocolVersion": version, "capabilities": client.capabilities, "clientInfo": who});
            client
                .send(&request(version, 0, "initialize", params))
                .await;
            assert_eq!(client.receive().await["result"]["protocolVersion"], version);
            client
                .send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
                .await;
        }
        client
    }

    async fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.writer.write_all(line.as_bytes()).await.unwrap();
    }

    /// The next message that wants something or answers something.
    async fn receive(&mut self) -> Value {
        loop {
            let line = timeout(PATIENCE, self.lines.next_line()).await;
            let line = line.expect("a message in time").unwrap();
            let message = message(&line.expect("a message before the end"));
            let notes = message["method"]
                .as_str()
                .is_some_and(|method| method.starts_with("notifications/"));
            if !notes {
                return message;
            }
        }
    }

    /// Sends a call; its number.
    async fn call(&mut self, tool: &str, arguments: &Value) -> u64 {
        self.call_with(tool, arguments, json!({})).await
    }

    /// Sends a call with more than its name and its arguments.
    async fn call_with(&mut self, tool: &str, arguments: &Value, mut params: Value) -> u64 {
        self.last_id += 1;
        params["name"] = json!(tool);
        params["arguments"] = arguments.clone();
        let mut call = request(self.version, self.last_id, "tools/call", params);
        if self.version == WITHOUT_HANDSHAKE {
            let meta = &mut call["params"]["_meta"];
            meta["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        }
        self.send(&call).await;
        self.last_id
    }

    /// The result of a call.
    async fn result(&mut self, id: u64) -> Value {
        let answer = self.receive().await;
        assert_eq!(answer["id"], id, "{answer}");
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].clone()
    }

    /// The question that a call led to.
    async fn question(&mut self) -> Value {
        let question = self.receive().await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        question
    }

    /// What the human says to it.
    async fn answer(&mut self, question: &Value, result: Value) {
        let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
        self.send(&answer).await;
    }

    /// A call of 2026-07-28, sent again with the state that it got and what the human said.
    async fn again(&mut self, tool: &str, arguments: &Value, state: &Value, said: Value) -> Value {
        let mut params = json!({"requestState": state});
        if !said.is_null() {
            params["inputResponses"] = json!({"confirm": said});
        }
        let id = self.call_with(tool, arguments, params).await;
        self.result(id).await
    }

    /// Closes the input; what the server still says, until it has ended.
    async fn end(self) -> Vec<Value> {
        let Self {
            mut lines,
            mut writer,
            served,
            ..
        } = self;
        writer.shutdown().await.unwrap();
        drop(writer);
        let mut rest = Vec::new();
        while let Some(line) = timeout(PATIENCE, lines.next_line())
            .await
            .expect("an end in time")
            .unwrap()
        {
            rest.push(message(&line));
        }
        timeout(PATIENCE, served)
            .await
            .expect("the server ends")
            .unwrap();
        rest
    }
}

fn tick() -> Value {
    json!({"action": "accept", "content": {"confirm": true}})
}

fn said(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

/// The state of a result that asks.
fn state(result: &Value) -> Value {
    assert_eq!(result["resultType"], "input_required", "{result}");
    assert!(result["requestState"].is_string(), "{result}");
    result["requestState"].clone()
}

fn refused(result: &Value, says: &str) {
    assert_eq!(result["isError"], true, "{result}");
    assert!(said(result).starts_with(says), "{result}");
}

/// What a human says that is no yes.
fn no_answers() -> [Value; 12] {
    [
        json!({"action": "accept"}),
        json!({"action": "accept", "content": null}),
        json!({"action": "accept", "content": {}}),
        json!({"action": "accept", "content": {"confirm": false}}),
        json!({"action": "accept", "content": {"confirm": "true"}}),
        json!({"action": "accept", "content": {"confirm": 1}}),
        json!({"action": "accept", "content": {"Confirm": true}}),
        json!({"action": "accept", "content": true}),
        json!({"action": "decline", "content": {"confirm": true}}),
        json!({"action": "cancel", "content": {"confirm": true}}),
        json!({"action": "yes", "content": {"confirm": true}}),
        json!({"content": {"confirm": true}}),
    ]
}

#[tokio::test]
async fn the_question_is_a_form_with_one_box() {
    let session = connect().await;
    let server = server(&session, gate());
    for version in WAITING {
        for capabilities in [
            json!({"elicitation": {}}),
            forms(),
            json!({"elicitation": {"form": {}, "url": {}}}),
        ] {
            let mut client = ByHand::begin(&server, version, capabilities).await;
            let id = client.call(TOOL, &deletion()).await;
            let question = client.question().await;
            assert_eq!(sent(&session), nothing());
            check_form(&question["params"]);
            client.answer(&question, tick()).await;
            let result = client.result(id).await;
            assert_eq!(result["isError"], false, "{result}");
            assert_eq!(result["structuredContent"]["status"], "queued");
            assert_eq!(sent(&session), [DELETE]);
        }
    }
    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let asked = client.result(id).await;
    assert_eq!(sent(&session), nothing());
    let question = &asked["inputRequests"]["confirm"];
    assert_eq!(question["method"], "elicitation/create", "{asked}");
    check_form(&question["params"]);
    let result = client
        .again(TOOL, &deletion(), &state(&asked), tick())
        .await;
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(result["structuredContent"]["status"], "queued");
    assert_eq!(sent(&session), [DELETE]);
}

fn check_form(params: &Value) {
    let message = params["message"].as_str().unwrap();
    assert!(
        message.starts_with("Delete 2 persons from PostHog project 1 at "),
        "{params}"
    );
    let schema = &params["requestedSchema"];
    assert_eq!(schema["type"], "object", "{params}");
    assert_eq!(schema["required"], json!(["confirm"]), "{params}");
    let fields = schema["properties"].as_object().unwrap();
    assert_eq!(fields.len(), 1, "{params}");
    assert_eq!(fields["confirm"]["type"], "boolean", "{params}");
    // Nothing is ticked beforehand.
    assert_ne!(fields["confirm"]["default"], true, "{params}");
}

#[tokio::test]
async fn nothing_but_a_tick_is_a_yes_while_the_call_waits() {
    let session = connect().await;
    let server = server(&session, gate());
    for version in WAITING {
        let mut client = ByHand::begin(&server, version, forms()).await;
        for answer in no_answers() {
            let id = client.call(TOOL, &deletion()).await;
            let question = client.question().await;
            client.answer(&question, answer.clone()).await;
            refused(&client.result(id).await, "Nothing was sent: ");
            assert_eq!(sent(&session), nothing(), "{answer}");
        }
        // A client that fails has not asked anybody.
        let id = client.call(TOOL, &deletion()).await;
        let question = client.question().await;
        let error = json!({"code": -32603, "message": "no window"});
        client
            .send(&json!({"jsonrpc": "2.0", "id": question["id"], "error": error}))
            .await;
        refused(&client.result(id).await, "Nothing was sent: ");
        assert_eq!(sent(&session), nothing());
    }
}

#[tokio::test]
async fn nothing_but_a_tick_is_a_yes_between_two_calls() {
    let session = connect().await;
    let server = server(&session, gate());
    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    for answer in no_answers() {
        let id = client.call(TOOL, &deletion()).await;
        let state = state(&client.result(id).await);
        let result = client
            .again(TOOL, &deletion(), &state, answer.clone())
            .await;
        refused(&result, "Nothing was sent: ");
        assert_eq!(sent(&session), nothing(), "{answer}");
    }
}

#[tokio::test]
async fn a_state_without_an_answer_asks_again() {
    let session = connect().await;
    let server = server(&session, gate());
    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let first = state(&client.result(id).await);
    let asked = client.again(TOOL, &deletion(), &first, Value::Null).await;
    let second = state(&asked);
    assert!(asked["inputRequests"]["confirm"].is_object(), "{asked}");
    let params = json!({"requestState": second, "inputResponses": {"something else": tick()}});
    let id = client.call_with(TOOL, &deletion(), params).await;
    let third = state(&client.result(id).await);
    assert_eq!(sent(&session), nothing());
    let result = client.again(TOOL, &deletion(), &third, tick()).await;
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(sent(&session), [DELETE]);
}

#[tokio::test]
async fn an_answer_without_a_state_is_none() {
    let session = connect().await;
    let server = server(&session, gate());
    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let params = json!({"inputResponses": {"confirm": tick()}});
    let id = client.call_with(TOOL, &deletion(), params).await;
    state(&client.result(id).await);
    assert_eq!(sent(&session), nothing());
}

#[tokio::test]
async fn a_state_serves_its_own_call_once() {
    let session = connect().await;
    let server = server(&session, gate());
    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let genuine = state(&client.result(id).await);

    let mut others = vec![(TOOL, json!({"ids": [QA[1]]})), ("persons-split", split())];
    for (name, value) in [
        ("delete_events", json!(false)),
        ("delete_recordings", json!(true)),
        ("keep_person", json!(true)),
        ("distinct_ids", json!(["qa-2"])),
    ] {
        let mut other = deletion();
        other[name] = value;
        others.push((TOOL, other));
    }
    for (tool, arguments) in others {
        let result = client.again(tool, &arguments, &genuine, tick()).await;
        refused(&result, STALE);
        assert_eq!(sent(&session), nothing(), "{arguments}");
    }
    let text = genuine.as_str().unwrap();
    for place in [0, text.len() / 2, text.len() - 1] {
        let mut bytes = text.as_bytes().to_vec();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let tampered = json!(String::from_utf8(bytes).unwrap());
        refused(
            &client.again(TOOL, &deletion(), &tampered, tick()).await,
            STALE,
        );
        assert_eq!(sent(&session), nothing());
    }
    refused(
        &client.again(TOOL, &deletion(), &json!(""), tick()).await,
        STALE,
    );

    let result = client.again(TOOL, &deletion(), &genuine, tick()).await;
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(sent(&session), [DELETE]);
    // Neither by this client nor by the next.
    refused(
        &client.again(TOOL, &deletion(), &genuine, tick()).await,
        STALE,
    );
    let mut next = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    refused(
        &next.again(TOOL, &deletion(), &genuine, tick()).await,
        STALE,
    );
    assert_eq!(sent(&session), nothing());
}

/// Waits for a moment in real time: the seal has no other clock.
#[tokio::test]
async fn an_old_state_sends_nothing() {
    let session = connect().await;
    let confirmer = Confirmer::with_ttl(Confirm::Auto, true, Duration::from_millis(1));
    let mut client = ByHand::begin(&server(&session, confirmer), WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let state = state(&client.result(id).await);
    tokio::time::sleep(Duration::from_millis(20)).await;
    refused(
        &client.again(TOOL, &deletion(), &state, tick()).await,
        STALE,
    );
    assert_eq!(sent(&session), nothing());
}

#[tokio::test]
async fn a_token_is_no_state_and_a_state_no_token() {
    let session = connect().await;
    let server = server(&session, gate());
    let mut mute = ByHand::begin(&server, WITHOUT_HANDSHAKE, json!({})).await;
    let id = mute.call(TOOL, &deletion()).await;
    let token = mute.result(id).await["structuredContent"]["confirmation"].clone();
    assert!(token.is_string());
    refused(&mute.again(TOOL, &deletion(), &token, tick()).await, STALE);

    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let state = state(&client.result(id).await);
    let id = mute.call(TOOL, &with_token(deletion(), &state)).await;
    refused(&mute.result(id).await, STALE);
    assert_eq!(sent(&session), nothing());
}

#[tokio::test]
async fn what_changes_while_the_human_thinks_is_not_deleted() {
    let session = connect().await;
    let server = server(&session, gate());
    for (version, name) in WAITING.into_iter().zip(["boss", "chief"]) {
        let mut client = ByHand::begin(&server, version, forms()).await;
        let id = client.call(TOOL, &deletion()).await;
        let question = client.question().await;
        rename(&session, "qa-1", &format!("{name}@example.org"));
        client.answer(&question, tick()).await;
        refused(&client.result(id).await, CHANGED);
        assert_eq!(sent(&session), nothing());
    }
    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let asked = state(&client.result(id).await);
    rename(&session, "qa-1", "principal@example.org");
    refused(
        &client.again(TOOL, &deletion(), &asked, tick()).await,
        CHANGED,
    );
    assert_eq!(sent(&session), nothing());
}

/// Somebody who is gone by the time of the yes.
#[tokio::test]
async fn who_is_gone_while_the_human_thinks_is_not_deleted_again() {
    let session = connect().await;
    let server = server(&session, gate());
    let mut client = ByHand::begin(&server, WAITING[0], forms()).await;
    let qa = json!({"ids": [QA[0]]});
    let id = client.call(TOOL, &qa).await;
    let question = client.question().await;
    confirmed(&session, TOOL, qa).await;
    session.sandbox.advance(LATER);
    session.requests();
    client.answer(&question, tick()).await;
    let result = client.result(id).await;
    assert_eq!(result["isError"], true, "{result}");
    assert_eq!(sent(&session), nothing());
}

/// Where it can no longer be seen who would be deleted, the yes is worth nothing.
#[tokio::test]
async fn a_second_look_that_fails_sends_nothing() {
    let session = connect().await;
    let server = server(&session, gate());
    let mut client = ByHand::begin(&server, WAITING[1], forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let question = client.question().await;
    let request = "POST B/batch_by_distinct_ids/";
    inject_fault(&session, request, FaultKind::ServerError { status: 500 });
    client.answer(&question, tick()).await;
    let result = client.result(id).await;
    refused(&result, "PostHog failed (status 500)");
    assert_eq!(sent(&session), nothing());
}

#[tokio::test]
async fn a_human_who_takes_long_holds_up_nobody() {
    let session = connect().await;
    let server = server(&session, gate());
    for version in WAITING {
        let mut client = ByHand::begin(&server, version, forms()).await;
        let mut open = Vec::new();
        // More questions than there are slots for calls.
        for _ in 0..70 {
            let id = client.call(TOOL, &deletion()).await;
            open.push((id, client.question().await));
        }
        let id = client.call("persons-retrieve", &json!({"id": ADA})).await;
        let person = client.result(id).await;
        assert_eq!(person["structuredContent"]["uuid"], ADA);
        assert_eq!(sent(&session), nothing());
        let (id, question) = open.swap_remove(0);
        client.answer(&question, tick()).await;
        assert_eq!(client.result(id).await["isError"], false);
        assert_eq!(sent(&session), [DELETE]);
    }
}

#[tokio::test]
async fn a_human_who_takes_too_long_has_not_agreed() {
    let session = connect().await;
    let confirmer = Confirmer::with_ttl(Confirm::Auto, true, Duration::from_millis(50));
    let mut client = ByHand::begin(&server(&session, confirmer), WAITING[1], forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    let question = client.question().await;
    refused(
        &client.result(id).await,
        "Nothing was sent: the user did not respond in time.",
    );
    // The yes comes too late, and the conversation goes on.
    client.answer(&question, tick()).await;
    let id = client.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(client.result(id).await["isError"], false);
    assert_eq!(sent(&session), nothing());
}

#[tokio::test]
async fn an_input_that_ends_while_the_question_is_open_ends_the_server() {
    let session = connect().await;
    let server = server(&session, gate());
    for version in WAITING {
        let mut client = ByHand::begin(&server, version, forms()).await;
        let id = client.call(TOOL, &deletion()).await;
        client.question().await;
        let rest = client.end().await;
        let answer = rest.iter().find(|message| message["id"] == id);
        let answer = answer.unwrap_or_else(|| panic!("{version}: {rest:?}"));
        refused(&answer["result"], "Nothing was sent: ");
        assert_eq!(sent(&session), nothing(), "{version}");
    }
    // With an open input-required result nothing waits.
    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call(TOOL, &deletion()).await;
    state(&client.result(id).await);
    client.end().await;
    assert_eq!(sent(&session), nothing());
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_the_question_is_open_sends_nothing() {
    let session = connect().await;
    let server = server(&session, gate());
    for version in WAITING {
        let mut client = ByHand::begin(&server, version, forms()).await;
        let id = client.call(TOOL, &deletion()).await;
        let question = client.question().await;
        let params = json!({"requestId": id, "reason": "enough"});
        client
            .send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
            .await;
        client.answer(&question, tick()).await;
        let id = client
            .call("persons-retrieve", &json!({"id": NOBODY}))
            .await;
        assert_eq!(client.result(id).await["isError"], true);
        assert_eq!(client.end().await, Vec::<Value>::new(), "{version}");
        assert_eq!(sent(&session), nothing(), "{version}");
    }
}

/// Two tools that take the same arguments and ask the same question.
struct Erasing<const OTHER: bool>;

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Whatever {}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Erased {}

impl<const OTHER: bool> Tool for Erasing<OTHER> {
    type Input = Whatever;
    type Output = Erased;
    const NAME: &'static str = if OTHER { "erase-other" } else { "erase" };
    const TITLE: &'static str = "Erase";
    const DESCRIPTION: &'static str = "Erases.";
    const EFFECT: Effect = Effect::Delete { idempotent: true };
    const TOOLSET: Toolset = Toolset::Delete;
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:write"]);
    const EXAMPLE: &'static str = "{}";
    const STATUSES: &'static [Status] = &[Status::Done];

    async fn call(_: &Context, _: Whatever) -> Result<ToolOutcome<Erased>, ToolError> {
        let erased = ToolOutput {
            structured: Erased {},
            text: "Erased".to_owned(),
        };
        Ok(ToolOutcome::PendingWrite(PendingWrite {
            persons: Vec::new(),
            property_keys: Vec::new(),
            preview: Some(Preview {
                question: "Erase?".to_owned(),
                text: "erase".to_owned(),
                facts: Erased {},
            }),
            execute: async {
                Ok(WriteResult {
                    status: Status::Done,
                    output: erased,
                    outcome: Outcome::Done,
                })
            }
            .boxed(),
        }))
    }
}

#[tokio::test]
async fn a_yes_for_one_tool_is_none_for_another() {
    let session = connect().await;
    let tools = vec![
        ToolDefinition::new::<Erasing<false>>(),
        ToolDefinition::new::<Erasing<true>>(),
    ];
    let server = server_of(tools, &session, gate());
    let nothing = json!({});

    let mut mute = ByHand::begin(&server, WAITING[0], nothing.clone()).await;
    let id = mute.call("erase", &nothing).await;
    let token = mute.result(id).await["structuredContent"]["confirmation"].clone();
    let arguments = with_token(nothing.clone(), &token);
    let id = mute.call("erase-other", &arguments).await;
    refused(&mute.result(id).await, STALE);
    let id = mute.call("erase", &arguments).await;
    assert_eq!(said(&mute.result(id).await), "Erased");

    let mut client = ByHand::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call("erase", &nothing).await;
    let state = state(&client.result(id).await);
    refused(
        &client.again("erase-other", &nothing, &state, tick()).await,
        STALE,
    );
    let result = client.again("erase", &nothing, &state, tick()).await;
    assert_eq!(said(&result), "Erased");
}

/// Versions that know no question, and clients that show none.
#[tokio::test]
async fn who_cannot_be_asked_gets_a_token_in_every_version() {
    let session = connect().await;
    let server = server(&session, gate());
    let silent = [
        WITH_HANDSHAKE[0],
        WITH_HANDSHAKE[1],
        WAITING[0],
        WAITING[1],
        WITHOUT_HANDSHAKE,
    ];
    for version in silent {
        // Somebody who can only open addresses cannot show a form.
        for capabilities in [json!({}), json!({"elicitation": {"url": {}}})] {
            let mut client = ByHand::begin(&server, version, capabilities).await;
            let id = client.call(TOOL, &deletion()).await;
            let preview = client.result(id).await;
            let token = &preview["structuredContent"]["confirmation"];
            assert!(token.is_string(), "{version}: {preview}");
            assert_eq!(sent(&session), nothing(), "{version}");
            let id = client.call(TOOL, &with_token(deletion(), token)).await;
            let done = client.result(id).await;
            assert_eq!(
                done["structuredContent"]["status"], "queued",
                "{version}: {done}"
            );
            assert_eq!(sent(&session), [DELETE], "{version}");
        }
    }
}
