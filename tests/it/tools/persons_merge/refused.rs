//! Merges that are refused before anything is sent.

use insta::assert_snapshot;
use posthog_sandbox::{Key, Sandbox};
use serde_json::json;

use super::support::*;
use crate::{ADA, NOBODY, Setup, connect, connect_with};

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    let many: Vec<String> = (1..=10).map(|number| number.to_string()).collect();
    let mut errors = Vec::new();
    for arguments in [
        merge(ALAN, &[]),
        json!({"into": ALAN}),
        json!({"into": ALAN, "persons": many}),
        merge("alan@example.com", &[HEDY]),
    ] {
        errors.push(session.error(TOOL, arguments).await);
    }
    assert_snapshot!(errors.join("\n\n"), @r#"
    `persons` is empty: name the persons that are merged into `into`. Nothing was sent.

    Argument `persons` is missing. An example: {"into": "25ff7608-828e-5b6c-a20f-f615d76f4b4a", "persons": ["d702f803-2395-5491-ae8d-fe53d69229d6"]}.

    11 persons are too many; at most 10 are merged per call, `into` included, so that the user can review them. Nothing was sent.

    Invalid argument `into`: not a person UUID or numeric person id; a distinct id or email is not accepted here. To find a person by email, name or distinct id, call persons-list with email, search or distinct_id. No request was made.
    "#);
    assert!(session.requests().is_empty());
}

#[tokio::test]
async fn a_person_is_not_merged_into_itself() {
    let session = connect().await;
    let by_uuid = session.error(TOOL, merge(ADA, &[ADA])).await;
    let by_number = session.error(TOOL, merge(ADA, &[HEDY, "101"])).await;
    assert_eq!(by_uuid, by_number);
    assert_snapshot!(by_uuid, @"The person ada0ada0-1815-4852-8000-000000000101 is named in `into` and in `persons`: it cannot stay and be merged away. Nothing was sent.");
    // The same person twice is one person.
    let preview = with(merge(ALAN, &["101", ADA]), "dry_run", true);
    let preview = session.call(TOOL, preview).await;
    assert_eq!(preview["merges"].as_array().unwrap().len(), 1);
    assert!(events(&session).is_empty());
}

#[tokio::test]
async fn unknown_person_is_named() {
    let session = connect().await;
    let error = session.error(TOOL, merge(ALAN, &[HEDY, NOBODY])).await;
    assert!(
        error.starts_with(&format!("PostHog found no person `{NOBODY}`")),
        "{error}"
    );
    assert!(events(&session).is_empty());
}

/// The token of the project is in a field that needs a scope of its own.
#[tokio::test]
async fn key_without_the_scope_of_the_project_is_refused_before_the_question() {
    let mut setup = Setup {
        key: "phx_only_persons",
        ..Setup::default()
    };
    setup.sandbox.keys = vec![Key::scoped("phx_only_persons", &["person:write"])];
    let session = connect_with(setup).await;
    let error = session.error(TOOL, merge(ALAN, &[HEDY])).await;
    assert!(
        error.starts_with("The API key lacks the scope project:read."),
        "{error}"
    );
    assert_eq!(
        session.requests(),
        [format!("GET /api/projects/{}/", Sandbox::PROJECT)]
    );
}
