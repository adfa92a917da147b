//! Confirmation tokens, for clients without elicitation.

use super::support::*;
use crate::writing::{CHANGE_DELAY, DELETION_DELAY, GRACE, QA, confirmed, write_requests, writes};
use crate::{Setup, connect, connect_with, text};
use futures::future::join;
use insta::{allow_duplicates, assert_snapshot};
use posthog_client::Project;
use posthog_sandbox::Sandbox;
use serde_json::{Map, Value, json};
use std::time::Duration;

#[tokio::test]
async fn token_confirms_the_previewed_deletion() {
    for lifecycle in lifecycles() {
        let session = connect_with(Setup {
            lifecycle,
            ..Setup::default()
        })
        .await;
        let preview = session.result(TOOL, deletion()).await;
        assert_eq!(writes(&session), no_requests());
        let shown = text(&preview);
        let facts = preview.structured_content.unwrap();
        assert_eq!(facts["status"], "confirmation_required");
        assert_eq!(facts["person_count"], 2);
        assert_eq!(facts["not_found"], json!(["nobody"]));
        let token = facts["confirmation"].as_str().unwrap();
        let shown = shown.replace(token, "TOKEN").replace(
            session.sandbox.url().trim_start_matches("http://"),
            "sandbox",
        );
        allow_duplicates! {
            assert_snapshot!(shown, @r#"
            Nothing was sent yet. Show the user all of the following and wait for their decision. If no person can be shown this, stop and hand it on.

            Delete 2 persons for good, with their events?
            "grace@example.com", "qa-1@example.org"
            All distinct ids and properties go. Recordings stay.
            PostHog project 1 at sandbox. This cannot be undone.
            This question is open for five minutes.
            PostHog deletes the events in a weekly batch.
            - 707be5a0-b120-5ae0-b57a-f77976f29c41
              "grace@example.com"
              4 distinct ids:
                "grace@example.com"
                "katherine@example.com"
                "katherine-laptop"
                and 1 more
              created 2026-04-10, last seen 2026-10-31
              given as "grace@example.com", "katherine@example.com"
            - 326043c7-9577-586f-b399-8da3ff6a80ff
              "qa-1@example.org"
              1 distinct id: "qa-1"
              created 2026-10-15, last seen 2026-10-30
              given as "qa-1"
            Ids of nobody (1): "nobody"

            Only if the user agrees, call persons-bulk-delete again with the same arguments and confirmation "TOKEN" (usable once).
            "#);
        }

        let done = session
            .call(TOOL, with_token(deletion(), &facts["confirmation"]))
            .await;
        assert_eq!(done["status"], "queued");
        let writes = write_requests(&session);
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].1["ids"], json!([GRACE, QA[0]]));
    }
}

#[tokio::test]
async fn token_is_usable_once() {
    let session = connect().await;
    for (tool, arguments) in [("persons-split", split()), (TOOL, deletion())] {
        let token = &session.call(tool, arguments.clone()).await["confirmation"];
        let arguments = with_token(arguments, token);
        // Also by concurrent calls.
        let (one, other) = join(
            session.result(tool, arguments.clone()),
            session.result(tool, arguments.clone()),
        )
        .await;
        let refused = if one.is_error == Some(true) {
            one
        } else {
            other
        };
        assert!(text(&refused).starts_with(STALE), "{}", text(&refused));
        assert_eq!(writes(&session).len(), 1, "{tool}");
        let refused = session.error(tool, arguments).await;
        assert!(refused.starts_with(STALE), "{refused}");
        assert_eq!(writes(&session), no_requests(), "{tool}");
    }
}

