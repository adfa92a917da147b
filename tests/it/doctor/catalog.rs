//! The scopes that each tool declares are those that PostHog requires.

use posthog_persons_mcp::policy::Confirm;
use posthog_persons_mcp::tools::{ToolDefinition, catalog};
use posthog_sandbox::Key;

use super::TEST_KEY;
use crate::result_invariants::example;
use crate::{Setup, connect_with};

/// The result of a tool for a key with these scopes.
async fn called(tool: &ToolDefinition, scopes: &[&str]) -> (bool, String) {
    let mut setup = Setup {
        key: TEST_KEY,
        confirm: Some(Confirm::Off),
        ..Setup::default()
    };
    setup.sandbox.keys.push(Key::scoped(TEST_KEY, scopes));
    let session = connect_with(setup).await;
    let result = session.result(tool.name, example(tool)).await;
    (result.is_error == Some(true), crate::text(&result))
}

#[tokio::test]
async fn declared_scopes_are_those_that_posthog_requires() {
    for tool in catalog() {
        let scopes = tool.access.0;
        let (failed, text) = called(&tool, scopes).await;
        assert!(!failed, "{}: {text}", tool.name);
        for missing in scopes {
            // Write scopes include reading.
            let others: Vec<&str> = [
                "person:read",
                "person:write",
                "cohort:read",
                "activity_log:read",
                "user:read",
                "project:read",
            ]
            .into_iter()
            .filter(|scope| scope.split(':').next() != missing.split(':').next())
            .chain((*missing == "person:write").then_some("person:read"))
            .collect();
            let (failed, text) = called(&tool, &others).await;
            let message = format!("The API key lacks the scope {missing}.");
            assert!(
                failed && text.contains(&message),
                "{} without {missing}: {text}",
                tool.name
            );
        }
    }
}

#[test]
fn readme_names_every_required_scope() {
    let readme = include_str!("../../../README.md");
    for tool in catalog() {
        for scope in tool.access.0 {
            assert!(
                readme.contains(&format!("`{scope}`")),
                "{}: {scope}",
                tool.name
            );
        }
    }
}
