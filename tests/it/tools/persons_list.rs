use insta::assert_snapshot;
use serde_json::json;

use crate::connect;

const TOOL: &str = "persons-list";

#[tokio::test]
async fn lists_a_page_and_says_how_to_go_on() {
    let session = connect().await;
    let page = session
        .call(TOOL, json!({"limit": 2, "search": "qa-"}))
        .await;
    assert_eq!(session.requests(), ["GET B/?search=qa-&limit=2&offset=0"]);
    assert_eq!(page["next_offset"], 2);
    let rows = page["results"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["properties"], json!({"email": "qa-6@example.org"}));
}

#[tokio::test]
async fn every_argument_reaches_posthog_under_its_name() {
    let session = connect().await;
    let filters =
        json!([{"key": "plan", "value": "pro"}, {"key": "id", "type": "cohort", "value": 11}]);
    let arguments = json!({
        "email": "ada@example.com", "distinct_id": "ada@example.com", "properties": filters,
        "limit": "7", "offset": 0, "include_total": "true"
    });
    let page = session.call(TOOL, arguments).await;
    assert_eq!(page["count"], 1);
    assert_snapshot!(
        session.requests().join("\n"),
        @r#"GET B/?email=ada@example.com&distinct_id=ada@example.com&properties=[{"key":"plan","operator":"exact","type":"person","value":"pro"},{"key":"id","operator":"in","type":"cohort","value":11}]&limit=7&offset=0&include_total=true"#
    );
}

#[tokio::test]
async fn text_is_a_table() {
    let session = connect().await;
    let text = session
        .text(
            TOOL,
            json!({"search": "ada@", "select": ["plan", "lifetime_value"]}),
        )
        .await;
    assert_snapshot!(text, @r"
    1 person
    uuid	name	lifetime_value	plan	distinct_ids	distinct_id_count	created_at	last_seen_at
    ada0ada0-1815-4852-8000-000000000101	ada@example.com	1200.5	pro	ada@example.com, 0190f1aa-1111-4aaa-8bbb-00000000ada1	2	2026-03-02T10:00:00Z	2026-11-02T08:00:00Z
    ");
}

#[tokio::test]
async fn what_is_wrong_with_an_argument_is_said_before_any_request() {
    let session = connect().await;
    for (arguments, said) in [
        (json!({"serch": "ada"}), "unknown field `serch`"),
        (json!({"limit": 0}), "0 is not between 1 and 1000"),
        (json!({"limit": 1001}), "`limit`"),
        (json!({"offset": -1}), "`offset`"),
        (json!({"search": " "}), "leave the argument out"),
        (
            json!({"properties": [{"key": "plan"}]}),
            "would match everyone",
        ),
        (
            json!({"properties": [{"key": "1=1", "type": "hogql"}]}),
            "hogql",
        ),
        (json!({"format": "xml"}), "`format`"),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(said), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}

#[tokio::test]
async fn csv_is_posthogs_own_and_cut_at_a_line() {
    let session = connect().await;
    let page = session
        .call(TOOL, json!({"format": "csv", "email": "ada@example.com"}))
        .await;
    assert_eq!(
        session.requests(),
        ["GET B/?email=ada@example.com&format=csv"]
    );
    let csv = page["csv"].as_str().unwrap();
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.starts_with("created_at,distinct_ids.0,"), "{csv}");
}
