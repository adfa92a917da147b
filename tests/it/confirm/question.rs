//! The question that a user reads: complete in four lines, and nothing in it that a stranger wrote can pass for the server's
//! words.

use super::support::*;
use crate::Session;
use crate::human::{Human, Reaction};
use crate::writing::{QA, approving_with, elicitations, full_path, inject_fault, writes};
use crate::{Setup, connect_with};
use insta::assert_snapshot;
use posthog_sandbox::{Fault, FaultKind};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

/// A session whose user declines everything.
async fn declining() -> Session {
    connect_with(Setup {
        human: Human::answering_with(Reaction::Decline),
        ..Setup::default()
    })
    .await
}

/// The question of a call, with every line as a terminal of 80 columns would show it.
async fn question(session: &Session, tool: &'static str, arguments: Value) -> String {
    session.error(tool, arguments).await;
    let question = elicitations(session).pop().unwrap();
    check_layout(&question);
    question
}

/// What each question promises of its form.
fn check_layout(question: &str) {
    for line in question.lines() {
        assert!(line.chars().count() <= 70, "{line}");
        assert_eq!(line.matches('"').count() % 2, 0, "{line}");
    }
    for (number, line) in question.lines().enumerate() {
        let max = if number < 4 { 40 } else { 80 };
        for quoted in line.split('"').skip(1).step_by(2) {
            assert!(quoted.chars().count() <= max, "{line}");
        }
    }
}

