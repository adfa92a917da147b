//! Lists of thousands of items: no call sends a request for each, and none takes long.

use posthog_persons_mcp::tools::catalog;
use serde_json::{Value, json};

use crate::result_invariants::example;
use crate::{ADA, connect};

const ITEMS: usize = 5_000;
/// Lists of the greatest permitted size are sent in a few batches.
const MAX_REQUESTS: usize = 30;

fn is_list(schema: &Value) -> bool {
    let kind = &schema["type"];
    *kind == "array"
        || kind
            .as_array()
            .is_some_and(|kinds| kinds.contains(&json!("array")))
}

#[tokio::test]
async fn thousands_of_items_cost_few_requests() {
    let session = connect().await;
    for tool in catalog() {
        let schema = Value::Object(tool.input_schema.as_ref().clone());
        let properties = schema["properties"].as_object().unwrap();
        for (name, _) in properties.iter().filter(|(_, schema)| is_list(schema)) {
            let mut arguments = example(&tool);
            let of_example = arguments[name].get(0).cloned();
            let item = of_example.unwrap_or_else(|| json!(ADA));
            let different: Vec<String> = (0..ITEMS)
                .map(|number| format!("made up {number}"))
                .collect();
            for list in [json!(vec![item; ITEMS]), json!(different)] {
                arguments[name] = list;
                if properties.contains_key("dry_run") {
                    arguments["dry_run"] = true.into();
                }
                session.sandbox.clear_requests();
                session.result(tool.name, arguments.clone()).await;
                let requests = session.sandbox.requests().len();
                assert!(
                    requests <= MAX_REQUESTS,
                    "{} {name}: {requests} requests",
                    tool.name
                );
            }
        }
    }
}

const PERSONS: [&str; 6] = [
    "id",
    "ids",
    "uuids",
    "distinct_id",
    "distinct_ids",
    "emails",
];

/// The items of a list that is valid but for its length: more than any tool takes.
fn too_many(name: &str, items: &Value) -> Value {
    let item = |number: usize| match (name, items["type"].as_str()) {
        ("ids" | "uuids" | "person_uuids" | "persons", _) => {
            json!(format!("{number:08x}-1815-4852-8000-000000000101"))
        }
        ("actions", _) => json!({"id": number}),
        ("events", Some("object")) => json!({"id": format!("event {number}")}),
        (_, Some("object")) => json!({"key": format!("p{number}"), "value": "x"}),
        (_, Some("integer")) => json!(number),
        _ => json!(format!("made up {number}")),
    };
    (0..ITEMS).map(item).collect()
}

/// A list without a limit keeps the server or PostHog busy for as long as a caller likes.
#[tokio::test]
async fn every_list_has_a_limit() {
    let session = connect().await;
    let mut lists = 0;
    for tool in catalog() {
        let properties = tool.input_schema["properties"].as_object().unwrap();
        for (name, schema) in properties {
            // Any value to store is not a list of arguments.
            if !is_list(schema) || schema.get("items").is_none() {
                continue;
            }
            let mut arguments = example(&tool);
            // Names of persons exclude each other.
            if PERSONS.contains(&name.as_str()) {
                let fields = arguments.as_object_mut().unwrap();
                fields.retain(|other, _| !PERSONS.contains(&other.as_str()));
            }
            arguments[name] = too_many(name, &schema["items"]);
            if tool.confirmable {
                arguments["dry_run"] = true.into();
            }
            session.sandbox.clear_requests();
            let error = session.error(tool.name, arguments).await;
            assert!(error.contains("at most "), "{} {name}: {error}", tool.name);
            lists += 1;
        }
    }
    assert!(lists >= 30, "{lists}");
    let keys = too_many("keys", &json!({"type": "string"}));
    let error = session
        .error(
            "persons-properties-timeline-retrieve",
            json!({"id": ADA, "keys": keys}),
        )
        .await;
    assert_eq!(
        error,
        "Invalid argument `keys`: at most 200 items can be given; call again with fewer."
    );
    // Arguments that are accepted and not offered, and lists within lists.
    let filters = too_many("properties", &json!({"type": "object"}));
    let actions = too_many("actions", &json!({"type": "object"}));
    let values = too_many("values", &json!({"type": "string"}));
    let funnel = json!([{"id": "a", "properties": filters.clone()}, {"id": "b"}]);
    for (tool, arguments) in [
        (
            "persons-properties-timeline-retrieve",
            json!({"id": ADA, "properties": filters}),
        ),
        (
            "persons-properties-timeline-retrieve",
            json!({"id": ADA, "actions": actions}),
        ),
        (
            "persons-funnel",
            json!({"events": funnel, "funnel_step": 1}),
        ),
        (
            "persons-list",
            json!({"properties": [{"key": "plan", "value": values}]}),
        ),
    ] {
        session.sandbox.clear_requests();
        let error = session.error(tool, arguments).await;
        assert!(error.contains("at most 200 "), "{tool}: {error}");
        assert!(session.requests().is_empty());
    }
}

#[tokio::test]
async fn lists_and_expressions_that_take_long_are_refused() {
    let session = connect().await;
    let many: Vec<String> = (0..201).map(|number| format!("p{number}")).collect();
    let refused = session.error("persons-list", json!({"select": many})).await;
    assert!(
        refused.contains("at most 200 properties can be selected"),
        "{refused}"
    );
    let filter = json!([{"key": "email", "operator": "regex", "value": "a".repeat(10_001)}]);
    let refused = session
        .error("persons-list", json!({"properties": filter}))
        .await;
    assert!(refused.contains("at most 10000 bytes"), "{refused}");
    let unknown = json!({"y".repeat(900_000): 1});
    let refused = session.error("persons-list", unknown).await;
    assert!(refused.len() < 2_000, "{}", refused.len());
    assert!(session.requests().is_empty());
}
