//! Errors of arguments that cannot be read, and one value in place of a list.

use serde_json::json;

use crate::connect;

#[tokio::test]
async fn an_argument_that_cannot_be_read_is_explained_without_terms_of_the_code() {
    let session = connect().await;
    for (tool, arguments, message) in [
        (
            "persons-list",
            json!({"limit": "many"}),
            "Invalid argument `limit`: not a whole number from 1 to 1000.",
        ),
        (
            "persons-list",
            json!({"limit": 2.5}),
            "Invalid argument `limit`: not a whole number from 1 to 1000.",
        ),
        (
            "persons-funnel",
            json!({"events": ["sign up", "purchase"], "funnel_step": 1}),
            "Invalid argument `events[0]`: invalid type: string \"sign up\", expected an event such as {\"id\": \"sign up\"}.",
        ),
        (
            "persons-funnel",
            json!({"events": [{"order": 0}], "funnel_step": 1}),
            "Invalid argument `events[0]`: `id` is missing.",
        ),
        (
            "persons-trends",
            json!({}),
            "Argument `entity_id` is missing. An example: {\"entity_id\"",
        ),
        (
            "persons-batch-retrieve",
            json!({"uuids": ["ada"]}),
            "Invalid argument `uuids[0]`: not a person UUID. To find a person by email, name or distinct id, call persons-list \
             with email, search or distinct_id.",
        ),
    ] {
        let error = session.error(tool, arguments).await;
        assert!(error.starts_with(message), "{error}");
        assert!(!error.ends_with(".."), "{error}");
    }
    assert!(session.requests().is_empty());
}

#[tokio::test]
async fn one_value_is_a_list_of_one_in_a_filter() {
    let session = connect().await;
    for operator in ["in", "not_in"] {
        let text = async |value| {
            let filter = json!([{"key": "plan", "operator": operator, "value": value}]);
            session
                .text("persons-list", json!({ "properties": filter }))
                .await
        };
        assert_eq!(text(json!("pro")).await, text(json!(["pro"])).await);
    }
}
