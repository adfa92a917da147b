//! Confirmations across several processes with a state key.

use posthog_sandbox::Sandbox;
use serde_json::json;

use super::confirmation::{
    DELETE, OTHER_STATE_KEY, STALE, STATE_KEY, TOOL, WAITING, again, answer, calling, deletion,
    nothing, queued, result, state, tick,
};
use super::{
    Caller, Conversation, Events, JOHN, MARY, Process, Setup, Team, beside, binary_at, refused,
    team, team_with,
};
use crate::wire::request;

pub(super) fn with(state_key: Option<&'static str>) -> Setup {
    Setup {
        state_key,
        ..Setup::default()
    }
}

/// Two servers on one sandbox, with these state keys.
async fn two(keys: [Option<&'static str>; 2]) -> (Team, Team) {
    let one = team_with(with(keys[0])).await;
    let sandbox: Sandbox = one.sandbox.clone();
    let other = beside(sandbox, with(keys[1])).await;
    (one, other)
}

#[tokio::test]
async fn replicas_with_one_state_key_accept_each_others_state_once() {
    let (one, other) = two([Some(STATE_KEY); 2]).await;
    let at_one = one.caller(MARY).with_a_human();
    let at_other = other.caller(MARY).with_a_human();
    let asked = state(&at_one).await;
    queued(&again(&at_other, &asked, &tick()).await);
    assert_eq!(one.sent(), [DELETE]);
    refused(&again(&at_other, &asked, &tick()).await, STALE);
    assert_eq!(one.sent(), nothing());
}

#[tokio::test]
async fn state_key_does_not_bridge_credentials() {
    let (one, other) = two([Some(STATE_KEY); 2]).await;
    let asked = state(&one.caller(MARY).with_a_human()).await;
    let john = other.caller(JOHN).with_a_human();
    refused(&again(&john, &asked, &tick()).await, STALE);
    assert_eq!(one.sent(), nothing());
}

#[tokio::test]
async fn state_of_another_state_key_is_rejected() {
    for keys in [
        [Some(STATE_KEY), Some(OTHER_STATE_KEY)],
        [Some(STATE_KEY), None],
        [None, None],
    ] {
        let (one, other) = two(keys).await;
        let at_one = one.caller(MARY).with_a_human();
        let at_other = other.caller(MARY).with_a_human();
        let asked = state(&at_one).await;
        refused(&again(&at_other, &asked, &tick()).await, STALE);
        assert_eq!(one.sent(), nothing(), "{keys:?}");
        queued(&again(&at_one, &asked, &tick()).await);
        assert_eq!(one.sent(), [DELETE], "{keys:?}");
    }
}

/// The state key from its variable, in two processes.
#[tokio::test]
async fn state_key_is_read_from_its_variable() {
    let team = team().await;
    let mut processes = Vec::new();
    for key in [STATE_KEY, STATE_KEY, OTHER_STATE_KEY] {
        let mut command = binary_at(&team.sandbox.url(), &[]);
        command.env("POSTHOG_MCP_STATE_KEY", key);
        processes.push(Process::start(command).await);
    }
    let callers = processes.iter();
    let callers: Vec<Caller> = callers
        .map(|process| process.caller(MARY).with_a_human())
        .collect();
    let asked = state(&callers[0]).await;
    refused(&again(&callers[2], &asked, &tick()).await, STALE);
    assert_eq!(team.sent(), nothing());
    queued(&again(&callers[1], &asked, &tick()).await);
    assert_eq!(team.sent(), [DELETE]);
    for process in processes {
        let log = process.stop().await;
        assert!(!log.contains(STATE_KEY), "{log}");
    }
}

/// A state of a stateless call does not confirm in a session, and the other way around.
#[tokio::test]
async fn state_does_not_confirm_an_elicitation_of_a_session() {
    let team = team().await;
    let mary = team.caller(MARY).with_a_human();
    let asked_without = state(&mary).await;
    let mut session = Conversation::begin(&mary, WAITING[1]).await;
    let mut params = calling(TOOL, &deletion());
    params["requestState"] = asked_without;
    params["inputResponses"] = json!({"confirm": tick()});
    let message = request(WAITING[1], 1, "tools/call", params);
    let mut events = Events::of(session.post(&message).await);
    let question = events.message().await;
    assert_eq!(question["method"], "elicitation/create", "{question}");
    session.last_id = 1;
    session
        .post(&answer(&question, &json!({"action": "decline"})))
        .await;
    refused(&result(1, events).await, "Nothing was sent: ");
    assert_eq!(team.sent(), nothing());
}
