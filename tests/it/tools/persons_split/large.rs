//! Splits of many distinct ids, by what they begin with or by the one that stays.

use super::support::*;
use crate::text;
use crate::writing::{
    CHANGE_DELAY, GRACE, approving, approving_with, elicitations, owner, write_requests,
};
use insta::assert_snapshot;
use posthog_persons_mcp::output::Redaction;
use posthog_sandbox::Clock;
use serde_json::{Value, json};

/// Has 2,000 anonymous distinct ids and those of 500 badges.
const KIOSK: u64 = 103;
/// The one that its UUID was derived from.
const FIRST: &str = "0190f3c0-0000-4000-8000-000000000001";

fn badges() -> Value {
    json!({"id": KIOSK, "distinct_ids_prefix": "kiosk-badge-"})
}

/// Gives a person another distinct id.
fn merge(session: &crate::Session, into: &str, alias: &str) {
    let properties = json!({"alias": alias}).as_object().unwrap().clone();
    let sandbox = &session.sandbox;
    sandbox.capture(into, "$merge_dangerously", properties);
}

fn sent_ids(session: &crate::Session) -> Vec<String> {
    let (_, body) = write_requests(session).remove(0);
    let ids = body["distinct_ids_to_split"].as_array().unwrap().iter();
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn distinct_ids_that_begin_alike_move_together() {
    let session = approving_with(|setup| setup.sandbox.clock = Clock::Real).await;
    let result = session
        .result(TOOL, with(badges(), "wait_seconds", 30))
        .await;
    let sent = sent_ids(&session);
    assert_eq!(sent.len(), 500);
    assert!(sent.iter().all(|id| id.starts_with("kiosk-badge-")));
    let question = elicitations(&session).join("");
    let lines: Vec<&str> = question.lines().collect();
    assert_eq!(lines[0], "Split 500 distinct ids off this person?");
    assert_eq!(
        lines[2],
        "It keeps its properties and 2000 distinct ids. Events follow the ids."
    );
    assert_eq!(lines.last(), Some(&"- and 480 more"));
    let text = text(&result);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 23, "{text}");
    assert_snapshot!(lines[0], @r#"Done: moved 500 distinct ids, off person 0bf95d52-8763-545b-a907-9b679935b887 "Lobby Kiosk" of project 1, which keeps 2000 distinct ids:"#);
    assert!(lines[1].starts_with("- \"kiosk-badge-"), "{text}");
    assert_eq!(
        lines[21..],
        [
            "- and 480 more",
            "500 of 500 distinct ids were seen on their new persons."
        ]
    );
    let facts = result.structured_content.unwrap();
    assert_eq!(facts["status"], "done");
    assert_eq!(facts["move_count"], 500);
    assert_eq!(facts["moves"].as_array().unwrap().len(), 20);
    // Each distinct id is looked up until it was seen on its new person, and not again.
    let last = owner(&session, "kiosk-badge-0500").await.unwrap();
    assert_ne!(last, owner(&session, "kiosk-badge-0499").await.unwrap());
}

#[tokio::test]
async fn all_but_one_of_2500_distinct_ids_can_move() {
    let session = approving().await;
    let arguments = json!({"id": KIOSK, "main_distinct_id": FIRST});
    let result = session.call(TOOL, arguments).await;
    assert_eq!(result["move_count"], 2499);
    assert_eq!(sent_ids(&session).len(), 2499);
    session.sandbox.advance(CHANGE_DELAY);
    let person = session
        .call("persons-retrieve", json!({"id": KIOSK.to_string()}))
        .await;
    assert_eq!(person["distinct_ids"], json!([FIRST]));
}

#[tokio::test]
async fn more_than_posthog_moves_at_once_is_refused() {
    let session = approving().await;
    for number in 0..2 {
        merge(&session, "kiosk-badge-0001", &format!("late-{number}"));
    }
    session.sandbox.advance(CHANGE_DELAY);
    let all_but = json!({"id": KIOSK, "main_distinct_id": FIRST});
    assert_snapshot!(session.error(TOOL, all_but).await, @"2501 distinct ids would move; at most 2500 are allowed per call. Nothing was sent. Move some of them first, with distinct_ids_prefix.");
    let listed: Vec<String> = (1..=201)
        .map(|number| format!("kiosk-badge-{number:04}"))
        .collect();
    let listed = json!({"id": KIOSK, "distinct_ids_to_split": listed});
    assert_snapshot!(session.error(TOOL, listed).await, @"201 distinct ids would move; at most 200 are allowed per call. Nothing was sent. Pass fewer in distinct_ids_to_split, or distinct_ids_prefix.");
    assert_eq!(write_requests(&session), []);
    assert_eq!(elicitations(&session), Vec::<String>::new());
}

#[tokio::test]
async fn prefix_must_leave_a_distinct_id_and_find_one() {
    let session = approving().await;
    let none = json!({"id": GRACE, "distinct_ids_prefix": "Katherine"});
    assert_snapshot!(session.error(TOOL, none).await, @r#"No distinct id of the person begins with "Katherine", upper and lower case distinguished. Nothing was sent. persons-retrieve with distinct_ids_prefix shows those that begin so."#);
    let all = json!({"id": "111", "distinct_ids_prefix": "hedy"});
    assert_snapshot!(session.error(TOOL, all).await, @"At least one distinct id must stay on the person; without one it can no longer be changed. Nothing was sent.");
    assert_eq!(write_requests(&session), []);
}

/// As the results show it, where characters cannot be seen.
#[tokio::test]
async fn prefix_can_be_given_as_it_is_shown() {
    let session = approving().await;
    for alias in ["odd\u{200b}one", "odd\u{200b}two"] {
        merge(&session, "grace@example.com", alias);
    }
    session.sandbox.advance(CHANGE_DELAY);
    let shown = json!({"id": GRACE, "distinct_ids_prefix": r#""odd\u200b""#});
    session.call(TOOL, shown).await;
    assert_eq!(sent_ids(&session), ["odd\u{200b}one", "odd\u{200b}two"]);
}

/// Otherwise a dry run for each letter would read what is withheld.
#[tokio::test]
async fn prefix_does_not_find_what_is_withheld() {
    let session = approving_with(|setup| {
        setup.limits.redaction = Redaction::new(&["email".to_owned()], false);
    })
    .await;
    for prefix in ["grace@", "g"] {
        let guess = json!({"id": GRACE, "distinct_ids_prefix": prefix, "dry_run": true});
        let error = session.error(TOOL, guess).await;
        assert!(error.starts_with("No distinct id"), "{error}");
    }
    let visible = json!({"id": GRACE, "distinct_ids_prefix": "katherine-", "dry_run": true});
    session.call(TOOL, visible).await;
}
