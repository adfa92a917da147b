//! The project of a server without a configured one.

use insta::assert_snapshot;
use posthog_client::Project;
use posthog_sandbox::{Fault, FaultKind, Key, Sandbox};
use serde_json::json;

use crate::{ADA, Session, Setup, connect_with};

const USER: &str = "GET /api/users/@me/";
const KEY: &str = "GET /api/personal_api_keys/@current/";
const PERSON: &str = "GET B/ada0ada0-1815-4852-8000-000000000101/";

/// The key that a test adds to the sandbox.
const TEST_KEY: &str = "phx_test_own";

async fn connect_as(key: &'static str) -> Session {
    let setup = Setup::default();
    connect_with(Setup {
        key,
        project: Project::Current,
        ..setup
    })
    .await
}

/// With a key of these scopes and limits.
async fn connect_with_key(scopes: &[&str], teams: &[u64], organizations: &[&str]) -> Session {
    let mut key = Key::scoped(TEST_KEY, scopes);
    key.scoped_teams = Some(teams.to_vec());
    key.scoped_organizations = Some(organizations.iter().map(ToString::to_string).collect());
    let mut setup = Setup {
        key: TEST_KEY,
        project: Project::Current,
        ..Setup::default()
    };
    setup.sandbox.keys.push(key);
    connect_with(setup).await
}

#[tokio::test]
async fn current_project_is_resolved_once_before_the_first_call() {
    let session = connect_as(Sandbox::KEY).await;
    assert!(session.requests().is_empty());
    let person = session.call("persons-retrieve", json!({"id": ADA})).await;
    assert_eq!(session.requests(), [USER, KEY, PERSON]);
    assert_eq!(
        person["url"],
        format!("{}/project/1/persons/{ADA}", session.sandbox.url())
    );
    session.call("persons-retrieve", json!({"id": ADA})).await;
    assert_eq!(session.requests(), [PERSON]);
}

#[tokio::test]
async fn concurrent_calls_resolve_the_project_together() {
    let session = connect_as(Sandbox::KEY).await;
    let call = || session.call("persons-retrieve", json!({"id": ADA}));
    tokio::join!(call(), call(), call());
    assert_eq!(session.requests(), [USER, KEY, PERSON, PERSON, PERSON]);
}

#[tokio::test]
async fn resolved_project_stays_if_the_owner_selects_another() {
    let session = connect_as(Sandbox::KEY).await;
    session.call("persons-retrieve", json!({"id": ADA})).await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.foreign_current_project = true);
    session.call("persons-retrieve", json!({"id": ADA})).await;
    assert_eq!(session.requests()[3..], [PERSON]);
}

#[tokio::test]
async fn key_without_access_to_projects_must_set_one() {
    let session = connect_as(Sandbox::READ_KEY).await;
    assert_snapshot!(session.error("persons-retrieve", json!({"id": ADA})).await, @"Could not determine which project to use: the key cannot read which one its owner has selected. The user must set POSTHOG_PROJECT_ID (or --project) to the project's number.");
    let requests = [USER, KEY, "GET /api/projects/@current/"];
    assert_eq!(session.requests(), requests);
    // Not cached: the key may be changed while the server runs.
    session.error("persons-retrieve", json!({"id": ADA})).await;
    assert_eq!(session.requests(), requests);
}

#[tokio::test]
async fn key_with_project_read_uses_the_current_project() {
    let session = connect_with_key(&["person:read", "project:read"], &[], &[]).await;
    session.call("persons-retrieve", json!({"id": ADA})).await;
    assert_eq!(
        session.requests(),
        [USER, KEY, "GET /api/projects/@current/", PERSON]
    );
}

#[tokio::test]
async fn key_limited_to_one_project_uses_it() {
    let session = connect_with_key(&["person:read"], &[Sandbox::PROJECT], &[]).await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.foreign_current_project = true);
    session.call("persons-retrieve", json!({"id": ADA})).await;
    assert_eq!(session.requests(), [USER, KEY, PERSON]);
}

#[tokio::test]
async fn limited_key_uses_the_selected_project_if_allowed() {
    let session = connect_with_key(&["*"], &[7, Sandbox::PROJECT], &[]).await;
    session.call("persons-retrieve", json!({"id": ADA})).await;
    assert_eq!(session.requests(), [USER, KEY, PERSON]);
}

#[tokio::test]
async fn key_limited_to_several_projects_must_set_one() {
    let session = connect_with_key(&["person:read"], &[Sandbox::PROJECT, 7], &[]).await;
    let error = session.error("persons-retrieve", json!({"id": ADA})).await;
    assert_snapshot!(error, @"Could not determine which project to use: the key can access several. The user must set POSTHOG_PROJECT_ID (or --project) to the project's number.");
}

#[tokio::test]
async fn key_limited_to_the_organization_uses_the_selected_project() {
    let organization = "018b2c3d-0000-7000-8000-000000000001";
    let session = connect_with_key(&["*"], &[], &[organization]).await;
    session.call("persons-retrieve", json!({"id": ADA})).await;
    assert_eq!(session.requests(), [USER, KEY, PERSON]);
}

#[tokio::test]
async fn failed_resolution_is_reported_and_retried_by_the_next_call() {
    let session = connect_as(Sandbox::KEY).await;
    session
        .sandbox
        .inject(Fault::once("users", FaultKind::ServerError { status: 500 }));
    let error = session.error("persons-retrieve", json!({"id": ADA})).await;
    assert!(
        error.starts_with("PostHog failed (status 500): "),
        "{error}"
    );
    assert_eq!(session.requests(), [USER]);
    session.call("persons-retrieve", json!({"id": ADA})).await;
}

#[tokio::test]
async fn invalid_key_is_reported() {
    let session = connect_as("phx_wrong").await;
    let error = session.error("persons-retrieve", json!({"id": ADA})).await;
    assert!(
        error.starts_with("PostHog at http://sandbox rejected the API key: "),
        "{error}"
    );
}