/// What the server itself wrote.
fn unquoted(question: &str) -> String {
    let lines = question.lines().map(|line| {
        let own: Vec<&str> = line.split('"').step_by(2).collect();
        own.join("\"\"")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn four_lines_say_everything_that_matters() {
    let session = declining().await;
    assert_snapshot!(question(&session, TOOL, json!({"ids": [QA[0]]})).await, @r#"
    Delete 1 person for good?
    "qa-1@example.org", 1 distinct id
    All distinct ids and properties go. Events and recordings stay.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    - 326043c7-9577-586f-b399-8da3ff6a80ff
      "qa-1@example.org"
      1 distinct id: "qa-1"
      created 2026-10-15, last seen 2026-10-30
    "#);
    assert_snapshot!(question(&session, TOOL, deletion()).await, @r#"
    Delete 2 persons for good, with their events?
    "grace@example.com", "qa-1@example.org"
    All distinct ids and properties go. Recordings stay.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    PostHog deletes the events in a weekly batch.
    - 707be5a0-b120-5ae0-b57a-f77976f29c41
      "grace@example.com"
      4 distinct ids:
        "grace@example.com"
        "katherine@example.com"
        "katherine-laptop"
        and 1 more
      created 2026-04-10, last seen 2026-10-31
      given as "grace@example.com", "katherine@example.com"
    - 326043c7-9577-586f-b399-8da3ff6a80ff
      "qa-1@example.org"
      1 distinct id: "qa-1"
      created 2026-10-15, last seen 2026-10-30
      given as "qa-1"
    Ids of nobody (1): "nobody"
    "#);
    let mut data = deletion();
    data["keep_person"] = json!(true);
    assert_snapshot!(question(&session, TOOL, data).await, @r#"
    Delete the events of 2 persons for good?
    "grace@example.com", "qa-1@example.org"
    The persons, their properties and recordings stay.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    PostHog deletes the events in a weekly batch.
    - 707be5a0-b120-5ae0-b57a-f77976f29c41
      "grace@example.com"
      4 distinct ids:
        "grace@example.com"
        "katherine@example.com"
        "katherine-laptop"
        and 1 more
      created 2026-04-10, last seen 2026-10-31
      given as "grace@example.com", "katherine@example.com"
    - 326043c7-9577-586f-b399-8da3ff6a80ff
      "qa-1@example.org"
      1 distinct id: "qa-1"
      created 2026-10-15, last seen 2026-10-30
      given as "qa-1"
    Ids of nobody (1): "nobody"
    "#);
    assert_snapshot!(question(&session, "persons-split", split()).await, @r#"
    Split 1 distinct id off this person?
    "grace@example.com", 4 distinct ids
    It keeps its properties and 3 distinct ids. Events follow the ids.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    - 707be5a0-b120-5ae0-b57a-f77976f29c41
      "grace@example.com"
      4 distinct ids:
        "grace@example.com"
        "katherine@example.com"
        "katherine-laptop"
        and 1 more
      created 2026-04-10, last seen 2026-10-31
    Moved, each to a new person without properties:
    - "katherine@example.com"
      to cb6afac3-9b8e-52f6-90cd-885fdcc94639
    "#);
}

#[tokio::test]
async fn thirty_persons_fit_the_four_lines() {
    let session = approving_with(|setup| setup.sandbox.persons = 30).await;
    let ids: Vec<String> = (1..=30).map(|number| format!("user-{number:04}")).collect();
    let arguments = json!({"distinct_ids": ids, "delete_events": true, "delete_recordings": true});
    session.call(TOOL, arguments).await;
    let question = elicitations(&session).pop().unwrap();
    check_layout(&question);
    let lines: Vec<&str> = question.lines().take(8).collect();
    assert_snapshot!(lines.join("\n"), @r#"
    Delete 30 persons for good, with their events and recordings?
    "user-0001@example.net", "user-0002@example.net" and 28 more
    All distinct ids, properties, events and recordings go.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    PostHog deletes the events in a weekly batch.
    - 01850000-0000-4000-8000-000000000001, "user-0001@example.net"
    - 01850000-0000-4000-8000-000000000002, "user-0002@example.net"
    "#);
}

/// The attack: an id of nobody that is a sentence for the human, or that pushes one out of sight.
#[tokio::test]
async fn an_id_of_nobody_cannot_speak_to_the_user() {
    let session = declining().await;
    let sentence = "all fine. This is a rehearsal, nothing is deleted. Please tick Yes";
    let hidden = format!("{}{sentence}", "\u{a0}".repeat(300));
    let ids = json!(["qa-1", sentence, hidden, "x\" tick Yes \""]);
    let question = question(&session, TOOL, json!({"distinct_ids": ids})).await;
    assert_snapshot!(question, @r#"
    Delete 1 person for good?
    "qa-1@example.org", 1 distinct id
    All distinct ids and properties go. Events and recordings stay.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    - 326043c7-9577-586f-b399-8da3ff6a80ff
      "qa-1@example.org"
      1 distinct id: "qa-1"
      created 2026-10-15, last seen 2026-10-30
      given as "qa-1"
    Ids of nobody (3): "all fine. This is a rehearsal, nothin…" and 2 more
    "#);
    assert!(!unquoted(&question).contains("tick"), "{question}");
    assert_eq!(writes(&session), no_requests());
}

/// Ids that faulty code sends in place of a user's belong to everybody whose code is faulty.
#[tokio::test]
async fn placeholder_ids_are_flagged() {
    let session = declining().await;
    for placeholder in ["undefined", "null", "[object Object]"] {
        session
            .sandbox
            .capture(placeholder, "$pageview", Map::new());
        let arguments = json!({"distinct_ids": [placeholder]});
        let question = question(&session, TOOL, arguments.clone()).await;
        assert!(question.contains("  NOTE: its distinct id"), "{question}");
        let mut preview = arguments;
        preview["dry_run"] = json!(true);
        let text = session.text(TOOL, preview).await;
        assert!(
            text.contains(&format!("its distinct id {placeholder} is a placeholder")),
            "{text}"
        );
    }
    session
        .sandbox
        .capture("a real id", "$pageview", Map::new());
    let question = question(&session, TOOL, json!({"distinct_ids": ["a real id"]})).await;
    assert!(!question.contains("NOTE"), "{question}");
}

const MARK: &str = "STRANGER";

/// Text with blanks, quotes of all kinds, combining marks, Markdown, up to 400 characters.
fn hostile_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        any::<char>(),
        proptest::sample::select(
            "\" '`\\“”„‟«»‘’＂〝〞״ʺ˝\u{a0}\u{3000}\u{2003}\u{200b}\u{202e}\u{338}\u{301}<>[](){}*_~#|-!\n\r\t\u{2028}\u{85}"
                .chars()
                .collect::<Vec<char>>()
        ),
    ];
    proptest::collection::vec(character, 0..392).prop_map(|characters| {
        let text: String = characters.into_iter().collect();
        let text: String = text
            .chars()
            .filter(|character| *character != '\0')
            .collect();
        let middle = text.char_indices().nth(5).map_or(text.len(), |(at, _)| at);
        format!("{}{MARK}{}", &text[..middle], &text[middle..])
    })
}

/// All strings that reach a question: names, e-mails, distinct ids of persons and of nobody.
#[test]
fn no_text_leaves_its_quotes() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let session = runtime.block_on(declining());
    let strategy = proptest::collection::vec(hostile_text(), 8);
    let mut runner = TestRunner::new(ProptestConfig {
        cases: crate::cases(48),
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let checked = runner.run(&strategy, |texts| {
        runtime.block_on(async {
            let [name, email, one, two, other, three, nobody, key] =
                <[String; 8]>::try_from(texts).unwrap();
            let person = |uuid: &str, name: &str, ids: &[&str]| {
                json!({
                    "id": 1, "uuid": uuid, "name": name, "distinct_ids": ids,
                    "properties": {"email": email, key.clone(): name}, "created_at": name, "last_seen_at": email,
                })
            };
            let first = person(QA[0], &name, &[&one, &two]);
            let second = person(QA[1], &other, &[&three]);
            session.sandbox.clear_faults();
            let results = json!({"results": {one.clone(): first, three.clone(): second}});
            inject_fault(
                &session,
                "POST B/batch_by_distinct_ids/",
                FaultKind::json(200, &results),
            );
            let arguments = json!({"distinct_ids": [one, three, nobody]});
            let shown = question(&session, TOOL, arguments).await;
            let own = unquoted(&shown);
            assert!(!own.contains(MARK) && own.is_ascii(), "{own}");

            let merged = person(QA[0], &name, &[&one, &two]);
            let fault = FaultKind::json(200, &merged);
            let request = full_path(&format!("GET B/{}/", QA[0]));
            session.sandbox.inject(Fault::always(&request, fault));
            let arguments = json!({"id": QA[0], "distinct_ids_to_split": [one]});
            let shown = question(&session, "persons-split", arguments).await;
            let own = unquoted(&shown);
            assert!(!own.contains(MARK) && own.is_ascii(), "{own}");

            // With values that differ, and a property that only one has.
            let mut duplicate = person(QA[1], &other, &[&three]);
            duplicate["properties"][&other] = json!([email]);
            let request = full_path(&format!("GET B/{}/", QA[1]));
            let fault = FaultKind::json(200, &duplicate);
            session.sandbox.inject(Fault::always(&request, fault));
            let arguments = json!({"into": QA[0], "persons": [QA[1]]});
            let shown = question(&session, "persons-merge", arguments).await;
            let own = unquoted(&shown);
            assert!(!own.contains(MARK) && own.is_ascii(), "{own}");
        });
        Ok(())
    });
    checked.unwrap();
}
