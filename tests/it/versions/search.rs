//! A search says what it may have missed.

use posthog_sandbox::Era;
use serde_json::json;

use super::support::on;
use crate::column;

/// Since September 2026, a search for a whole distinct id finds the person that has it, and nobody whose e-mail contains
/// it.
#[tokio::test]
async fn search_that_is_exactly_an_id_names_the_argument_for_addresses() {
    let session = on(Era::September2026).await;
    for search in ["ada@example.com", crate::ADA] {
        let text = session
            .text("persons-list", json!({"search": search}))
            .await;
        assert!(text.contains("use `email` for a whole address"), "{text}");
    }
    let text = session
        .text("persons-list", json!({"search": "example"}))
        .await;
    assert!(!text.contains("whole address"), "{text}");
    let tools = session.client.list_all_tools().await.unwrap();
    let list = tools
        .iter()
        .find(|tool| tool.name == "persons-list")
        .unwrap();
    let search = list.input_schema["properties"]["search"]["description"].as_str();
    assert!(search.unwrap().contains("For a whole address use `email`."));
}

#[tokio::test]
async fn search_is_trimmed() {
    for era in Era::ALL {
        let session = on(era).await;
        let arguments = json!({"search": " hedy@example.com\t"});
        let page = session.call("persons-list", arguments).await;
        assert_eq!(column(&page, "uuid").len(), 1, "{era:?}");
    }
}
