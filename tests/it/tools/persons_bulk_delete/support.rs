//! Requests and arguments of a deletion.

use crate::Session;
use serde_json::{Value, json};

pub(super) const TOOL: &str = "persons-bulk-delete";

pub(super) const BY_UUIDS: &str = "POST B/batch_by_uuids/";

pub(super) const BY_DISTINCT_IDS: &str = "POST B/batch_by_distinct_ids/";

pub(super) const DELETE: &str = "POST B/bulk_delete/";

pub(super) fn body(
    ids: &[&str],
    delete_events: bool,
    delete_recordings: bool,
    keep_person: bool,
) -> Value {
    json!({
        "ids": ids,
        "delete_events": delete_events,
        "delete_recordings": delete_recordings,
        "keep_person": keep_person,
    })
}

pub(super) async fn is_there(session: &Session, id: &str) -> bool {
    let result = session.result("persons-retrieve", json!({"id": id})).await;
    result.is_error == Some(false)
}
