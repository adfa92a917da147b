//! Between the question and the approval a person becomes another: the confirmation no longer matches, whatever the question
//! showed of it.

use super::raw_client::*;
use super::support::*;
use crate::human::{Human, Reaction};
use crate::wire::WITHOUT_HANDSHAKE;
use crate::writing::{GRACE, QA, full_path, inject_fault, writes};
use crate::{Session, Setup, connect_with};
use posthog_client::{Client, Connection, ConnectionOptions, Project};
use posthog_persons_mcp::output::{OutputOptions, Redaction};
use posthog_persons_mcp::server::{Server, WriteGuards};
use posthog_persons_mcp::tools::{Context, catalog};
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const BY_UUIDS: &str = "POST B/batch_by_uuids/";

/// What happens to the persons of a call, and what the operator redacts.
struct Attack {
    name: &'static str,
    tool: &'static str,
    arguments: Value,
    /// The requests that read them, with PostHog's responses before and after.
    reads: Vec<(String, Value, Value)>,
    redaction: Redaction,
}

fn person(uuid: &str, name: &str, distinct_ids: &[String]) -> Value {
    json!({
        "id": 1, "uuid": uuid, "name": name, "distinct_ids": distinct_ids,
        "properties": {"email": name, "plan": "pro"}, "created_at": "2026-01-01T00:00:00Z",
    })
}

fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}{number}"))
        .collect()
}

fn batch(persons: &[Value]) -> Value {
    let by_uuid: Map<String, Value> = persons
        .iter()
        .map(|person| (person["uuid"].as_str().unwrap().to_owned(), person.clone()))
        .collect();
    json!({"results": by_uuid})
}

fn deletion_of(name: &'static str, before: &Value, after: &Value) -> Attack {
    Attack {
        name,
        tool: TOOL,
        arguments: json!({"ids": [QA[0]]}),
        reads: vec![(
            BY_UUIDS.to_owned(),
            batch(std::slice::from_ref(before)),
            batch(std::slice::from_ref(after)),
        )],
        redaction: Redaction::default(),
    }
}

fn attacks() -> Vec<Attack> {
    let one = |name: &str, ids: &[String]| person(QA[0], name, ids);
    let email = |email: &str| {
        let mut person = one("Ann", &ids("a", 2));
        person["properties"]["email"] = json!(email);
        person
    };
    let long = "x".repeat(90);
    let mut attacks = vec![
        deletion_of(
            "distinct ids exchanged with equal count",
            &one("ann@example.com", &ids("a", 3)),
            &one("ann@example.com", &ids("b", 3)),
        ),
        deletion_of(
            "distinct ids exchanged that are not shown",
            &one("ann@example.com", &[ids("a", 3), ids("b", 3)].concat()),
            &one("ann@example.com", &[ids("a", 3), ids("c", 3)].concat()),
        ),
        deletion_of(
            "e-mail changed",
            &email("ann@example.com"),
            &email("bob@example.com"),
        ),
        deletion_of(
            "name that differs after its 60th character",
            &one(&format!("{long}ann"), &ids("a", 1)),
            &one(&format!("{long}bob"), &ids("a", 1)),
        ),
        Attack {
            redaction: Redaction::new(&[], true),
            ..deletion_of(
                "another human with --mask-emails",
                &one("ann@example.com", &["ann@example.com".to_owned()]),
                &one("amy@example.com", &["amy@example.com".to_owned()]),
            )
        },
        Attack {
            redaction: Redaction::new(&["email".to_owned(), "name".to_owned()], false),
            ..deletion_of(
                "another human with --redact",
                &one("ann@example.com", &["ann@example.com".to_owned()]),
                &one("bob@example.com", &["bob@example.com".to_owned()]),
            )
        },
    ];
    // One of 30 persons grows: a batch sends ten of its distinct ids, before and after.
    let uuids: Vec<String> = (0..30)
        .map(|number| format!("00000000-0000-4000-8000-{number:012}"))
        .collect();
    let persons: Vec<Value> = uuids
        .iter()
        .map(|uuid| {
            person(
                uuid,
                uuid,
                &ids(uuid, 1 + 9 * usize::from(uuid.ends_with("07"))),
            )
        })
        .collect();
    let grown = &uuids[7];
    let whole = |count| person(grown, grown, &ids(grown, count));
    attacks.push(Attack {
        name: "one of 30 persons grown from 13 to 5,013 ids",
        tool: TOOL,
        arguments: json!({"ids": uuids}),
        reads: vec![
            (BY_UUIDS.to_owned(), batch(&persons), batch(&persons)),
            (format!("GET B/{grown}/"), whole(13), whole(5013)),
        ],
        redaction: Redaction::default(),
    });
    let merged = |other: &str| {
        let ids = ["grace@example.com", "katherine@example.com", other].map(str::to_owned);
        person(GRACE, "grace@example.com", &ids)
    };
    attacks.push(Attack {
        name: "a split's remaining ids exchanged",
        tool: "persons-split",
        arguments: split(),
        reads: vec![(
            format!("GET B/{GRACE}/"),
            merged("laptop"),
            merged("another"),
        )],
        redaction: Redaction::default(),
    });
    attacks
}

/// Lets PostHog respond like this until the next call.
fn respond(session: &Session, attack: &Attack, after: bool) {
    session.sandbox.clear_faults();
    for (request, before, then) in &attack.reads {
        let response = if after { then } else { before };
        let fault = Fault::always(&full_path(request), FaultKind::json(200, response));
        session.sandbox.inject(fault);
    }
}

