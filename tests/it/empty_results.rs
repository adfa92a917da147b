//! An empty result names the next step, by what was asked.

use serde_json::json;

use crate::connect;

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
    // A page after the last one is not an empty result.
    let text = session.text("persons-list", json!({"offset": 1000})).await;
    assert_eq!(text, "No more persons\n");
}
