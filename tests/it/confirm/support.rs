//! Calls of the confirmation tests.

use crate::Session;
use crate::writing::GRACE;
use rmcp::ClientLifecycleMode;
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

pub(super) const TOOL: &str = "persons-bulk-delete";

/// The versions in which an elicitation is sent while the call waits.
pub(super) const WAITING: [&str; 2] = ["2025-06-18", "2025-11-25"];

pub(super) const STALE: &str = "Invalid confirmation";

pub(super) const CHANGED: &str = "The persons have changed";

pub(super) fn lifecycles() -> [ClientLifecycleMode; 2] {
    [
        ClientLifecycleMode::Initialize,
        ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
    ]
}

/// Deletes two persons, one of them given twice, and an unknown one.
pub(super) fn deletion() -> Value {
    json!({"distinct_ids": ["grace@example.com", "katherine@example.com", "qa-1", "nobody"], "delete_events": true})
}

pub(super) fn split() -> Value {
    json!({"id": GRACE, "distinct_ids_to_split": ["katherine@example.com"]})
}

pub(super) fn no_requests() -> Vec<String> {
    Vec::new()
}

pub(super) const DELETE: &str = "POST B/bulk_delete/";

pub(super) fn with_token(mut arguments: Value, token: &Value) -> Value {
    arguments["confirmation"] = token.clone();
    arguments
}

pub(super) fn rename(session: &Session, distinct_id: &str, email: &str) {
    let set = json!({"$set": {"email": email}});
    let set = set.as_object().unwrap().clone();
    session.sandbox.capture(distinct_id, "$set", set);
}
