use insta::assert_snapshot;
use serde_json::json;

use crate::connect;

const TOOL: &str = "persons-retention";

#[tokio::test]
async fn lists_persons_with_the_periods_of_their_return() {
    let session = connect().await;
    let arguments = json!({
        "start_event": "sign up", "return_event": "$pageview", "periods": 4, "start_period": 1,
        "date_from": "2026-10-27", "date_to": "2026-11-02", "select": [],
    });
    let text = session.text(TOOL, arguments).await;
    let query = session.queries().remove(0);
    assert_eq!(session.requests(), ["POST Q/"]);
    let event = |name: &str| json!({"id": name, "type": "events"});
    assert_eq!(
        query,
        json!({
            "kind": "ActorsQuery", "select": ["person", "appearances", "last_seen_at"], "limit": 20, "offset": 0,
            "orderBy": ["length(appearances) DESC", "actor_id"],
            "source": {"kind": "InsightActorsQuery", "interval": 1, "source": {
                "kind": "RetentionQuery", "dateRange": {"date_from": "2026-10-27", "date_to": "2026-11-02"},
                "retentionFilter": {"period": "Day", "totalIntervals": 4, "retentionType": "retention_recurring",
                    "targetEntity": event("sign up"), "returningEntity": event("$pageview")},
            }},
        })
    );
    assert_snapshot!(text, @r"
    1 person
    uuid	name	email	country	distinct_ids	created	last_seen	active_periods
    25ff7608-828e-5b6c-a20f-f615d76f4b4a	Alan Turing	alan@example.com	GB	alan@example.com	2026-10-28	2026-10-29	[0,1]
    ");
}

#[tokio::test]
async fn range_covers_the_periods_by_default() {
    let session = connect().await;
    let arguments = json!({"start_event": "sign up", "return_event": "$pageview", "period": "week", "periods": 3});
    session.call(TOOL, arguments).await;
    let query = session.queries().remove(0);
    assert_eq!(
        query["source"]["source"]["dateRange"],
        json!({"date_from": "-3w"})
    );
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    let events = json!({"start_event": "sign up", "return_event": "$pageview"});
    for (argument, value, message) in [
        ("periods", json!(33), "`periods` is from 1 to 32."),
        (
            "start_period",
            json!(8),
            "`start_period` counts from 0 and is less than `periods`, 8.",
        ),
        (
            "period",
            json!("minute"),
            "Invalid argument `period`: unknown value `minute`",
        ),
        (
            "return_event",
            json!(" "),
            "Invalid argument `return_event`: must not be empty",
        ),
    ] {
        let mut arguments = events.clone();
        arguments[argument] = value;
        let error = session.error(TOOL, arguments).await;
        assert!(error.contains(message), "{argument}: {error}");
    }
    assert!(session.requests().is_empty());
}
