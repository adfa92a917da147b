use insta::assert_snapshot;
use posthog_sandbox::Era;
use serde_json::{Value, json};

use crate::{Session, Setup, connect, connect_with};

const TOOL: &str = "persons-duplicates-list";

/// With the generated persons of the sandbox, of which some share an email.
async fn with_duplicates() -> Session {
    connect_with(Setup::persons(1000)).await
}

#[tokio::test]
async fn groups_persons_by_email_in_any_case() {
    let session = with_duplicates().await;
    let text = session.text(TOOL, json!({})).await;
    assert_snapshot!(text, @r"
    3 groups of duplicates, the largest first
    email	persons	keep	duplicates
    user-0924@example.net	3	01850000-0000-4000-8000-00000000039c (created 2025-01-01 · seen 2025-01-01 · 1 id · identified)	01850000-0000-4000-8000-00000000039d (created 2025-01-01 · seen 2025-01-01 · 1 id · identified), 01850000-0000-4000-8000-00000000039e (created 2025-01-01 · seen 2025-01-01 · 1 id · identified)
    user-0949@example.net	2	01850000-0000-4000-8000-0000000003b5 (created 2025-01-01 · seen 2025-01-01 · 1 id · identified)	01850000-0000-4000-8000-0000000003b6 (created 2025-01-01 · seen 2025-01-01 · 1 id · identified)
    user-0974@example.net	2	01850000-0000-4000-8000-0000000003ce (created 2025-01-01 · seen 2025-01-01 · 1 id · identified)	01850000-0000-4000-8000-0000000003cf (created 2025-01-01 · seen 2025-01-01 · 1 id · identified)
    `keep` is the identified person before the anonymous, of these the oldest. A merge into it keeps its UUID, and its values where several have a property. The same value does not prove that it is the same person: check before merging.
    ");
    // The groups, their persons, and the numbers of distinct ids.
    assert_eq!(session.requests(), ["POST Q/", "POST Q/", "POST Q/"]);
}

#[tokio::test]
async fn identified_person_is_kept_before_an_older_anonymous_one() {
    let session = connect().await;
    let set = |plan: &str| {
        json!({"$set": {"phone": plan}})
            .as_object()
            .unwrap()
            .clone()
    };
    // The anonymous visitor is older.
    session.sandbox.capture(
        "0190f1aa-5555-4eee-8fff-00000000000a",
        "$set",
        set(" +44 1 "),
    );
    session
        .sandbox
        .capture("radia@example.com", "$set", set("+44 1"));
    let result = session.call(TOOL, json!({"key": "phone"})).await;
    let group = &result["results"][0];
    assert_eq!(group["value"], "+44 1");
    assert_eq!(group["count"], 2);
    assert_eq!(group["keep"]["is_identified"], true, "{group}");
    assert_eq!(group["duplicates"][0]["is_identified"], false, "{group}");
    assert!(group["duplicates"][0]["created_at"].as_str() < group["keep"]["created_at"].as_str());
}

/// Persons without the property, and those that have it as another type, are no group.
#[tokio::test]
async fn persons_without_the_property_are_no_duplicates() {
    let session = connect().await;
    for key in ["no_such_property", "seats", "email"] {
        let result = session.call(TOOL, json!({"key": key})).await;
        assert_eq!(result["results"], json!([]), "{key}");
    }
    assert_snapshot!(session.text(TOOL, json!({"key": "Email"})).await, @r#"
    No duplicates
    No more than one person has any "Email", as far as it is text. Property names are case-sensitive; persons-values-retrieve without `key` lists them.
    "#);
}

#[tokio::test]
async fn pages_go_on_after_the_last_group_and_hold_no_value() {
    for era in Era::ALL {
        let mut setup = Setup::persons(1000);
        setup.sandbox.era = era;
        let session = connect_with(setup).await;
        let all = session
            .call(TOOL, json!({"key": "plan", "limit": 100}))
            .await;
        let all = all["results"].as_array().unwrap().clone();
        assert!(all.len() > 2, "{era:?}: {all:?}");
        let mut seen: Vec<Value> = Vec::new();
        let mut arguments = json!({"key": "plan", "limit": 1});
        loop {
            let page = session.call(TOOL, arguments.clone()).await;
            let rows = page["results"].as_array().unwrap();
            assert_eq!(rows.len(), 1, "{era:?}");
            seen.extend_from_slice(rows);
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            assert!(
                !cursor.contains(rows[0]["value"].as_str().unwrap()),
                "{cursor}"
            );
            arguments["cursor"] = json!(cursor);
        }
        assert_eq!(seen, all, "{era:?}");
    }
}

#[tokio::test]
async fn large_group_is_capped_with_its_true_count() {
    let session = with_duplicates().await;
    let result = session.call(TOOL, json!({"key": "plan", "limit": 1})).await;
    let group = &result["results"][0];
    assert_eq!(group["duplicates"].as_array().unwrap().len(), 9);
    assert_eq!(group["count"], 502);
    assert!(
        result["notes"]
            .to_string()
            .contains("persons-list with a filter on"),
        "{result}"
    );
    let text = session.text(TOOL, json!({"key": "plan", "limit": 1})).await;
    assert!(text.contains("… (492 more)"), "{text}");
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    for (arguments, message) in [
        (
            json!({"key": " "}),
            "Invalid argument `key`: must not be empty",
        ),
        (
            json!({"limit": 101}),
            "Invalid argument `limit`: 101 is not between 1 and 100.",
        ),
        (
            json!({"cursor": "x"}),
            "Invalid argument `cursor`: not a cursor of an earlier page.",
        ),
        (
            json!({"email": "ada@example.com"}),
            "Unknown argument `email`.",
        ),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(message), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}