#[tokio::test]
async fn token_is_bound_to_its_call() {
    let session = connect().await;
    let token = session.call(TOOL, deletion()).await["confirmation"].clone();
    let mut others = vec![
        (
            TOOL,
            json!({"distinct_ids": ["qa-2"], "delete_events": true}),
        ),
        (TOOL, json!({"ids": [GRACE, QA[0]], "delete_events": true})),
        ("persons-split", split()),
    ];
    for (name, value) in [
        ("delete_events", json!(false)),
        ("delete_events", Value::Null),
        ("delete_recordings", json!(true)),
        ("keep_person", json!(true)),
        (
            "distinct_ids",
            json!(["grace@example.com", "katherine@example.com", "qa-1"]),
        ),
        (
            "distinct_ids",
            json!([
                "grace@example.com",
                "katherine@example.com",
                "qa-1",
                "nobody",
                "qa-2"
            ]),
        ),
    ] {
        let mut other = deletion();
        other[name] = value;
        others.push((TOOL, other));
    }
    for (tool, arguments) in others {
        let refused = session
            .error(tool, with_token(arguments.clone(), &token))
            .await;
        assert!(refused.starts_with(STALE), "{arguments}: {refused}");
        assert_eq!(writes(&session), no_requests(), "{arguments}");
    }
    // The token of a split does not confirm a deletion.
    let foreign = session.call("persons-split", split()).await["confirmation"].clone();
    let refused = session.error(TOOL, with_token(deletion(), &foreign)).await;
    assert!(refused.starts_with(STALE), "{refused}");
    assert_eq!(writes(&session), no_requests());
    // A rejected call does not use the token, and equivalent arguments match.
    let mut same = with_token(deletion(), &token);
    same["delete_events"] = json!("true");
    session.call(TOOL, same).await;
    assert_eq!(writes(&session), [DELETE]);
}

#[tokio::test]
async fn forged_token_is_rejected() {
    let session = connect().await;
    let genuine = session.call(TOOL, deletion()).await["confirmation"].clone();
    let genuine = genuine.as_str().unwrap();
    let mut forged: Vec<String> = [" ", "yes", "true", "rs1.", "rs2.", "rs2.e30.AAAA"]
        .map(str::to_owned)
        .to_vec();
    for place in [0, genuine.len() / 2, genuine.len() - 1] {
        let mut bytes = genuine.as_bytes().to_vec();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        forged.push(String::from_utf8(bytes).unwrap());
    }
    forged.push(genuine[..genuine.len() - 1].to_owned());
    // The token of another server for the same call.
    let elsewhere = connect().await;
    let foreign = elsewhere.call(TOOL, deletion()).await["confirmation"].clone();
    forged.push(foreign.as_str().unwrap().to_owned());
    for token in forged {
        let refused = session
            .error(TOOL, with_token(deletion(), &json!(token)))
            .await;
        assert!(refused.starts_with(STALE), "{token}: {refused}");
        assert_eq!(writes(&session), no_requests(), "{token}");
    }
    for token in [json!(true), json!([genuine]), json!({"yes": true})] {
        session.error(TOOL, with_token(deletion(), &token)).await;
        assert_eq!(writes(&session), no_requests(), "{token}");
    }
}

/// Waits in real time: the seal reads the system clock.
#[tokio::test]
async fn expired_token_is_rejected() {
    let session = connect_with(Setup {
        confirmation_ttl: Duration::from_millis(1),
        ..Setup::default()
    })
    .await;
    let token = session.call(TOOL, deletion()).await["confirmation"].clone();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let refused = session.error(TOOL, with_token(deletion(), &token)).await;
    assert_eq!(
        refused,
        "Invalid confirmation: it has expired. Nothing was sent. Call again without it to request a new confirmation."
    );
    assert_eq!(writes(&session), no_requests());
}

/// A confirmation that does not match says why, and stays usable for its own call.
#[tokio::test]
async fn rejection_names_what_does_not_match() {
    let session = connect().await;
    let token = session.call(TOOL, deletion()).await["confirmation"].clone();
    let mut others = deletion();
    others["delete_recordings"] = json!(true);
    others["delete_events"] = json!(false);
    for (tool, arguments, says) in [
        (
            TOOL,
            others,
            "it was given for other arguments (different: `delete_events`, `delete_recordings`); repeat the call with exactly those",
        ),
        (
            "persons-split",
            split(),
            "it was given for persons-bulk-delete, not for persons-split",
        ),
        (
            TOOL,
            json!({"ids": [QA[0]], "delete_events": true}),
            "it was given for other arguments (different: `distinct_ids`, `ids`); repeat the call with exactly those",
        ),
    ] {
        let refused = session.error(tool, with_token(arguments, &token)).await;
        assert_eq!(
            refused,
            format!(
                "Invalid confirmation: {says}. Nothing was sent. Call again without it to request a new confirmation."
            )
        );
    }
    // What is so by default can be said or not.
    let mut same = with_token(deletion(), &token);
    same["keep_person"] = json!(false);
    session.call(TOOL, same.clone()).await;
    assert_eq!(writes(&session), [DELETE]);
    assert_eq!(
        session.error(TOOL, same).await,
        "Invalid confirmation: it was already used or declined, or its record was lost. Nothing was sent. Call again without it to request a new confirmation."
    );
    // How long a call waits does not change what it does.
    let token = session.call("persons-split", split()).await["confirmation"].clone();
    let mut waiting = with_token(split(), &token);
    waiting["wait_seconds"] = json!(1);
    session.call("persons-split", waiting).await;
    assert_eq!(writes(&session).len(), 1);
}

