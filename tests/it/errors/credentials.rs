//! Keys that PostHog rejects, or that lack access.

use std::time::Duration;

use insta::assert_snapshot;
use posthog_client::Project;
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::json;

use super::faults::{LIST, connect_to, rejection};
use crate::result_invariants::{read_calls, requests_of};
use crate::{ADA, Setup, connect_as, connect_with};

#[tokio::test]
async fn every_tool_needs_as_few_requests_as_it_can_with_a_permitted_key() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    for (tool, arguments) in read_calls() {
        session.call(tool, arguments).await;
        assert_eq!(session.requests().len(), requests_of(tool), "{tool}");
    }
}

#[tokio::test]
async fn invalid_key_is_reported_as_for_the_user_to_fix() {
    let session = connect_as("phx_wrong").await;
    let expected = session.error(LIST, json!({})).await;
    assert_snapshot!(expected, @"PostHog at http://sandbox rejected the API key: Personal API key found in request Authorization header is invalid. It is invalid, revoked or from the other region (https://us.posthog.com or https://eu.posthog.com: set POSTHOG_HOST). Only a personal API key (phx_...) works, not a project token. The user must fix this; retrying will not help.");
    for (tool, arguments) in read_calls() {
        session.requests();
        assert_eq!(session.error(tool, arguments).await, expected, "{tool}");
        assert_eq!(session.requests().len(), 1, "{tool}");
    }
    let session = connect_as(Sandbox::PROJECT_TOKEN).await;
    assert_eq!(session.error(LIST, json!({})).await, expected);
}

#[tokio::test]
async fn invalid_key_is_recognized_by_code_with_status_403() {
    for code in ["authentication_failed", "not_authenticated"] {
        let session = connect_to(rejection(403, code, "Invalid key.")).await;
        let error = session.error(LIST, json!({})).await;
        assert!(
            error.starts_with(
                "PostHog at http://sandbox rejected the API key: Invalid key. It is invalid, "
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn key_quoted_by_posthog_is_removed() {
    for status in [400, 401, 403, 500] {
        let detail = format!("The key {} is not welcome.", Sandbox::LEGACY_KEY);
        let session = connect_to(rejection(status, "permission_denied", &detail)).await;
        session.error(LIST, json!({})).await;
    }
}

/// Wherever PostHog quotes the key, no part of it is shown: not in an argument, not in a scope, not where a text is cut.
#[tokio::test]
async fn no_part_of_a_quoted_key_is_shown() {
    let key = Sandbox::LEGACY_KEY;
    let parts: Vec<&str> = (8..key.len()).map(|end| &key[end - 8..end]).collect();
    let escaped: String = key
        .chars()
        .map(|c| format!("\\u{:04x}", u32::from(c)))
        .collect();
    let bodies = (280..=300)
        .map(|length| json!({"detail": format!("{}{key}", "x".repeat(length))}).to_string())
        .chain([
            json!({"detail": "no", "attr": key}).to_string(),
            json!({"detail": format!("API key missing required scope '{key}'")}).to_string(),
            json!({"detail": "required", "code": format!("{key} is missing")}).to_string(),
            json!({"message": key, "error": key}).to_string(),
            json!({"success": false, "detail": key}).to_string(),
            json!({key: [key]}).to_string(),
            format!(r#"{{"detail": "{escaped}", "attr": "{escaped}"}}"#),
            format!("{}{key}", "x".repeat(290)),
        ]);
    for body in bodies {
        for status in [400, 401, 403, 404, 429, 500, 503] {
            let setup = Setup::default();
            let session = connect_with(Setup { key, ..setup }).await;
            session.sandbox.inject(Fault::always(
                "",
                FaultKind::Response {
                    status,
                    content_type: "application/json".to_owned(),
                    body: body.clone(),
                    headers: vec![("retry-after".to_owned(), "99".to_owned())],
                },
            ));
            for tool in [LIST, "persons-property-set"] {
                let arguments = match tool {
                    LIST => json!({}),
                    _ => json!({"id": ADA, "key": "plan", "value": "pro"}),
                };
                let error = session.error(tool, arguments).await;
                let part = parts.iter().find(|part| error.contains(**part));
                assert_eq!(part, None, "{status} {body}: {error}");
            }
        }
    }
    let session = connect_as(key).await;
    let arguments = json!({"id": ADA, "properties": {"note": format!("{key} pasted")}});
    session.call("persons-update", arguments).await;
    session.sandbox.advance(Duration::from_secs(60));
    let arguments = json!({"id": ADA, "select": ["note"]});
    let person = session.call("persons-retrieve", arguments).await;
    assert_eq!(person["properties"]["note"], "[key] pasted");
}

#[tokio::test]
async fn missing_scope_is_named() {
    let session = connect_as(Sandbox::READ_KEY).await;
    let error = session
        .error("persons-cohorts-retrieve", json!({"person_id": ADA}))
        .await;
    assert_snapshot!(error, @"The API key lacks the scope cohort:read. The user can add it at http://sandbox/settings/user-api-keys, or use a key that has it.");
    for arguments in [json!({}), json!({"id": ADA})] {
        let error = session.error("persons-activity-retrieve", arguments).await;
        assert!(
            error.starts_with("The API key lacks the scope activity_log:read. "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn unsupported_scoped_key_is_distinguished_from_missing_scope() {
    for detail in [
        "This action does not support Personal API Key access",
        "This action does not support OAuth access.",
    ] {
        let session = connect_to(rejection(403, "permission_denied", detail)).await;
        for tool in [
            "persons-funnel",
            "persons-trends",
            "persons-lifecycle",
            "persons-properties-timeline-retrieve",
        ] {
            let (_, arguments) = read_calls()
                .into_iter()
                .find(|call| call.0 == tool)
                .unwrap();
            let error = session.error(tool, arguments).await;
            let start = "PostHog does not serve this endpoint to personal API keys with scopes, whatever the scopes are: ";
            assert!(error.starts_with(start), "{error}");
            assert!(
                error.contains("persons-list")
                    || error.contains("persons-properties-at-time-retrieve"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn inaccessible_project_is_denied() {
    let setup = Setup::default();
    let session = connect_with(Setup {
        project: Project::Number(2),
        ..setup
    })
    .await;
    assert_snapshot!(session.error(LIST, json!({})).await, @"PostHog denied the API key access: You don't have access to the project. The key may be limited to other projects or organizations, or the organization may not allow personal API keys. The user must fix this; retrying will not help.");
}
