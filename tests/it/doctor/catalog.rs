//! The scopes that each tool declares are those that PostHog requires.

use posthog_client::RequiredScopes;
use posthog_persons_mcp::policy::Confirm;
use posthog_persons_mcp::tools::{ToolDefinition, catalog};
use posthog_sandbox::Key;
use serde_json::{Value, json};

use super::OWN;
use crate::{ADA, Setup, connect_with};

/// Arguments with which a tool reaches what it asks of a key.
fn sample(tool: &str) -> Value {
    let steps = json!([{"id": "sign up", "order": 0}, {"id": "purchase", "order": 1}]);
    match tool {
        "persons-list" | "persons-activity-retrieve" | "persons-deletion-status-list" => json!({}),
        "persons-retrieve" | "persons-properties-timeline-retrieve" => json!({"id": ADA}),
        "persons-values-retrieve" => json!({"key": "plan"}),
        "persons-cohorts-retrieve" => json!({"person_id": ADA}),
        "persons-batch-retrieve" => json!({"uuids": [ADA]}),
        "persons-properties-at-time-retrieve" => {
            json!({"person_id": ADA, "timestamp": "2026-04-01T00:00:00Z"})
        }
        "persons-funnel" => json!({"events": steps, "funnel_step": 1}),
        "persons-trends" => json!({"entity_id": "$pageview"}),
        "persons-lifecycle" => {
            json!({"target_date": "2026-10-28", "lifecycle_type": "new", "events": [{"id": "$pageview"}]})
        }
        "persons-update" => json!({"id": ADA, "properties": {"plan": "free"}}),
        "persons-property-set" => json!({"id": ADA, "key": "plan", "value": "free"}),
        "persons-property-delete" => json!({"id": ADA, "unset": "plan"}),
        "persons-reset-distinct-id" => json!({"distinct_id": "ada@example.com"}),
        "persons-split" => {
            json!({"id": "707be5a0-b120-5ae0-b57a-f77976f29c41", "distinct_ids_to_split": ["katherine-laptop"]})
        }
        "persons-bulk-delete" => json!({"ids": [ADA]}),
        other => panic!("say with which arguments {other} is called"),
    }
}

/// What a tool answers to a key with these scopes.
async fn called(tool: &ToolDefinition, scopes: &[&str]) -> (bool, String) {
    let mut setup = Setup {
        key: OWN,
        confirm: Confirm::Off,
        ..Setup::default()
    };
    setup.sandbox.keys.push(Key::scoped(OWN, scopes));
    let session = connect_with(setup).await;
    let result = session.result(tool.name, sample(tool.name)).await;
    (result.is_error == Some(true), crate::text(&result))
}

#[tokio::test]
async fn declared_scopes_are_those_that_posthog_requires() {
    for tool in catalog() {
        match tool.access {
            RequiredScopes::ClosedToScopedKeys => {
                let (failed, text) = called(&tool, &["*"]).await;
                assert!(
                    failed && text.starts_with("PostHog does not serve this endpoint"),
                    "{}: {text}",
                    tool.name
                );
            }
            RequiredScopes::Scopes(scopes) => {
                let (failed, text) = called(&tool, scopes).await;
                assert!(!failed, "{}: {text}", tool.name);
                for missing in scopes {
                    // To write includes to read.
                    let others: Vec<&str> = [
                        "person:read",
                        "person:write",
                        "cohort:read",
                        "activity_log:read",
                        "user:read",
                    ]
                    .into_iter()
                    .filter(|scope| scope.split(':').next() != missing.split(':').next())
                    .chain((*missing == "person:write").then_some("person:read"))
                    .collect();
                    let (failed, text) = called(&tool, &others).await;
                    let said = format!("The API key lacks the scope {missing}.");
                    assert!(
                        failed && text.contains(&said),
                        "{} without {missing}: {text}",
                        tool.name
                    );
                }
            }
        }
    }
}

#[test]
fn readme_names_every_required_scope() {
    let readme = include_str!("../../../README.md");
    for tool in catalog() {
        if let RequiredScopes::Scopes(scopes) = tool.access {
            for scope in scopes {
                assert!(
                    readme.contains(&format!("`{scope}`")),
                    "{}: {scope}",
                    tool.name
                );
            }
        }
    }
}
