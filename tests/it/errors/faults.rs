//! Sessions with a faulty PostHog.

use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::json;

use crate::{Session, connect_as};

pub(super) const LIST: &str = "persons-list";

/// A session in which every request gets this fault.
pub(super) async fn connect_to(what: FaultKind) -> Session {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    session.sandbox.inject(Fault {
        path_contains: String::new(),
        times: usize::MAX,
        kind: what,
    });
    session
}

pub(super) fn page(status: u16, content_type: &str, body: &str) -> FaultKind {
    FaultKind::Response {
        status,
        content_type: content_type.to_owned(),
        body: body.to_owned(),
        headers: Vec::new(),
    }
}

pub(super) fn html(status: u16) -> FaultKind {
    page(
        status,
        "text/html; charset=utf-8",
        "<!doctype html><h1>Sorry</h1>",
    )
}

pub(super) fn rejection(status: u16, code: &str, detail: &str) -> FaultKind {
    let envelope = json!({"type": "some_error", "code": code, "detail": detail, "attr": null});
    FaultKind::json(status, &envelope)
}
