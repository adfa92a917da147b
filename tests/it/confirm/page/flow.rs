//! From the call to the press to the outcome.

use super::super::support::*;
use super::browser::*;
use crate::audit_log::Log;
use crate::human::{Human, Reaction};
use crate::writing::{DELETION_DELAY, GRACE, QA, inject_fault, owner, write_requests, writes};
use crate::{ADA, Setup, connect_with, text};
use futures::future::join;
use insta::assert_snapshot;
use posthog_persons_mcp::approval::ApprovalOptions;
use posthog_persons_mcp::output::Redaction;
use posthog_sandbox::FaultKind;
use serde_json::{Value, json};

const NOT_ANSWERED: &str = "Nothing was sent yet: nobody has answered on the page.";
const USED: &str = "Invalid confirmation: it was already used or declined";

/// A call of each kind that needs a confirmation.
fn calls() -> [(&'static str, Value); 4] {
    [
        (TOOL, deletion()),
        ("persons-split", split()),
        (
            "persons-update",
            json!({"ids": [ADA, QA[0]], "properties": {"plan": "team"}}),
        ),
        ("persons-merge", json!({"into": ADA, "persons": [QA[0]]})),
    ]
}

#[tokio::test]
async fn first_call_says_what_to_tell_the_user() {
    let session = connect_with(setup(impatient())).await;
    let result = session.result(TOOL, deletion()).await;
    let fields = result.structured_content.as_ref().unwrap();
    let shown = text(&result);
    let browser = Browser::of(&shown);
    let shown = shown
        .replace(fields["confirmation"].as_str().unwrap(), "TOKEN")
        .replace(&format!("{}{}", browser.host, browser.path), "ADDRESS")
        .replace(
            session.sandbox.url().trim_start_matches("http://"),
            "sandbox",
        );
    assert_snapshot!(shown, @r#"
    Nothing was sent yet: a person has to approve this call on a page. Give the user its address, exactly as it is:

    http://ADDRESS

    Tell the user what it asks:

    Delete 2 persons for good, with their events?
    "grace@example.com", "qa-1@example.org"
    All distinct ids and properties go. Recordings stay.
    PostHog project 1 at sandbox. This cannot be undone.

    The page lists all of it and is open for five minutes. Do not open it yourself, and do not answer in the user's place.
    Then call persons-bulk-delete again with the same arguments and confirmation "TOKEN". That call waits for the answer; without an approval on the page it sends nothing.
    Where the user cannot open the page: dry_run shows the preview here, and a client that supports elicitation asks the user itself. If nobody can be asked, stop and hand it on.
    "#);
    assert_eq!(fields["person_count"], 2);
}

#[tokio::test]
async fn nothing_is_sent_before_the_press_and_once_after_it() {
    for lifecycle in lifecycles() {
        for (tool, arguments) in calls() {
            let session = session(lifecycle.clone()).await;
            let page = OpenPage::of(&session, tool, arguments.clone()).await;
            let confirmed = with_token(arguments, &page.token);
            // Neither the token alone nor a visit of the page is an answer.
            page.browser.load().await;
            let waiting = session.result(tool, confirmed.clone()).await;
            let waiting = text(&waiting);
            assert!(waiting.starts_with(NOT_ANSWERED), "{tool}: {waiting}");
            assert_eq!(Browser::of(&waiting).path, page.browser.path);
            assert_eq!(writes(&session), no_requests(), "{tool}");

            page.browser.approve().await;
            assert_eq!(writes(&session), no_requests(), "{tool}");
            let done = session.result(tool, confirmed.clone()).await;
            assert_eq!(done.is_error, Some(false), "{tool}: {}", text(&done));
            let sent = writes(&session);
            assert!(!sent.is_empty(), "{tool}");
            assert_eq!(page.browser.heading().await, "Approved and used", "{tool}");

            let replayed = session.error(tool, confirmed).await;
            assert!(replayed.starts_with(USED), "{tool}: {replayed}");
            assert_eq!(writes(&session), no_requests(), "{tool}");
        }
    }
}

#[tokio::test]
async fn deletion_is_of_the_persons_on_the_page() {
    let session = connect_with(setup(impatient())).await;
    let page = OpenPage::of(&session, TOOL, deletion()).await;
    let shown = page.browser.load().await.body;
    for fact in [
        GRACE,
        QA[0],
        "grace@example.com",
        "katherine-laptop",
        "Ids of nobody: 1",
        "Delete 2 persons",
        "Do not delete",
    ] {
        assert!(shown.contains(fact), "{fact}: {shown}");
    }
    page.browser.approve().await;
    session
        .call(TOOL, with_token(deletion(), &page.token))
        .await;
    let sent = write_requests(&session);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1["ids"], json!([GRACE, QA[0]]));
    assert!(
        page.browser
            .load()
            .await
            .body
            .contains("carries it out later")
    );
    session.sandbox.advance(DELETION_DELAY);
    assert_eq!(owner(&session, "katherine@example.com").await, None);
}

/// The press comes while the call waits, for up to 25 seconds.
#[tokio::test]
async fn waiting_call_goes_on_at_the_press() {
    for lifecycle in lifecycles() {
        let session = connect_with(Setup {
            lifecycle,
            ..setup(ApprovalOptions::default())
        })
        .await;
        let page = OpenPage::of(&session, TOOL, deletion()).await;
        let call = session.call(TOOL, with_token(deletion(), &page.token));
        let (done, ()) = join(call, page.browser.approve()).await;
        assert_eq!(done["status"], "queued");
        assert_eq!(writes(&session), [DELETE]);

        let page = OpenPage::of(&session, "persons-split", split()).await;
        let call = session.error("persons-split", with_token(split(), &page.token));
        let (refused, ()) = join(call, page.browser.decline()).await;
        assert!(refused.contains("the user declined"), "{refused}");
        assert_eq!(writes(&session), no_requests());
    }
}

#[tokio::test]
async fn concurrent_calls_use_an_approval_once() {
    let session = connect_with(setup(impatient())).await;
    let page = OpenPage::of(&session, TOOL, deletion()).await;
    page.browser.approve().await;
    let arguments = with_token(deletion(), &page.token);
    let (one, other) = join(
        session.result(TOOL, arguments.clone()),
        session.result(TOOL, arguments),
    )
    .await;
    let refused = [one, other];
    let refused: Vec<String> = refused
        .iter()
        .filter(|result| result.is_error == Some(true))
        .map(text)
        .collect();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].starts_with(USED), "{refused:?}");
    assert_eq!(writes(&session), [DELETE]);
}

