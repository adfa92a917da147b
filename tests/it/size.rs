//! The size of tool results relative to PostHog's responses. The bounds are slightly above the measured sizes, so that
//! growth is a deliberate decision.

use posthog_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::http_client::client;
use crate::{Session, Setup, connect, connect_with};

/// A list of 100 generated persons only.
const HUNDRED: &str = "?search=@example.net&limit=100&offset=0";

/// The size of a result's text in thousandths of PostHog's response.
async fn share(session: &Session, tool: &'static str, arguments: Value, path: &str) -> usize {
    let text = session.text(tool, arguments).await;
    let (url, project) = (session.sandbox.url(), Sandbox::PROJECT);
    let request = client()
        .get(format!("{url}/api/projects/{project}/persons/{path}"))
        .bearer_auth(Sandbox::KEY);
    let raw = request.send().await.unwrap().error_for_status().unwrap();
    text.len() * 1000 / raw.text().await.unwrap().len()
}

#[tokio::test]
async fn list_of_100_persons_is_under_a_sixth_of_the_posthog_response() {
    let session = connect_with(Setup::persons(100)).await;
    let arguments = json!({"search": "@example.net", "limit": 100});
    let page = session.call("persons-list", arguments.clone()).await;
    assert_eq!(page["results"].as_array().unwrap().len(), 100);
    let share = share(&session, "persons-list", arguments, HUNDRED).await;
    assert!(share <= 160, "{share} thousandths");
}

#[tokio::test]
async fn list_with_every_property_is_under_half_of_the_posthog_response() {
    let session = connect_with(Setup::persons(100).budget(80_000)).await;
    let arguments = json!({"search": "@example.net", "limit": 100, "select": ["*"]});
    let page = session.call("persons-list", arguments.clone()).await;
    assert_eq!(page["results"].as_array().unwrap().len(), 100);
    let share = share(&session, "persons-list", arguments, HUNDRED).await;
    assert!(share <= 400, "{share} thousandths");
}

#[tokio::test]
async fn person_with_thousands_of_distinct_ids_is_under_a_fortieth_of_the_posthog_response() {
    let session = connect().await;
    let arguments = json!({"distinct_id": "kiosk-badge-0001"});
    let person = session.call("persons-retrieve", arguments.clone()).await;
    assert_eq!(person["distinct_id_count"], 2500);
    let path = format!("{}/", person["uuid"].as_str().unwrap());
    let share = share(&session, "persons-retrieve", arguments, &path).await;
    assert!(share <= 25, "{share} thousandths");
}

/// What a model pays for a page: the text by default, the fields where a client gives it those.
#[tokio::test]
async fn list_of_100_persons_has_at_most_5400_tokens_as_text_and_7000_as_fields() {
    let session = connect_with(Setup::persons(100)).await;
    let arguments = json!({"search": "@example.net", "limit": 100});
    let result = session.result("persons-list", arguments).await;
    let tokenizer = tiktoken_rs::o200k_base().unwrap();
    let fields = result.structured_content.as_ref().unwrap();
    assert_eq!(fields["results"].as_array().unwrap().len(), 100);
    let text = crate::text(&result);
    let tokens = tokenizer.encode_ordinary(&text).len();
    assert!(tokens <= 5400, "{tokens} tokens of text: {text}");
    let tokens = tokenizer.encode_ordinary(&fields.to_string()).len();
    assert!(tokens <= 7000, "{tokens} tokens of fields");
}

#[tokio::test]
async fn a_larger_budget_is_announced() {
    for (bytes, announced) in [(40_000, None), (4_000, None), (100_000, Some(100_000))] {
        let session = connect_with(Setup::default().budget(bytes)).await;
        for tool in session.client.list_all_tools().await.unwrap() {
            let meta = tool.meta.unwrap_or_default().0;
            let size = meta
                .get("anthropic/maxResultSizeChars")
                .and_then(Value::as_u64);
            assert_eq!(size, announced, "{}", tool.name);
        }
    }
}
