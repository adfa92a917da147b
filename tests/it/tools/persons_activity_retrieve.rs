use insta::assert_snapshot;
use posthog_sandbox::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::{ADA, NOBODY, Session, Setup, column, connect, connect_with};

const TOOL: &str = "persons-activity-retrieve";

#[tokio::test]
async fn shows_the_users_who_changed_a_person() {
    let session = connect().await;
    let text = session.text(TOOL, json!({"id": ADA})).await;
    assert_eq!(
        session.requests(),
        [format!("GET B/{ADA}/activity/?limit=20&page=1")]
    );
    assert_snapshot!(text, @r#"
    2 of 2 entries
    created_at	activity	user	id	name	changes
    2026-08-15T13:00:00Z	delete_property	Mary <mary.somerville@example.com>	101	ada0ada0-1815-4852-8000-000000000101	[{"action":"changed"}]
    2026-07-01T09:00:00Z	updated	Mary <mary.somerville@example.com>	101		[{"action":"changed","field":"properties"}]
    The activity log has no changes made by events: persons-properties-timeline-retrieve shows those.
    "#);
}

/// Entries of versions that merged persons at a user's request. They contain the persons as they were.
#[tokio::test]
async fn shows_who_was_merged_into_whom() {
    let person = |number: u64, name: &str| {
        json!({
            "id": number, "uuid": format!("018f0000-0000-7000-8000-{number:012}"), "name": name,
            "distinct_ids": ["x"], "properties": {"email": name}, "created_at": "2026-01-01T00:00:00Z",
        })
    };
    let entry = |activity: &str, source: Value| {
        let merge =
            json!({"type": "Person", "source": source, "target": person(1, "ada@example.com")});
        json!({
            "activity": activity, "scope": "Person", "item_id": "1", "created_at": "2026-01-02T00:00:00Z",
            "user": {"first_name": "Mary", "email": "mary@example.com"}, "detail": {"changes": null, "merge": merge},
        })
    };
    let many: Vec<Value> = (10..25).map(|number| person(number, "b")).collect();
    let body = json!({"results": [
        entry("people_merged_into", json!([person(2, "a"), person(3, "b")])),
        entry("was_merged_into_person", person(2, "a")),
        entry("people_merged_into", json!(many)),
        // No reason to show nothing of the page.
        entry("people_merged_into", json!(["someone", null, 7])),
    ], "next": null, "total_count": 4});
    let session = connect().await;
    let fault = FaultKind::json(200, &body);
    session
        .sandbox
        .inject(Fault::once("activity", fault.clone()));
    let text = session.text(TOOL, json!({})).await;
    let into = r#""into":{"name":"ada@example.com","uuid":"018f0000-0000-7000-8000-000000000001"}"#;
    assert_eq!(text.matches(into).count(), 4, "{text}");
    session.sandbox.inject(Fault::once("activity", fault));
    let page = session.call(TOOL, json!({})).await;
    let merged = |row: usize| page["results"][row]["merge"]["merged"].clone();
    let row = |number: u64, name: &str| json!({"uuid": format!("018f0000-0000-7000-8000-{number:012}"), "name": name});
    assert_eq!(merged(0), json!([row(2, "a"), row(3, "b")]));
    assert_eq!(merged(1), json!([row(2, "a")]));
    assert_eq!(merged(2).as_array().unwrap().len(), 10);
    assert_eq!(page["results"][2]["merge"]["more"], 5);
    assert_eq!(merged(3), json!([]));
}

#[tokio::test]
async fn without_an_id_lists_the_whole_project_including_deletions() {
    let session = connect().await;
    let page = session.call(TOOL, json!({"limit": 1})).await;
    assert_eq!(session.requests(), ["GET B/activity/?limit=1&page=1"]);
    assert_eq!(page["results"][0]["activity"], "deleted");
    assert_eq!(page["results"][0]["person_id"], 109);
    assert_eq!(page["total"], 10);
    assert_eq!(page["next"], json!({"limit": 1, "page": 2}));
    assert_snapshot!(page["notes"].to_string(), @r#"["There is more: call persons-activity-retrieve with limit 1 and page 2.","The activity log has no changes made by events: persons-properties-timeline-retrieve shows those."]"#);
}

#[tokio::test]
async fn paging_returns_every_entry_once() {
    let all = {
        let session = connect().await;
        walk(&session, json!({"limit": 1000})).await
    };
    assert_eq!(all.len(), 10);
    // The second budget has no room for a whole page of six.
    for budget in [80_000, 4_000, 700] {
        let session = connect_with(Setup::default().budget(budget)).await;
        assert_eq!(walk(&session, json!({"limit": 6})).await, all, "{budget}");
    }
}

/// The times of the entries of all pages, in order.
async fn walk(session: &Session, mut arguments: Value) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let page = session.call(TOOL, arguments.clone()).await;
        seen.extend(column(&page, "created_at").into_iter().map(str::to_owned));
        assert!(seen.len() <= 10, "{arguments} shows something twice");
        match page.get("next") {
            Some(next) => arguments = next.clone(),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn deleted_person_has_no_log() {
    let session = connect().await;
    assert_snapshot!(session.error(TOOL, json!({"id": "110"})).await, @"PostHog found no person `110` in this project: Not found. Look the person up with persons-list by email, distinct_id or search. A deleted person appears only in persons-activity-retrieve without an id and in persons-deletion-status-list.");
    let unknown = session.error(TOOL, json!({"id": NOBODY})).await;
    assert!(unknown.contains(NOBODY), "{unknown}");
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    for (arguments, expected) in [
        (
            json!({"id": "user-3"}),
            "not a person UUID or numeric person id",
        ),
        (
            json!({"page": 0}),
            "Invalid argument `page`: 0 is not between 1 and 2147483647.",
        ),
        (
            json!({"limit": "many"}),
            "Invalid argument `limit`: not a whole number from 1 to 1000.",
        ),
        (
            json!({"offset": 1}),
            "Unknown argument `offset`. Expected one of `id`, `limit`, `page`.",
        ),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(expected), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}
