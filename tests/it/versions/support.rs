//! Sessions with a version of PostHog.

use posthog_persons_mcp::policy::Confirm;
use posthog_sandbox::{Clock, Era, SandboxOptions};
use serde_json::{Value, json};

use crate::{Session, Setup, connect_with};

pub(super) const GRACE: &str = "707be5a0-b120-5ae0-b57a-f77976f29c41";
/// A person with numbers, booleans and dates among the properties.
pub(super) const EMMY: &str = "1a6be4c1-3748-50d7-b7b6-8bbbac1b1636";
/// A static cohort of the sandbox: Grace and the kiosk.
pub(super) const STATIC_COHORT: u64 = 13;

pub(super) fn of(era: Era) -> Setup {
    Setup {
        assume_current: false,
        confirm: Some(Confirm::Off),
        sandbox: SandboxOptions {
            era,
            clock: Clock::Manual,
            ..SandboxOptions::default()
        },
        ..Setup::default()
    }
}

pub(super) async fn on(era: Era) -> Session {
    connect_with(of(era)).await
}

/// The splits and deletions since the last call.
pub(super) fn writes(session: &Session) -> Vec<String> {
    let requests = session.requests();
    requests
        .into_iter()
        .filter(|request| {
            ["split/", "bulk_delete/"]
                .iter()
                .any(|write| request.ends_with(write))
        })
        .collect()
}

pub(super) async fn properties(session: &Session, id: &str) -> Value {
    let person = session
        .call("persons-retrieve", json!({"id": id, "select": ["*"]}))
        .await;
    person["properties"].clone()
}
