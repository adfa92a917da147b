use insta::assert_snapshot;
use serde_json::json;

use crate::{ADA, NOBODY, connect};

const TOOL: &str = "persons-cohorts-retrieve";

#[tokio::test]
async fn lists_the_cohorts_of_a_person() {
    let session = connect().await;
    let text = session.text(TOOL, json!({"person_id": ADA})).await;
    assert_eq!(
        session.requests(),
        [format!("GET B/cohorts/?person_id={ADA}")]
    );
    assert_snapshot!(text, @r"
    id	name	count
    11	Paying customers	3
    12	United Kingdom	2
    As of each cohort's last calculation.
    ");
    let result = session.call(TOOL, json!({"person_id": 101})).await;
    assert_eq!(session.requests(), ["GET B/cohorts/?person_id=101"]);
    let expected = json!([
        {"id": 11, "name": "Paying customers", "count": 3},
        {"id": 12, "name": "United Kingdom", "count": 2},
    ]);
    assert_eq!(result["results"], expected);
}

#[tokio::test]
async fn cohort_without_a_name_is_listed() {
    let session = connect().await;
    let result = session.call(TOOL, json!({"person_id": "102"})).await;
    assert_eq!(result["results"], json!([{"id": 13, "count": 2}]));
}

#[tokio::test]
async fn cohorts_are_of_the_project_also_where_the_owner_has_selected_another() {
    let session = connect().await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.foreign_current_project = true);
    assert_snapshot!(session.text(TOOL, json!({"person_id": ADA})).await, @r"
    id	name	count
    11	Paying customers	3
    12	United Kingdom	2
    As of each cohort's last calculation.
    ");
}

#[tokio::test]
async fn unknown_person_is_not_found() {
    let session = connect().await;
    assert_snapshot!(session.error(TOOL, json!({"person_id": NOBODY})).await, @"PostHog found no person `6ba7b810-9dad-41d1-80b4-00c04fd430c8` in this project: Not found. Look the person up with persons-list by email, distinct_id or search. A deleted person appears only in persons-activity-retrieve without an id and in persons-deletion-status-list.");
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    for (arguments, message) in [
        (
            json!({"person_id": ADA, "search": "paying"}),
            "`search` and `offset` are for the project's cohorts",
        ),
        (
            json!({"person_id": "ada@example.com"}),
            "call persons-list with email",
        ),
        (json!({"id": ADA}), "Unknown argument `id`."),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(message), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}

#[tokio::test]
async fn without_a_person_the_cohorts_of_the_project_are_listed() {
    let session = connect().await;
    let text = session.text(TOOL, json!({})).await;
    assert_eq!(
        session.requests(),
        ["GET /api/projects/1/cohorts/?limit=20&offset=0"]
    );
    assert_snapshot!(text, @r"
    4 cohorts
    id	name	count	kind	last_calculation
    14	Test accounts	6	dynamic	2026-11-02
    13		2	static	2026-11-02
    12	United Kingdom	2	dynamic	2026-11-02
    11	Paying customers	3	dynamic	2026-11-02
    `count` is the number of persons at the last calculation; the persons of a static cohort were picked and do not change by themselves.
    ");
    let found = session.text(TOOL, json!({"search": "PAYING"})).await;
    assert_snapshot!(found, @r"
    1 cohort
    id	name	count	kind	last_calculation
    11	Paying customers	3	dynamic	2026-11-02
    `count` is the number of persons at the last calculation; the persons of a static cohort were picked and do not change by themselves.
    ");
    let nothing = session.text(TOOL, json!({"search": "nobody"})).await;
    assert_snapshot!(nothing, @r"
    No cohort has such a name
    Call without `search` for all cohorts.
    ");
}

#[tokio::test]
async fn cohorts_of_the_project_come_in_pages() {
    let session = connect().await;
    let first = session.call(TOOL, json!({"limit": 3})).await;
    assert_eq!(first["next_offset"], 3);
    assert!(first["notes"].to_string().contains("offset 3"), "{first}");
    let last = session.call(TOOL, json!({"limit": 3, "offset": 3})).await;
    assert_eq!(last["results"][0]["id"], 11);
    assert_eq!(last["next_offset"], json!(null));
}