async fn session(attack: &Attack) -> Session {
    let mut setup = Setup::default();
    setup.limits.redaction = attack.redaction.clone();
    connect_with(setup).await
}

fn server_for(session: &Session, attack: &Attack) -> Server {
    let mut options = ConnectionOptions::new(session.sandbox.url().parse().unwrap());
    options.assume_current = true;
    let connection = Arc::new(Connection::new(&options).unwrap());
    let project = Project::Number(Sandbox::PROJECT);
    let context = Context {
        posthog: Client::new(connection, SecretString::from(Sandbox::KEY), project),
        exports: None,
        limits: OutputOptions {
            redaction: attack.redaction.clone(),
            ..OutputOptions::default()
        },
    };
    let safety = WriteGuards {
        confirmer: confirmer(),
        audit: None,
    };
    Server::new(catalog(), context, safety)
}

#[tokio::test]
async fn changed_facts_void_a_token() {
    for attack in attacks() {
        let session = session(&attack).await;
        respond(&session, &attack, false);
        let preview = session.call(attack.tool, attack.arguments.clone()).await;
        let confirmed = with_token(attack.arguments.clone(), &preview["confirmation"]);
        respond(&session, &attack, true);
        let refused = session.error(attack.tool, confirmed.clone()).await;
        assert!(refused.starts_with(CHANGED), "{}: {refused}", attack.name);
        assert_eq!(writes(&session), no_requests(), "{}", attack.name);
        // A mismatch does not use it: as soon as the persons are the same again, it confirms.
        respond(&session, &attack, false);
        session.result(attack.tool, confirmed).await;
        assert_eq!(writes(&session).len(), 1, "{}", attack.name);
    }
}

#[tokio::test]
async fn changed_facts_void_an_elicitation() {
    for attack in attacks() {
        let session = session(&attack).await;
        let server = server_for(&session, &attack);
        for version in WAITING {
            respond(&session, &attack, false);
            let mut client = RawClient::begin(&server, version, forms()).await;
            let id = client.call(attack.tool, &attack.arguments).await;
            let question = client.elicitation().await;
            respond(&session, &attack, true);
            client.reply(&question, confirming_reply()).await;
            assert_rejected(&client.result(id).await, CHANGED);
            assert_eq!(writes(&session), no_requests(), "{}", attack.name);
        }
    }
}

#[tokio::test]
async fn changed_facts_void_an_input_required_reply() {
    for attack in attacks() {
        let session = session(&attack).await;
        let server = server_for(&session, &attack);
        respond(&session, &attack, false);
        let mut client = RawClient::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
        let id = client.call(attack.tool, &attack.arguments).await;
        let state = state(&client.result(id).await);
        respond(&session, &attack, true);
        let (tool, arguments) = (attack.tool, &attack.arguments);
        let result = client
            .repeat(tool, arguments, &state, confirming_reply())
            .await;
        assert_rejected(&result, CHANGED);
        assert_eq!(writes(&session), no_requests(), "{}", attack.name);
        respond(&session, &attack, false);
        client
            .repeat(tool, arguments, &state, confirming_reply())
            .await;
        assert_eq!(writes(&session).len(), 1, "{}", attack.name);
    }
}

/// A declined question stays declined, also if the persons had changed when it was declined.
#[tokio::test]
async fn declining_is_final() {
    for attack in attacks() {
        let session = session(&attack).await;
        let server = server_for(&session, &attack);
        respond(&session, &attack, false);
        let mut client = RawClient::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
        let id = client.call(attack.tool, &attack.arguments).await;
        let state = state(&client.result(id).await);
        respond(&session, &attack, true);
        let (tool, arguments) = (attack.tool, &attack.arguments);
        let declined = json!({"action": "decline"});
        let result = client.repeat(tool, arguments, &state, declined).await;
        assert_rejected(&result, "Nothing was sent: the user declined.");
        respond(&session, &attack, false);
        let result = client
            .repeat(tool, arguments, &state, confirming_reply())
            .await;
        assert_rejected(
            &result,
            "Invalid confirmation: it was already used or declined,",
        );
        assert_eq!(writes(&session), no_requests(), "{}", attack.name);
    }
}

/// PostHog reads a call's persons once for the question and once after the approval, one by one where a batch sends only ten of
/// their distinct ids; of too many such persons no exact preview is possible.
#[tokio::test]
async fn persons_that_cannot_be_previewed_exactly_are_refused() {
    let session = connect_with(Setup {
        human: Human::answering_with(Reaction::Tick),
        ..Setup::default()
    })
    .await;
    let uuids: Vec<String> = (0..101)
        .map(|number| format!("00000000-0000-4000-8000-{number:012}"))
        .collect();
    let persons: Vec<Value> = uuids
        .iter()
        .map(|uuid| person(uuid, uuid, &ids(uuid, 10)))
        .collect();
    inject_fault(&session, BY_UUIDS, FaultKind::json(200, &batch(&persons)));
    assert_eq!(
        session.error(TOOL, json!({"ids": uuids})).await,
        "101 of these persons have 10 or more distinct ids, and at most 100 such persons can be previewed exactly in one call. Nothing was sent. Split the call into several, each with fewer persons."
    );
    assert_eq!(session.requests(), [BY_UUIDS]);
}