#[tokio::test]
async fn declined_is_declined() {
    let session = connect_with(setup(impatient())).await;
    for (tool, arguments) in calls() {
        let page = OpenPage::of(&session, tool, arguments.clone()).await;
        page.browser.decline().await;
        assert_eq!(page.browser.heading().await, "Declined");
        let confirmed = with_token(arguments, &page.token);
        for _ in 0..2 {
            assert_eq!(
                session.error(tool, confirmed.clone()).await,
                "Nothing was sent: the user declined on the approval page."
            );
        }
        assert_eq!(writes(&session), no_requests(), "{tool}");
    }
}

/// Before the press, and between the press and the call. The page is void even if the facts become the same again: it said so.
#[tokio::test]
async fn changed_facts_void_the_page() {
    let session = connect_with(setup(impatient())).await;
    for approved_first in [false, true] {
        rename(&session, "qa-1", "qa-1@example.org");
        let page = OpenPage::of(&session, TOOL, deletion()).await;
        let form = page.browser.form().await;
        if approved_first {
            page.browser.approve().await;
        }
        rename(&session, "qa-1", "other@example.org");
        session.sandbox.advance(crate::writing::CHANGE_DELAY);
        let confirmed = with_token(deletion(), &page.token);
        let refused = session.error(TOOL, confirmed.clone()).await;
        assert!(refused.starts_with(CHANGED), "{refused}");
        assert_eq!(page.browser.heading().await, "The persons have changed");
        page.browser.send(&form, "approve").await;
        assert_eq!(page.browser.heading().await, "The persons have changed");
        rename(&session, "qa-1", "qa-1@example.org");
        session.sandbox.advance(crate::writing::CHANGE_DELAY);
        let refused = session.error(TOOL, confirmed).await;
        assert!(refused.starts_with(CHANGED), "{refused}");
        assert_eq!(writes(&session), no_requests());
    }
}

