use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{ADA, NOBODY, Session, Setup, column, connect, connect_with};

const TOOL: &str = "persons-batch-retrieve";

fn ids(numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    numbers.map(|number| format!("user-{number:04}")).collect()
}

async fn connect_with_batches_closed(persons: usize) -> Session {
    let mut setup = Setup::persons(persons);
    setup.sandbox.batch_closed_to_keys = true;
    connect_with(setup).await
}

#[tokio::test]
async fn returns_persons_and_lists_missing_ids() {
    let session = connect().await;
    let arguments = json!({"distinct_ids": ["ada@example.com", "nobody", "hedy@example.com"], "select": ["plan"]});
    let text = session.text(TOOL, arguments).await;
    let body = json!({"distinct_ids": ["ada@example.com", "nobody", "hedy@example.com"]});
    assert_eq!(session.bodies(), [body]);
    assert_eq!(session.requests(), ["POST B/batch_by_distinct_ids/"]);
    assert_snapshot!(text, @r"
    2 found, 1 not found
    requested	uuid	name	plan	distinct_ids	created	last_seen
    ada@example.com	ada0ada0-1815-4852-8000-000000000101	Ada Lovelace	pro	ada@example.com, 0190f1aa-1111-4aaa-8bbb-00000000ada1	2026-03-02	2026-11-02
    hedy@example.com	2703d90f-e94c-5e97-ab64-5c56184dc852	Hedy Lamarr	pro	hedy@example.com	2026-10-27	2026-10-29
    not found: nobody
    ");
}

#[tokio::test]
async fn returns_450_persons_complete_in_three_requests() {
    let session = connect_with(Setup::persons(445).budget(80_000)).await;
    let requested = ids(1..=450);
    let arguments = json!({"distinct_ids": requested, "select": ["email"]});
    let result = session.call(TOOL, arguments.clone()).await;
    let mut sizes: Vec<usize> = session
        .bodies()
        .iter()
        .map(|body| body["distinct_ids"].as_array().unwrap().len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 200, 200]);
    assert_eq!(session.requests(), ["POST B/batch_by_distinct_ids/"; 3]);
    assert_eq!(column(&result, "requested"), requested[..445]);
    assert_eq!(result["not_found"], json!(requested[445..]));
    assert_eq!(result.get("not_shown"), None);
    for row in result["results"].as_array().unwrap() {
        assert!(row["properties"]["email"].is_string(), "{row}");
    }
    let text = session.text(TOOL, arguments).await;
    assert!(text.starts_with("445 found, 5 not found\n"), "{text}");
    let rest: Vec<&str> = text.lines().skip(447).collect();
    assert_snapshot!(rest.join("\n"), @r"
    not found: user-0446, user-0447, user-0448, user-0449, user-0450
    Distinct ids and dates are omitted to show all persons; request fewer to see them.
    ");
    assert!(
        text.lines()
            .skip(2)
            .take(445)
            .all(|line| line.starts_with("user-"))
    );
}

#[tokio::test]
async fn returns_450_persons_complete_with_the_default_select() {
    let session = connect_with(Setup::persons(450).budget(80_000)).await;
    let requested = ids(1..=450);
    let result = session.call(TOOL, json!({"distinct_ids": requested})).await;
    assert_eq!(column(&result, "requested"), requested);
    assert_snapshot!(result["results"][0].to_string(), @r#"{"country":"US","email":"user-0001@example.net","name":"Person 0001","requested":"user-0001","uuid":"01850000-0000-4000-8000-000000000001"}"#);
    assert_snapshot!(result["notes"].to_string(), @r#"["Distinct ids and dates are omitted to show all persons; request fewer to see them."]"#);
}

#[tokio::test]
async fn small_budget_reduces_persons_to_uuids() {
    let session = connect_with(Setup::persons(60).budget(10_000)).await;
    let requested = ids(1..=60);
    let arguments = json!({"distinct_ids": requested, "select": ["*"]});
    let result = session.call(TOOL, arguments).await;
    assert_eq!(column(&result, "requested"), requested);
    assert_snapshot!(result["results"][0].to_string(), @r#"{"requested":"user-0001","uuid":"01850000-0000-4000-8000-000000000001"}"#);
    assert_snapshot!(result["notes"].to_string(), @r#"["Only UUIDs are shown, to list as many persons as possible; request fewer for details."]"#);
}

#[tokio::test]
async fn truncated_result_names_the_id_to_continue_from() {
    let session = connect_with(Setup::persons(60).budget(4_000)).await;
    let requested = ids(1..=60);
    let mut rest = requested.as_slice();
    let mut seen = Vec::new();
    let mut calls = 0;
    while !rest.is_empty() {
        let result = session.call(TOOL, json!({"distinct_ids": rest})).await;
        let shown = column(&result, "requested");
        assert!(!shown.is_empty());
        seen.extend(shown.iter().map(|&id| id.to_owned()));
        rest = &rest[shown.len()..];
        calls += 1;
        if let Some(next) = rest.first() {
            let notes_text = format!(
                "{} persons did not fit, in the order of the request those from the id \"{next}\" on; ",
                rest.len()
            );
            let notes = result["notes"].to_string().replace('\\', "");
            assert!(notes.contains(&notes_text), "{notes}");
        }
    }
    assert!(calls > 1);
    assert_eq!(seen, requested);
}

#[tokio::test]
async fn unknown_ids_respect_the_result_size() {
    let session = connect().await;
    let requested: Vec<String> = (0..2000).map(|number| format!("{number:0>100}")).collect();
    let result = session.call(TOOL, json!({"distinct_ids": requested})).await;
    assert_eq!(result["results"], json!([]));
}

#[tokio::test]
async fn merged_person_is_returned_for_each_of_its_ids() {
    let session = connect().await;
    let requested = json!(["grace@example.com", "katherine-laptop", "grace@example.com"]);
    let result = session.call(TOOL, json!({"distinct_ids": requested})).await;
    assert_eq!(
        session.bodies(),
        [json!({"distinct_ids": ["grace@example.com", "katherine-laptop"]})]
    );
    assert_eq!(
        column(&result, "requested"),
        ["grace@example.com", "katherine-laptop"]
    );
    let uuids = column(&result, "uuid");
    assert_eq!(uuids[0], uuids[1]);
}

#[tokio::test]
async fn uuids_match_in_any_spelling() {
    let session = connect().await;
    let result = session
        .call(TOOL, json!({"uuids": [ADA.to_uppercase(), NOBODY, ADA]}))
        .await;
    assert_eq!(session.bodies(), [json!({"uuids": [ADA, NOBODY]})]);
    assert_eq!(session.requests(), ["POST B/batch_by_uuids/"]);
    assert_eq!(column(&result, "requested"), [ADA]);
    assert_eq!(result["not_found"], json!([NOBODY]));
}

#[tokio::test]
async fn truncated_distinct_id_count_is_marked_as_minimum() {
    let session = connect().await;
    let arguments = json!({"distinct_ids": ["kiosk-badge-0001"]});
    let row = session.call(TOOL, arguments.clone()).await["results"][0].clone();
    assert_eq!(row["distinct_ids"].as_array().unwrap().len(), 10);
    assert_eq!(row["count_is_minimum"], json!(true));
    let text = session.text(TOOL, arguments).await;
    assert!(text.contains(", … (at least 10)\t"), "{text}");
}

#[tokio::test]
async fn unsupported_batch_falls_back_to_single_reads() {
    let session = connect_with_batches_closed(0).await;
    let open = connect().await;
    for (arguments, requests) in [
        (
            json!({"distinct_ids": ["ada@example.com", "nobody"]}),
            vec![
                "GET B/?distinct_id=ada@example.com".to_owned(),
                "GET B/?distinct_id=nobody".to_owned(),
            ],
        ),
        (
            json!({"uuids": [ADA, NOBODY]}),
            vec![format!("GET B/{NOBODY}/"), format!("GET B/{ADA}/")],
        ),
    ] {
        let result = session.call(TOOL, arguments.clone()).await;
        assert_eq!(result, open.call(TOOL, arguments).await);
        let mut sent = session.requests();
        assert!(sent.remove(0).starts_with("POST B/batch_by_"), "{sent:?}");
        sent.sort();
        assert_eq!(sent, requests);
    }
}

#[tokio::test]
async fn fallback_rejects_too_many_ids_with_the_limit() {
    let session = connect_with_batches_closed(201).await;
    let requested = ids(1..=201);
    assert_snapshot!(session.error(TOOL, json!({"distinct_ids": requested})).await, @"PostHog does not serve this endpoint to personal API keys with scopes, whatever the scopes are: this key does not support batches, and at most 200 persons are looked up one by one. No other setting of the key helps.");
    let posts = session.requests();
    assert!(
        posts.iter().all(|line| line.starts_with("POST")),
        "{posts:?}"
    );
    let most: Value = session
        .call(TOOL, json!({"distinct_ids": ids(1..=200)}))
        .await;
    assert_eq!(column(&most, "requested").len(), 200);
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    let too_many: Vec<String> = (0..2001).map(|number| number.to_string()).collect();
    for (arguments, expected) in [
        (
            json!({}),
            "Give exactly one of `ids`, `distinct_ids`, `uuids` and `emails`.",
        ),
        (
            json!({"distinct_ids": ["a"], "uuids": [ADA]}),
            "Give exactly one of `ids`, `distinct_ids`, `uuids` and `emails`.",
        ),
        (json!({"distinct_ids": []}), "Give exactly one of"),
        (
            json!({"distinct_ids": too_many}),
            "2001 ids are too many; at most 2000 are allowed per call.",
        ),
        (
            json!({"distinct_ids": ["a", ""]}),
            "Invalid argument `distinct_ids[1]`: a distinct id must have 1 to 400 characters.",
        ),
        (
            json!({"uuids": ["101"]}),
            "Invalid argument `uuids[0]`: not a person UUID.",
        ),
    ] {
        let error = session.error(TOOL, arguments).await;
        assert!(error.contains(expected), "{error}");
    }
    assert!(session.requests().is_empty());
}

#[tokio::test]
async fn ids_can_be_uuids_and_distinct_ids_mixed() {
    let session = connect().await;
    // Ada's UUID is a distinct id of another person as well.
    let ids = json!([ADA, "101", "hedy@example.com", NOBODY, "nobody"]);
    let result = session.call(TOOL, json!({ "ids": ids })).await;
    let found: Vec<(&str, &str, &str)> = result["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let field = |name: &str| row[name].as_str().unwrap();
            (field("requested"), field("matched"), field("name"))
        })
        .collect();
    assert_eq!(
        found,
        [
            (ADA, "uuid", "Ada Lovelace"),
            (ADA, "distinct_id", "Charles Wheatstone"),
            ("101", "distinct_id", "Mary Shelley"),
            ("hedy@example.com", "distinct_id", "Hedy Lamarr"),
            (NOBODY, "distinct_id", "Charles Wheatstone"),
        ]
    );
    assert_eq!(result["not_found"], json!(["nobody"]));
    let text = session.text(TOOL, json!({ "ids": ids })).await;
    assert!(text.contains("requested\tmatched\tuuid\t"), "{text}");
    session.requests();
}

#[tokio::test]
async fn emails_are_found_in_any_letter_case() {
    let session = connect().await;
    let set = json!({"$set": {"email": "Ada@Example.com"}});
    session
        .sandbox
        .capture("second-ada", "sign up", set.as_object().unwrap().clone());
    let emails = json!(["ADA@example.com", " hedy@example.com ", "a.a@example.com"]);
    let result = session.call(TOOL, json!({ "emails": emails })).await;
    assert_eq!(session.requests().len(), 1);
    let mut found = column(&result, "email");
    found.sort_unstable();
    assert_eq!(
        found,
        ["Ada@Example.com", "ada@example.com", "hedy@example.com"]
    );
    assert_eq!(result["not_found"], json!(["a.a@example.com"]));
    let many: Vec<String> = (0..401)
        .map(|number| format!("{number}@example.com"))
        .collect();
    let error = session.error(TOOL, json!({ "emails": many })).await;
    assert!(
        error.contains("401 ids are too many; at most 400"),
        "{error}"
    );
}