#[tokio::test]
async fn token_is_rejected_after_the_persons_changed() {
    let session = connect().await;
    let token = session.call(TOOL, deletion()).await["confirmation"].clone();
    rename(&session, "qa-1", "the.boss@example.org");
    let refused = session.error(TOOL, with_token(deletion(), &token)).await;
    assert!(refused.starts_with(CHANGED), "{refused}");
    assert_eq!(writes(&session), no_requests());

    // Fewer distinct ids.
    let token = session.call(TOOL, deletion()).await["confirmation"].clone();
    let laptop = json!({"id": GRACE, "distinct_ids_to_split": ["katherine-laptop"]});
    confirmed(&session, "persons-split", laptop).await;
    session.sandbox.advance(CHANGE_DELAY);
    session.requests();
    let refused = session.error(TOOL, with_token(deletion(), &token)).await;
    assert!(refused.starts_with(CHANGED), "{refused}");
    assert_eq!(writes(&session), no_requests());

    // A person that was unknown now exists.
    let token = session.call(TOOL, deletion()).await["confirmation"].clone();
    session.sandbox.capture("nobody", "$pageview", Map::new());
    let refused = session.error(TOOL, with_token(deletion(), &token)).await;
    assert!(refused.starts_with(CHANGED), "{refused}");
    assert_eq!(writes(&session), no_requests());

    // A split of a person that now has one id less.
    let katherine = json!({"id": GRACE, "main_distinct_id": "grace@example.com"});
    let token = session.call("persons-split", katherine.clone()).await["confirmation"].clone();
    confirmed(&session, "persons-split", split()).await;
    session.sandbox.advance(CHANGE_DELAY);
    session.requests();
    let refused = session
        .error("persons-split", with_token(katherine, &token))
        .await;
    assert!(refused.starts_with(CHANGED), "{refused}");
    assert_eq!(writes(&session), no_requests());
}

#[tokio::test]
async fn token_is_rejected_after_the_persons_were_deleted() {
    let session = connect().await;
    let qa = json!({"ids": [QA[0]]});
    let token = session.call(TOOL, qa.clone()).await["confirmation"].clone();
    confirmed(&session, TOOL, qa.clone()).await;
    session.sandbox.advance(DELETION_DELAY);
    session.requests();
    session.error(TOOL, with_token(qa, &token)).await;
    assert_eq!(writes(&session), no_requests());
}

/// The owner of the key selects another project after the preview.
#[tokio::test]
async fn confirmed_call_uses_the_previewed_project() {
    let session = connect_with(Setup {
        project: Project::Current,
        ..Setup::default()
    })
    .await;
    let preview = session.call(TOOL, deletion()).await;
    assert_eq!(preview["project"], Sandbox::PROJECT);
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.foreign_current_project = true);
    session
        .call(TOOL, with_token(deletion(), &preview["confirmation"]))
        .await;
    assert_eq!(writes(&session), [DELETE]);
}

#[tokio::test]
async fn preview_respects_the_structured_content_setting() {
    let mut setup = Setup::default();
    setup.limits.structured = false;
    let session = connect_with(setup).await;
    let preview = session.result(TOOL, deletion()).await;
    assert!(text(&preview).contains("confirmation \""));
    assert_eq!(preview.structured_content, None);
}
