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
