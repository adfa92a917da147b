use insta::assert_snapshot;
use serde_json::json;

use crate::{column, connect};

const TOOL: &str = "persons-stickiness";

#[tokio::test]
async fn lists_persons_active_on_a_number_of_days() {
    let session = connect().await;
    let arguments = json!({
        "event": "$pageview", "periods": 2, "date_from": "2026-10-26", "date_to": "2026-11-02", "select": ["plan"],
    });
    let text = session.text(TOOL, arguments).await;
    let query = session.queries().remove(0);
    assert_eq!(session.requests(), ["POST Q/"]);
    assert_eq!(
        query["source"],
        json!({"kind": "StickinessActorsQuery", "day": 2, "operator": "gte", "source": {
            "kind": "StickinessQuery", "series": [{"kind": "EventsNode", "event": "$pageview"}], "interval": "day",
            "dateRange": {"date_from": "2026-10-26", "date_to": "2026-11-02"},
        }})
    );
    assert_snapshot!(text, @r"
    3 persons
    uuid	name	plan	distinct_ids	created	last_seen
    ada0ada0-1815-4852-8000-000000000101	Ada Lovelace	pro	ada@example.com, 0190f1aa-1111-4aaa-8bbb-00000000ada1	2026-03-02	2026-11-02
    25ff7608-828e-5b6c-a20f-f615d76f4b4a	Alan Turing	free	alan@example.com	2026-10-28	2026-10-29
    a2eaf793-9e0e-5398-b559-030e0dcc6488	Radia Perlman	trial	radia@example.com	2026-10-30	2026-11-01
    ");
}

#[tokio::test]
async fn operators_select_different_persons() {
    let session = connect().await;
    let mut found = Vec::new();
    for operator in ["exact", "gte", "lte"] {
        let arguments = json!({
            "event": "$pageview", "periods": 2, "operator": operator, "date_from": "2026-10-26", "date_to": "2026-11-02",
        });
        let page = session.call(TOOL, arguments).await;
        let mut names: Vec<String> = column(&page, "email")
            .into_iter()
            .map(str::to_owned)
            .collect();
        names.sort_unstable();
        found.push(format!("{operator}: {}", names.join(", ")));
    }
    assert_snapshot!(found.join("\n"), @r"
    exact: alan@example.com, radia@example.com
    gte: ada@example.com, alan@example.com, radia@example.com
    lte: alan@example.com, grace@example.com, hedy@example.com, radia@example.com
    ");
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    for (arguments, message) in [
        (
            json!({"event": "$pageview"}),
            "Argument `periods` is missing.",
        ),
        (
            json!({"event": "$pageview", "periods": 0}),
            "Invalid argument `periods`: 0 is not between 1 and 1000.",
        ),
        (
            json!({"event": "$pageview", "periods": 2, "operator": "more"}),
            "Invalid argument `operator`: unknown value `more`",
        ),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(message), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}
