//! The confirmation method by mode and by client.

use super::support::*;
use crate::human::{Human, Reaction};
use crate::writing::{DELETION_DELAY, GRACE, QA, owner, write_requests, writes};
use crate::{ADA, Setup, connect_with};
use posthog_persons_mcp::policy::Confirm;
use serde_json::json;

#[tokio::test]
async fn elicitation_asks_once_and_deletes_the_persons_shown() {
    for lifecycle in lifecycles() {
        let human = Human::answering_with(Reaction::Tick);
        let session = connect_with(Setup {
            human: human.clone(),
            lifecycle,
            ..Setup::default()
        })
        .await;
        let response = session.call(TOOL, deletion()).await;
        assert_eq!(response["status"], "queued");
        let writes = write_requests(&session);
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].0, DELETE);
        assert_eq!(writes[0].1["ids"], json!([GRACE, QA[0]]));
        assert_eq!(writes[0].1["delete_events"], true);

        let elicitations = human.elicitations();
        assert_eq!(elicitations.len(), 1, "{elicitations:?}");
        for fact in [
            "Delete 2 persons from PostHog project 1 at http://127.0.0.1:",
            "This cannot be undone",
            &format!("- {GRACE}, 4 distinct ids, \"grace@example.com\"\n"),
            &format!("- {}, 1 distinct id, \"qa-1@example.org\"\n", QA[0]),
            "Each person is deleted entirely, with all properties and all distinct ids",
            "Also deleted: their events",
            "Recordings stay",
            "Not found (1): nobody\n",
        ] {
            assert!(
                elicitations[0].contains(fact),
                "{fact}: {}",
                elicitations[0]
            );
        }
        session.sandbox.advance(DELETION_DELAY);
        assert_eq!(owner(&session, "katherine@example.com").await, None);
        assert_eq!(owner(&session, "qa-2").await.unwrap(), QA[1]);
    }
}

#[tokio::test]
async fn reply_without_ticked_box_sends_nothing() {
    for lifecycle in lifecycles() {
        for (reaction, says) in [
            (
                Reaction::LeaveUnticked,
                "Nothing was sent: the user did not tick the box.",
            ),
            (
                Reaction::SendEmpty,
                "Nothing was sent: the user did not tick the box.",
            ),
            (Reaction::Decline, "Nothing was sent: the user declined."),
            (
                Reaction::Dismiss,
                "Nothing was sent: the user dismissed the question.",
            ),
        ] {
            let human = Human::answering_with(reaction);
            let session = connect_with(Setup {
                human: human.clone(),
                lifecycle: lifecycle.clone(),
                ..Setup::default()
            })
            .await;
            for (tool, arguments) in [(TOOL, deletion()), ("persons-split", split())] {
                assert_eq!(session.error(tool, arguments).await, says, "{reaction:?}");
            }
            assert_eq!(human.elicitations().len(), 2, "{reaction:?}");
            assert_eq!(writes(&session), no_requests(), "{reaction:?}");
            session.sandbox.advance(DELETION_DELAY);
            assert_eq!(
                owner(&session, "katherine@example.com").await.unwrap(),
                GRACE
            );
        }
    }
}

/// Tokens are for clients without elicitation; others cannot use them.
#[tokio::test]
async fn token_does_not_replace_elicitation() {
    let human = Human::answering_with(Reaction::Decline);
    let session = connect_with(Setup {
        human: human.clone(),
        ..Setup::default()
    })
    .await;
    let mut arguments = deletion();
    arguments["confirmation"] = json!("rs2.anything");
    session.error(TOOL, arguments).await;
    assert_eq!(human.elicitations().len(), 1);
    assert_eq!(writes(&session), no_requests());
}

#[tokio::test]
async fn changes_require_no_confirmation() {
    let human = Human::answering_with(Reaction::Decline);
    let session = connect_with(Setup {
        human: human.clone(),
        confirm: Confirm::Strict,
        ..Setup::default()
    })
    .await;
    let arguments = json!({"id": ADA, "properties": {"plan": "team"}});
    session.call("persons-update", arguments).await;
    assert_eq!(human.elicitations(), no_requests());
    assert_eq!(writes(&session).len(), 1);
}

#[tokio::test]
async fn strict_mode_accepts_elicitation_only() {
    let strict = |human| Setup {
        human,
        confirm: Confirm::Strict,
        ..Setup::default()
    };
    let session = connect_with(strict(Human::answering_with(Reaction::Tick))).await;
    session.call(TOOL, deletion()).await;
    assert_eq!(writes(&session), [DELETE]);

    let session = connect_with(strict(Human::default())).await;
    let error = session.error(TOOL, deletion()).await;
    assert!(error.starts_with("Rejected: "), "{error}");
    assert!(error.contains("Nothing was sent"), "{error}");
    let mut arguments = deletion();
    arguments["confirmation"] = json!("rs2.anything");
    assert_eq!(session.error(TOOL, arguments).await, error);
    assert_eq!(session.error("persons-split", split()).await, error);
    assert_eq!(writes(&session), no_requests());
    // Previews are still allowed.
    let mut arguments = deletion();
    arguments["dry_run"] = json!(true);
    assert_eq!(session.call(TOOL, arguments).await["status"], "dry_run");
}

#[tokio::test]
async fn token_confirmation_can_be_disallowed() {
    let session = connect_with(Setup {
        allow_token_confirmation: false,
        ..Setup::default()
    })
    .await;
    let error = session.error(TOOL, deletion()).await;
    assert!(error.starts_with("Rejected: "), "{error}");
    assert!(
        !error.contains("rs1.") && !error.contains("rs2."),
        "{error}"
    );
    let mut arguments = deletion();
    arguments["confirmation"] = json!("rs2.anything");
    assert_eq!(session.error(TOOL, arguments).await, error);
    assert_eq!(writes(&session), no_requests());
}

#[tokio::test]
async fn off_mode_requires_no_confirmation() {
    for lifecycle in lifecycles() {
        let human = Human::answering_with(Reaction::Decline);
        let session = connect_with(Setup {
            human: human.clone(),
            confirm: Confirm::Off,
            lifecycle,
            ..Setup::default()
        })
        .await;
        session.call(TOOL, deletion()).await;
        session.call("persons-split", split()).await;
        assert_eq!(human.elicitations(), no_requests());
        assert_eq!(
            writes(&session),
            [DELETE.to_owned(), format!("POST B/{GRACE}/split/")]
        );
    }
}
