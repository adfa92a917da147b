//! What is known of a person at one moment is withheld in results about another.

use std::time::Duration;

use posthog_persons_mcp::output::{OutputOptions, Redaction};
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};

use crate::{ADA, Session, Setup, connect_with};

const BEFORE: &str = "before@first.test";
const AFTER: &str = "after@second.test";

async fn session() -> Session {
    let setup = Setup::default();
    connect_with(Setup {
        key: Sandbox::LEGACY_KEY,
        limits: OutputOptions {
            redaction: Redaction::new(&["email".to_owned()], false),
            ..setup.limits
        },
        ..setup
    })
    .await
}

/// A person whose e-mail changed, with both in the notes of both moments. Its distinct id is today's address.
async fn person(session: &Session) -> (Value, String) {
    for (email, note) in [(BEFORE, 1), (AFTER, 2)] {
        let set = json!({"$set": {"email": email, "note": format!("{note}: {BEFORE} or {AFTER}")}});
        let set = set.as_object().unwrap().clone();
        session.sandbox.capture(AFTER, "$pageview", set);
        session.sandbox.advance(Duration::from_secs(3600));
    }
    let person = session
        .call("persons-retrieve", json!({"distinct_id": AFTER}))
        .await;
    (person["uuid"].clone(), session.sandbox.now())
}

#[tokio::test]
async fn properties_at_a_time_withhold_those_of_the_time_and_of_today() {
    let session = session().await;
    let (uuid, _) = person(&session).await;
    for timestamp in ["2026-11-02T09:30:00Z", "2026-11-02T10:30:00Z"] {
        let arguments = json!({"person_id": uuid, "timestamp": timestamp, "select": ["*"]});
        let text = session
            .text("persons-properties-at-time-retrieve", arguments)
            .await;
        assert!(text.contains("note: "), "{text}");
        assert!(!text.contains(AFTER), "{text}");
        if timestamp.contains("09:30") {
            assert!(!text.contains(BEFORE), "{text}");
        }
    }
}

#[tokio::test]
async fn timeline_withholds_those_of_every_point() {
    let session = session().await;
    let (uuid, _) = person(&session).await;
    let arguments = json!({
        "id": uuid, "date_from": "2026-11-01", "breakdown": "note",
        "properties": [{"key": "email", "operator": "is_set"}],
    });
    let text = session
        .text("persons-properties-timeline-retrieve", arguments)
        .await;
    assert!(text.contains("1: [redacted] or [redacted]"), "{text}");
    assert!(
        !text.contains("first.test") && !text.contains("second.test"),
        "{text}"
    );
}

/// The log of one person is searched for what is known of it. In the log of all, values are withheld.
#[tokio::test]
async fn activity_withholds_values() {
    let session = session().await;
    let email = "ada@example.com";
    let change = |value: &str| json!({"type": "Person", "action": "changed", "field": "note", "before": value, "after": {"email": "x@y.test", "at": value}});
    let entry = json!({
        "id": "1", "user": null, "is_system": true, "activity": "updated", "item_id": "101", "scope": "Person",
        "created_at": "2026-11-02T09:00:00Z",
        "detail": {"name": email, "changes": [change(&format!("is {email}")), change("is ada%2540example.com")]},
    });
    let body = json!({"results": [entry], "next": null, "previous": null, "total_count": 1});
    for (arguments, shown) in [
        (json!({"id": ADA}), "is [redacted]"),
        (json!({}), "\"before\":\"[redacted]\""),
    ] {
        session
            .sandbox
            .inject(Fault::once("activity", FaultKind::json(200, &body)));
        let text = session.text("persons-activity-retrieve", arguments).await;
        assert!(text.contains(shown), "{text}");
        assert!(
            !text.contains("example.com") && !text.contains("y.test"),
            "{text}"
        );
    }
}
