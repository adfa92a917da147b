//! An empty result names the next step, by what was asked.

use serde_json::json;

use crate::{ADA, connect};

#[tokio::test]
async fn empty_list_names_the_next_step() {
    let session = connect().await;
    for (arguments, steps) in [
        (
            json!({"email": "ADA@example.com"}),
            vec![
                "persons-batch-retrieve with emails [\"ADA@example.com\"]",
                "`$email` or `Email`",
            ],
        ),
        (
            json!({"distinct_id": "Visitor"}),
            vec!["Letter case and blanks count", "without a person profile"],
        ),
        (
            json!({"search": "no such text"}),
            vec![
                "looks at email, name, distinct ids and UUID only",
                "icontains",
            ],
        ),
        (
            json!({"properties": [{"key": "Plan", "value": "pro"}]}),
            vec!["persons-values-retrieve"],
        ),
        (
            json!({"distinct_id": " ada@example.com"}),
            vec!["blanks around it, and they count"],
        ),
        (
            json!({"search": "ada@example.net"}),
            vec!["\"key\":\"$email\"", "\"value\":\"ada@example.net\""],
        ),
        // Deleted, and sends events again.
        (
            json!({"email": "luigi@example.com"}),
            vec![
                "A person with the distinct id \"luigi@example.com\" exists",
                "persons-reset-distinct-id",
            ],
        ),
    ] {
        let text = session.text("persons-list", arguments.clone()).await;
        assert!(text.starts_with("No person matches\n"), "{text}");
        for step in steps {
            assert!(text.contains(step), "{arguments}: {text}");
        }
    }
    // A person whom another condition leaves out is not taken for one that was deleted.
    for arguments in [
        json!({"email": "ada@example.com", "properties": [{"key": "plan", "value": "free"}]}),
        json!({"search": "ada@example.com", "created_before": "2020-01-01"}),
        json!({"email": "ada@example.com", "distinct_id": "grace@example.com"}),
        json!({"email": "ada@example.com", "search": "grace"}),
    ] {
        let text = session.text("persons-list", arguments.clone()).await;
        assert!(text.starts_with("No person matches\n"), "{text}");
        assert!(!text.contains("deleted"), "{arguments}: {text}");
    }
    // Nor one whose email is another than its distinct id.
    let text = session
        .text("persons-list", json!({"email": "katherine@example.com"}))
        .await;
    assert!(
        text.contains(
            "The distinct id \"katherine@example.com\" belongs to the person with the UUID"
        ),
        "{text}"
    );
    assert!(!text.contains("deleted"), "{text}");
    // A page after the last one is not an empty result.
    let text = session.text("persons-list", json!({"offset": 1000})).await;
    assert_eq!(text, "No more persons\n");
}

#[tokio::test]
async fn empty_insight_names_the_next_step() {
    let session = connect().await;
    let none = json!({"id": "no such event"});
    for (tool, arguments) in [
        ("persons-trends", json!({"entity_id": "no such event"})),
        (
            "persons-funnel",
            json!({"events": [none, none], "funnel_step": 1}),
        ),
        (
            "persons-lifecycle",
            json!({"events": [none], "lifecycle_type": "new", "target_date": "2026-10-01"}),
        ),
        (
            "persons-stickiness",
            json!({"event": "no such event", "periods": 1}),
        ),
    ] {
        let text = session.text(tool, arguments).await;
        assert!(text.starts_with("No person matches\n"), "{tool}: {text}");
        assert!(text.contains("give a wider range"), "{tool}: {text}");
    }
}

#[tokio::test]
async fn empty_history_names_the_next_step() {
    let session = connect().await;
    for (tool, arguments, step) in [
        (
            "persons-properties-timeline-retrieve",
            json!({"id": ADA, "keys": ["Plan"]}),
            "names are case-sensitive",
        ),
        (
            "persons-properties-at-time-retrieve",
            json!({"person_id": ADA, "timestamp": "2025-12-01"}),
            "give a later timestamp",
        ),
        (
            "persons-events-list",
            json!({"distinct_id": " ada@example.com"}),
            "blanks around it, and they count",
        ),
        (
            "persons-events-list",
            json!({"id": ADA, "date_from": "2026-01-01", "events": ["Sign Up"]}),
            "Names of events are case-sensitive: without `events`, `summary` lists those of the person.",
        ),
        (
            "persons-events-list",
            json!({"id": ADA, "date_from": "2026-01-01", "select": ["Amount"]}),
            "No event here has \"Amount\". Property names are case-sensitive.",
        ),
        (
            "persons-batch-retrieve",
            json!({"ids": [ADA, " ada@example.com"]}),
            "blanks around it, and they count",
        ),
        (
            "persons-batch-retrieve",
            json!({"emails": ["ada@example.com", "nobody@example.com"]}),
            "`$email` or `Email`",
        ),
        (
            "persons-retrieve",
            json!({"id": ADA, "distinct_ids_prefix": "zz"}),
            "distinct_ids (2): none shown\n",
        ),
        (
            "persons-retrieve",
            json!({"id": ADA, "distinct_ids_prefix": "zz"}),
            "No distinct id of the person begins with \"zz\"; letter case counts.",
        ),
        (
            "persons-retrieve",
            json!({"id": ADA, "distinct_ids_prefix": "ada"}),
            "1 distinct id begins with \"ada\".",
        ),
    ] {
        let text = session.text(tool, arguments.clone()).await;
        assert!(text.contains(step), "{tool} {arguments}: {text}");
    }
}
