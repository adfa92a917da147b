//! Calls that wait for their users: limited in number, and in nobody's way.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::confirmation::{
    TOOL, WAITING, calling, deletion, elicit, elicitation_reply, no_requests, result,
};
use super::{Caller, MARY, McpClient, Method, Setup, assert_rejected, team_with};
use crate::wire::TIMEOUT;
use crate::writing::QA;

/// A call that waits for a human keeps nobody out: neither a reader with the same credential nor one with another.
#[tokio::test]
async fn open_questions_occupy_no_place() {
    let mut setup = Setup::default();
    setup.limits.max_in_flight = 1;
    setup.limits.max_in_flight_per_credential = 1;
    let team = team_with(setup).await;
    let mary = team.caller(MARY).with_elicitation();
    for version in WAITING {
        let mut open = Vec::new();
        for _ in 0..8 {
            let mut session = McpClient::begin(&mary, version).await;
            let asked = elicit(&mut session).await;
            open.push((session, asked));
        }
        // The ninth is refused, and everything else goes on.
        let mut session = McpClient::begin(&mary, version).await;
        let (id, events) = session.open("tools/call", calling(TOOL, &deletion())).await;
        assert_rejected(
            &result(id, events).await,
            "Nothing was sent: 8 questions are open already;",
        );
        let person = calling("persons-retrieve", &json!({"id": QA[1]}));
        let (id, events) = session.open("tools/call", person).await;
        let person = result(id, events).await;
        assert_eq!(person["isError"], false, "{person}");
        // One is answered, the others end with their sessions, and there is room again.
        let (session, (id, events, question)) = open.pop().unwrap();
        session
            .post(&elicitation_reply(&question, &json!({"action": "decline"})))
            .await;
        assert_rejected(&result(id, events).await, "Nothing was sent: ");
        for (session, (_, events, _)) in open {
            mary.send(session.request(Method::DELETE)).await;
            events.end().await;
        }
        let ended = async {
            // The library lets calls of a closed session finish for some seconds.
            while questions_that_fit(&mary, version).await < 8 {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        };
        timeout(TIMEOUT, ended).await.expect("the questions end");
    }
    assert_eq!(team.writes(), no_requests());
}

/// The number of questions that can be opened, all of which are declined.
async fn questions_that_fit(caller: &Caller, version: &'static str) -> usize {
    let mut open = Vec::new();
    while open.len() < 8 {
        let mut session = McpClient::begin(caller, version).await;
        let (_, mut events) = session.open("tools/call", calling(TOOL, &deletion())).await;
        let question = events.next_message().await;
        if question["method"] != "elicitation/create" {
            break;
        }
        open.push((session, events, question));
    }
    for (session, events, question) in &mut open {
        let declined = elicitation_reply(question, &json!({"action": "decline"}));
        session.post(&declined).await;
        events.next_message().await;
    }
    open.len()
}
