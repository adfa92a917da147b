use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{ADA, NOBODY, Setup, connect, connect_with};

const TOOL: &str = "persons-events-list";

fn range(mut arguments: Value) -> Value {
    arguments["date_from"] = json!("2026-03-01");
    arguments["date_to"] = json!("2026-11-02");
    arguments
}

#[tokio::test]
async fn lists_events_newest_first_with_selected_properties() {
    let session = connect().await;
    let arguments = range(json!({"id": ADA, "select": ["amount", "$current_url"]}));
    let text = session.text(TOOL, arguments).await;
    let query = session.queries().remove(0);
    assert_eq!(session.requests(), ["POST Q/"]);
    assert_snapshot!(query["query"].as_str().unwrap(), @"select uuid, event, timestamp, distinct_id, JSONExtractRaw(properties, {k1}) as v1, JSONExtractRaw(properties, {k2}) as v2 from events where person_id = {pid} and timestamp >= toDateTime({from}) and timestamp < toDateTime({to}) order by timestamp desc, toString(uuid) desc limit {n}");
    assert_eq!(
        query["values"],
        json!({
            "pid": ADA, "from": "2026-03-01T00:00:00Z", "to": "2026-11-03T00:00:00Z", "k1": "amount", "k2": "$current_url", "n": 21,
        })
    );
    assert_snapshot!(text, @r"
    8 events, newest first
    timestamp	event	distinct_id	amount	$current_url
    2026-11-02T08:00:00Z	$pageview	ada@example.com		
    2026-11-01T09:10:00Z	$pageview	ada@example.com		
    2026-11-01T09:00:00Z	$pageview	ada@example.com		
    2026-10-28T09:00:00Z	$pageview	ada@example.com		
    2026-06-10T16:45:00Z	purchase	ada@example.com	1200.5	
    2026-05-11T09:30:00Z	trial started	ada@example.com		
    2026-03-02T10:05:00Z	sign up	ada@example.com		
    2026-03-02T10:00:00Z	$pageview	0190f1aa-1111-4aaa-8bbb-00000000ada1		https://app.example.com/
    ");
}

#[tokio::test]
async fn pages_end_with_the_call_that_goes_on() {
    let session = connect().await;
    let all = session.call(TOOL, range(json!({"id": ADA}))).await;
    let mut arguments = range(json!({"id": ADA, "limit": 3}));
    let mut seen = Vec::new();
    for page in 0.. {
        let result = session.call(TOOL, arguments.clone()).await;
        seen.extend(result["results"].as_array().unwrap().clone());
        let Some(cursor) = result["next_cursor"].as_str() else {
            break;
        };
        assert!(page < 10, "{result}");
        let note = result["notes"].as_array().unwrap().last().unwrap();
        assert!(
            note.as_str()
                .unwrap()
                .ends_with(&format!("and cursor {cursor}.")),
            "{note}"
        );
        arguments["cursor"] = json!(cursor);
    }
    assert_eq!(json!(seen), all["results"]);
    let texts = session.queries();
    assert!(
        texts
            .iter()
            .all(|query| !query["query"].as_str().unwrap().contains("offset"))
    );
}

#[tokio::test]
async fn result_that_is_cut_goes_on_after_the_last_event_shown() {
    let session = connect_with(Setup::default().budget(900)).await;
    let all = connect().await.call(TOOL, range(json!({"id": ADA}))).await;
    let mut arguments = range(json!({"id": ADA}));
    let first = session.call(TOOL, arguments.clone()).await;
    let shown = first["results"].as_array().unwrap().len();
    assert!(shown < all["results"].as_array().unwrap().len());
    arguments["cursor"] = first["next_cursor"].clone();
    let second = session.call(TOOL, arguments).await;
    assert_eq!(second["results"][0], all["results"][shown]);
}

#[tokio::test]
async fn summary_counts_events_by_name() {
    let session = connect().await;
    let text = session
        .text(
            TOOL,
            range(json!({"distinct_id": "ada@example.com", "summary": true})),
        )
        .await;
    assert_eq!(
        session.requests(),
        ["GET B/?distinct_id=ada@example.com", "POST Q/"]
    );
    assert_snapshot!(text, @r"
    8 events since 2026-03-01T00:00:00Z
    event	count	first	last
    $pageview	5	2026-03-02T10:00:00Z	2026-11-02T08:00:00Z
    purchase	1	2026-06-10T16:45:00Z	2026-06-10T16:45:00Z
    sign up	1	2026-03-02T10:05:00Z	2026-03-02T10:05:00Z
    trial started	1	2026-05-11T09:30:00Z	2026-05-11T09:30:00Z
    ");
}

#[tokio::test]
async fn names_select_events() {
    let session = connect().await;
    let text = session
        .text(
            TOOL,
            range(json!({"id": ADA, "events": ["sign up", "purchase"], "select": []})),
        )
        .await;
    assert_snapshot!(text, @r"
    2 events, newest first
    timestamp	event	distinct_id
    2026-06-10T16:45:00Z	purchase	ada@example.com
    2026-03-02T10:05:00Z	sign up	ada@example.com
    ");
}

#[tokio::test]
async fn range_is_thirty_days_unless_given() {
    let session = connect().await;
    let text = session
        .text(TOOL, json!({"id": ADA, "date_to": "2026-10-31"}))
        .await;
    let values = session.queries().remove(0)["values"].clone();
    assert_eq!(
        (&values["from"], &values["to"]),
        (
            &json!("2026-10-02T00:00:00Z"),
            &json!("2026-11-01T00:00:00Z")
        )
    );
    assert!(
        text.contains("Only events since 2026-10-02T00:00:00Z; give date_from for older ones."),
        "{text}"
    );
}

#[tokio::test]
async fn distinct_id_without_a_person_has_events_of_its_own() {
    let session = connect().await;
    let arguments = json!({"distinct_id": "charles@example.com", "date_from": "2026-01-01", "date_to": "2026-11-02"});
    let text = session.text(TOOL, arguments).await;
    let query = session.queries().remove(0);
    assert_eq!(query["values"]["ids"], json!(["charles@example.com"]));
    assert!(text.contains("No person has this distinct id"), "{text}");
}

#[tokio::test]
async fn person_without_events_has_an_empty_list() {
    let session = connect().await;
    assert_snapshot!(session.text(TOOL, range(json!({"id": NOBODY}))).await, @r"
    No event in this range
    Give an earlier date_from; persons-retrieve shows whether the person exists.
    ");
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    let many: Vec<String> = (0..21).map(|number| format!("p{number}")).collect();
    for (arguments, message) in [
        (json!({}), "Give exactly one of `id`"),
        (
            json!({"id": ADA, "distinct_id": "x"}),
            "Give exactly one of `id`",
        ),
        (
            json!({"id": ADA, "cursor": "20"}),
            "Invalid argument `cursor`: not a cursor of an earlier page.",
        ),
        (
            json!({"id": ADA, "date_from": "all"}),
            "`date_from` must be a moment before `date_to`.",
        ),
        (
            json!({"id": ADA, "date_from": "2026-02-01", "date_to": "2026-01-01"}),
            "`date_from` must be a moment before `date_to`.",
        ),
        (
            json!({"id": ADA, "select": ["*"]}),
            "`select` has \"*\", which only properties of persons can be selected by: name up to 20 event properties.",
        ),
        (
            json!({"id": ADA, "select": many}),
            "`select` has 21 names; at most 20 properties can be shown.",
        ),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(message), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}
