//! Replies and cancellations reach the process that waits for them.

use std::time::Duration;

use posthog_sandbox::{Fault, FaultKind};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    EventStream, RECONNECT_TIMEOUT, TOOL, Team, assert_queued, assert_rejected, call, deletion,
    poll_until,
};
use crate::ADA;
use crate::writing::QA;

#[tokio::test]
async fn elicitation_reply_reaches_the_process_that_sent_it() {
    let team = Team::start().await;
    let proxy = team.proxy.url();
    let session = team.session(&proxy, &proxy).await;
    for (id, person) in [(1, QA[0]), (2, QA[1])] {
        let before = team.proxy.connections();
        let (events, question) = session.elicit(&proxy, id, person).await;
        assert_eq!(team.deletions(), Vec::<Value>::new());
        session.confirm(&proxy, &question).await;
        assert_eq!(team.proxy.connections(), before + 2);
        assert_queued(&events.result().await);
        let deletions = team.deletions();
        assert_eq!(deletions.len(), 1);
        assert_eq!(deletions[0]["ids"], json!([person]));
        // The next elicitation is sent by the other process.
        session.list(&proxy).await;
    }
}

#[tokio::test]
async fn declined_elicitation_reaches_the_process_that_sent_it() {
    let team = Team::start().await;
    let session = team.session(&team.one(), &team.other()).await;
    for (from, to) in [(team.one(), team.other()), (team.other(), team.one())] {
        let (events, question) = session.elicit(&from, 1, QA[0]).await;
        let answered = session.reply(&to, &question, json!({"action": "decline"}));
        assert_eq!(answered.await.status(), 202);
        assert_rejected(&events.result().await, "the user declined");
        assert_eq!(team.deletions(), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn session_has_one_open_elicitation() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let session = team.session(&one, &other).await;
    let (events, question) = session.elicit(&one, 1, QA[0]).await;
    for to in [&one, &other] {
        let message = session
            .send_request(to, &call(2, TOOL, deletion(QA[1])))
            .await;
        assert_rejected(&message["result"], "another confirmation is pending");
    }
    // Another session can elicit, and its reply confirms only its own call.
    let another = team.session(&other, &one).await;
    let (others_answers, others_question) = another.elicit(&other, 1, QA[2]).await;
    another.confirm(&one, &others_question).await;
    assert_queued(&others_answers.result().await);
    assert_eq!(team.deletions().len(), 1);

    session.confirm(&other, &question).await;
    assert_queued(&events.result().await);
    let deletions = team.deletions();
    assert_eq!(deletions.len(), 1);
    assert_eq!(deletions[0]["ids"], json!([QA[0]]));
    // The next elicitation can start.
    let (events, question) = session.elicit(&other, 3, QA[1]).await;
    session.confirm(&one, &question).await;
    assert_queued(&events.result().await);
}

/// Each process numbers its elicitations from the same start, and a reply carries only the number.
#[tokio::test]
async fn late_reply_does_not_confirm_an_elicitation_of_the_other_process() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let session = team.session(&one, &other).await;
    let (_answers, first) = session.elicit(&one, 1, QA[0]).await;
    let params = json!({"requestId": 1});
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    assert_eq!(session.send(&one, &cancelled).await.status(), 202);
    // A cancelled call closes its elicitation.
    let again = call(2, TOOL, deletion(QA[1]));
    let began = Instant::now();
    let (events, second) = loop {
        let mut events = EventStream::of(session.send(&other, &again).await);
        let message = events.next().await.unwrap();
        if message["method"] == "elicitation/create" {
            break (events, message);
        }
        assert_rejected(&message["result"], "another confirmation is pending");
        assert!(began.elapsed() < RECONNECT_TIMEOUT, "{message}");
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(first["id"], second["id"]);
    session.confirm(&one, &first).await;
    assert_rejected(&events.result().await, "Nothing was sent");
    assert_eq!(team.deletions(), Vec::<Value>::new());
}

#[tokio::test]
async fn cancellation_reaches_the_process_of_the_call() {
    let team = Team::start().await;
    let (one, other) = (team.one(), team.other());
    let session = team.session(&one, &other).await;
    for (from, to, id) in [(&one, &other, 1), (&other, &one, 2), (&one, &one, 3)] {
        team.sandbox.clear_requests();
        team.sandbox
            .inject(Fault::once("/persons/", FaultKind::Stall));
        let reading = call(id, "persons-retrieve", json!({"id": ADA}));
        let response = session.send(from, &reading).await;
        assert_eq!(response.status(), 200);
        poll_until("the request arrives", || async {
            !team.sandbox.requests().is_empty()
        })
        .await;
        let params = json!({"requestId": id});
        let cancelled =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
        assert_eq!(session.send(to, &cancelled).await.status(), 202);
        let process = &team.processes[usize::from(from == &other)];
        poll_until("cancelled", || async {
            let log = process.log.lock().unwrap();
            log.contains("outcome=\"cancelled\"")
        })
        .await;
        process.log.lock().unwrap().clear();
        team.sandbox.clear_faults();
        // The session continues.
        session.read(from).await;
    }
}