/// The second read, after the wait.
#[tokio::test]
async fn facts_that_change_while_a_call_waits_void_the_page() {
    let session = connect_with(setup(ApprovalOptions::default())).await;
    let page = OpenPage::of(&session, TOOL, deletion()).await;
    let form = page.browser.form().await;
    session.requests();
    let call = session.error(TOOL, with_token(deletion(), &page.token));
    let meanwhile = async {
        // The call has read the persons once.
        while session.sandbox.requests().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        rename(&session, "qa-1", "other@example.org");
        session.sandbox.advance(crate::writing::CHANGE_DELAY);
        page.browser.send(&form, "approve").await;
    };
    let (refused, ()) = join(call, meanwhile).await;
    assert!(refused.starts_with(CHANGED), "{refused}");
    assert_eq!(page.browser.heading().await, "The persons have changed");
    assert_eq!(writes(&session), no_requests());
}

/// A call that fails before its confirmation is looked at leaves the approval to the next one.
#[tokio::test]
async fn failed_read_leaves_the_approval() {
    let session = connect_with(setup(impatient())).await;
    let page = OpenPage::of(&session, TOOL, json!({"ids": [QA[0]]})).await;
    page.browser.approve().await;
    let confirmed = with_token(json!({"ids": [QA[0]]}), &page.token);
    inject_fault(
        &session,
        "POST B/batch_by_uuids/",
        FaultKind::json(
            403,
            &json!({"type": "authentication_error", "code": "permission_denied", "detail": "no", "attr": null}),
        ),
    );
    session.error(TOOL, confirmed.clone()).await;
    assert_eq!(page.browser.heading().await, "Approved");
    session.call(TOOL, confirmed).await;
    assert_eq!(writes(&session), [DELETE]);
}

#[tokio::test]
async fn page_says_that_the_outcome_is_unknown() {
    let session = connect_with(setup(impatient())).await;
    let page = OpenPage::of(&session, TOOL, deletion()).await;
    page.browser.approve().await;
    inject_fault(&session, DELETE, FaultKind::DropAfterEffect);
    let confirmed = with_token(deletion(), &page.token);
    session.error(TOOL, confirmed.clone()).await;
    assert!(
        page.browser
            .load()
            .await
            .body
            .contains("it is not known whether")
    );
    session.requests();
    let refused = session.error(TOOL, confirmed).await;
    assert!(refused.starts_with(USED), "{refused}");
    assert_eq!(writes(&session), no_requests());
}

#[tokio::test]
async fn client_with_elicitation_is_asked_and_no_page_is_served() {
    for lifecycle in lifecycles() {
        let human = Human::answering_with(Reaction::Tick);
        let session = connect_with(Setup {
            human: human.clone(),
            lifecycle,
            ..setup(impatient())
        })
        .await;
        assert_eq!(session.call(TOOL, deletion()).await["status"], "queued");
        assert_eq!(human.elicitations().len(), 1);
        assert_eq!(writes(&session), [DELETE]);
    }
}

#[tokio::test]
async fn audit_log_names_the_page() {
    let log = Log::new();
    let session = connect_with(Setup {
        audit: Some(log.open()),
        ..setup(impatient())
    })
    .await;
    let page = OpenPage::of(&session, TOOL, deletion()).await;
    page.browser.approve().await;
    session
        .call(TOOL, with_token(deletion(), &page.token))
        .await;
    assert_eq!(log.writes()[0]["confirmation"], "approval page");
}

/// What strangers wrote is text on the page, and what is redacted is not on it.
#[tokio::test]
async fn page_shows_what_the_preview_shows() {
    let mut setup = setup(impatient());
    setup.limits.redaction = Redaction::new(&["email".to_owned()], true);
    let session = connect_with(setup).await;
    let page = OpenPage::of(&session, TOOL, json!({"ids": [GRACE]})).await;
    let shown = page.browser.load().await.body;
    assert!(!shown.contains("grace@example.com"), "{shown}");

    let session = connect_with(self::setup(impatient())).await;
    rename(&session, "qa-1", "<script>alert(1)</script>\" onload=\"x");
    session.sandbox.advance(crate::writing::CHANGE_DELAY);
    let page = OpenPage::of(&session, TOOL, json!({"ids": [QA[0]]})).await;
    let shown = page.browser.load().await.body;
    assert!(shown.contains("alert(1)"), "{shown}");
    assert!(!shown.contains("<script>alert"), "{shown}");
    assert!(!shown.contains("\" onload=\""), "{shown}");
}
