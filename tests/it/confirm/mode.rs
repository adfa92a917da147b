//! The confirmation method by mode and by client.

use super::support::*;
use crate::human::{Human, Reaction};
use crate::writing::{DELETION_DELAY, GRACE, QA, owner, write_requests, writes};
use crate::{ADA, Setup, connect_with};
use posthog_persons_mcp::policy::Confirm;
use serde_json::json;
use std::time::Duration;

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
            "Delete 2 persons for good, with their events?\n\"grace@example.com\", \"qa-1@example.org\"\n",
            "All distinct ids and properties go. Recordings stay.\nPostHog project 1 at 127.0.0.1:",
            "This cannot be undone.\n",
            "This question is open for five minutes.\n",
            &format!(
                "- {GRACE}\n  \"grace@example.com\"\n  4 distinct ids:\n    \"grace@example.com\"\n"
            ),
            &format!(
                "- {}\n  \"qa-1@example.org\"\n  1 distinct id: \"qa-1\"\n",
                QA[0]
            ),
            "Ids of nobody (1): \"nobody\"\n",
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
        confirm: Some(Confirm::Strict),
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
        confirm: Some(Confirm::Strict),
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
async fn auto_without_a_page_rejects_what_the_client_cannot_ask() {
    let session = connect_with(Setup {
        confirm: Some(Confirm::Auto),
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
            confirm: Some(Confirm::Off),
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

/// `claude -p`, `codex exec` and the like decline at once, and nobody has seen the question.
#[tokio::test]
async fn a_client_that_declines_on_its_own_is_distinguished_from_a_person() {
    for lifecycle in lifecycles() {
        for reaction in [Reaction::Decline, Reaction::Dismiss] {
            let session = connect_with(Setup {
                human: Human::answering_with(reaction),
                lifecycle: lifecycle.clone(),
                min_reading_time: Duration::from_secs(3600),
                ..Setup::default()
            })
            .await;
            assert_eq!(
                session.error(TOOL, deletion()).await,
                "Nothing was sent: the client declined without showing the question to anyone (it replied faster than a person can read). Clients do so where no person is present. Call again where a person can answer; for unattended work the operator can set --confirm token or --confirm off."
            );
            assert_eq!(writes(&session), no_requests());
        }
    }
}

/// For unattended work: whatever the client supports, and wherever the server runs.
#[tokio::test]
async fn token_mode_lets_the_assistant_confirm() {
    for lifecycle in lifecycles() {
        let human = Human::answering_with(Reaction::Decline);
        let session = connect_with(Setup {
            human: human.clone(),
            confirm: Some(Confirm::Token),
            lifecycle,
            ..Setup::default()
        })
        .await;
        let token = session.call(TOOL, deletion()).await["confirmation"].clone();
        assert_eq!(writes(&session), no_requests());
        session.call(TOOL, with_token(deletion(), &token)).await;
        assert_eq!(writes(&session), [DELETE]);
        assert_eq!(human.elicitations(), no_requests());
    }
}
