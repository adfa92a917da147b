//! Alan, a visitor who turns out to be him, and Hedy.

use posthog_persons_mcp::policy::Confirm;
use reqwest::Client;
use serde_json::{Value, json};

use crate::writing::approving_with;
use crate::{Session, Setup, connect_with};

pub(super) const TOOL: &str = "persons-merge";

pub(super) const ALAN: &str = "25ff7608-828e-5b6c-a20f-f615d76f4b4a";
pub(super) const VISITOR: &str = "d702f803-2395-5491-ae8d-fe53d69229d6";
pub(super) const HEDY: &str = "2703d90f-e94c-5e97-ab64-5c56184dc852";
pub(super) const RADIA: &str = "a2eaf793-9e0e-5398-b559-030e0dcc6488";

pub(super) fn merge(into: &str, persons: &[&str]) -> Value {
    json!({"into": into, "persons": persons})
}

pub(super) fn with(mut arguments: Value, name: &str, value: impl Into<Value>) -> Value {
    arguments[name] = value.into();
    arguments
}

/// A session whose user confirms everything.
pub(super) async fn approving() -> Session {
    approving_with(|_| ()).await
}

/// A session without confirmation.
pub(super) async fn unconfirmed() -> Session {
    connect_with(Setup {
        confirm: Some(Confirm::Off),
        ..Setup::default()
    })
    .await
}

/// The bodies of the events sent so far, without the token.
pub(super) fn events(session: &Session) -> Vec<Value> {
    let requests = session.sandbox.requests().into_iter();
    requests
        .filter(|request| request.path == "/i/v0/e/")
        .map(|mut request| {
            request.body.as_object_mut().unwrap().remove("api_key");
            request.body
        })
        .collect()
}

/// A person as the API has it, read without the server.
pub(super) async fn raw(session: &Session, http: &Client, uuid: &str) -> Value {
    let url = format!("{}/api/projects/1/persons/{uuid}/", session.sandbox.url());
    let response = http.get(url).bearer_auth(session.key).send().await;
    response.unwrap().json().await.unwrap()
}

/// Creates persons by an event of each, with these properties.
pub(super) fn create(session: &Session, distinct_id: &str, properties: &Value) {
    let set = json!({"$set": properties});
    let set = set.as_object().unwrap().clone();
    session.sandbox.capture(distinct_id, "sign up", set);
}
