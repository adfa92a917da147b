//! A call that takes long to process delays no other: the thread that serves everybody does not process it.

use std::sync::mpsc;

use posthog_persons_mcp::output::Redaction;
use posthog_sandbox::{Fault, FaultKind};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::limits::wait_until;
use super::{JOHN, LegacyClient, MARY, McpClient, Setup, result_text, team_with};
use crate::wire::WITH_HANDSHAKE;
use crate::{ADA, NOBODY};

/// Far more round trips than the response to the heavy call takes to arrive.
const OTHER_CALLS: usize = 100;

/// A person of 500 KB with 3,000 redacted values, which also appear elsewhere.
fn heavy_person() -> Value {
    let emails: Vec<String> = (0..3_000)
        .map(|number| format!("person.{number}@example.com"))
        .collect();
    let bio = emails.join(" ") + &"no address in here. ".repeat(18_000);
    json!({
        "id": 1, "uuid": NOBODY, "name": "Heavy", "distinct_ids": ["heavy"],
        "properties": {"email": emails, "bio": bio},
        "created_at": "2026-01-01T00:00:00Z",
    })
}

/// The runtime has one thread for everybody and, for all that is moved from it, a single other one, which is kept busy until
/// the others were answered: by then, the heavy call can have ended only if it was processed on the first.
#[test]
fn other_calls_are_answered_while_a_large_person_is_redacted() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let team = team_with(Setup {
            redaction: Redaction::new(&["email".to_owned()], false),
            ..Setup::default()
        })
        .await;
        let request = format!("/persons/{NOBODY}/");
        let person = FaultKind::json(200, &heavy_person());
        team.sandbox.inject(Fault::once(&request, person));
        let (mary, john) = (team.caller(MARY), team.caller(JOHN));
        let mut session = McpClient::begin(&john, WITH_HANDSHAKE[2]).await;
        let mut legacy = LegacyClient::begin(&john).await;

        let (release, released) = mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || {
            // An error, once it is dropped.
            let _ = released.recv();
        });
        let heavy = tokio::spawn(async move {
            let arguments = json!({"id": NOBODY, "select": ["*"]});
            mary.call("persons-retrieve", &arguments).await
        });
        wait_until("PostHog is asked for the large person", async || {
            let requests = team.sandbox.requests();
            requests.iter().any(|request| request.path.contains(NOBODY))
        })
        .await;
        let arguments = json!({"id": ADA});
        for _ in 0..OTHER_CALLS {
            let result = session.call("persons-retrieve", &arguments).await;
            assert_eq!(result["isError"], false, "{result}");
            let result = legacy.call("persons-retrieve", &arguments).await;
            assert_eq!(result["isError"], false, "{result}");
        }
        assert!(
            !heavy.is_finished(),
            "processed on the thread that serves everybody"
        );
        drop(release);
        busy.await.unwrap();
        let result = heavy.await.unwrap();
        let text = result_text(&result);
        assert!(
            text.contains("[redacted] [redacted]") && !text.contains("example.com"),
            "{text}"
        );
    });
}
