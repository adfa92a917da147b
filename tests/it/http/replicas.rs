//! Confirmations across several processes with a state key.

use posthog_sandbox::Sandbox;
use serde_json::json;

use super::confirmation::{
    DELETE, OTHER_STATE_KEY, STALE, STATE_KEY, TOOL, WAITING, calling, confirming_reply, deletion,
    elicitation_reply, no_requests, queued, repeat, result, state,
};
use super::{
    Caller, EventStream, JOHN, MARY, McpClient, Process, Setup, Team, assert_rejected, binary_at,
    team, team_on, team_with,
};
use crate::wire::request;

pub(super) fn with(state_key: Option<&'static str>) -> Setup {
    Setup {
        state_key,
        ..Setup::default()
    }
}

/// Two servers on one sandbox, with these state keys.
async fn two_replicas(keys: [Option<&'static str>; 2]) -> (Team, Team) {
    let one = team_with(with(keys[0])).await;
    let sandbox: Sandbox = one.sandbox.clone();
    let other = team_on(sandbox, with(keys[1])).await;
    (one, other)
}

#[tokio::test]
async fn replicas_with_one_state_key_accept_each_others_state_once() {
    let (one, other) = two_replicas([Some(STATE_KEY); 2]).await;
    let at_one = one.caller(MARY).with_elicitation();
    let at_other = other.caller(MARY).with_elicitation();
    let requested = state(&at_one).await;
    queued(&repeat(&at_other, &requested, &confirming_reply()).await);
    assert_eq!(one.writes(), [DELETE]);
    assert_rejected(
        &repeat(&at_other, &requested, &confirming_reply()).await,
        STALE,
    );
    assert_eq!(one.writes(), no_requests());
}

#[tokio::test]
async fn state_key_does_not_bridge_credentials() {
    let (one, other) = two_replicas([Some(STATE_KEY); 2]).await;
    let requested = state(&one.caller(MARY).with_elicitation()).await;
    let john = other.caller(JOHN).with_elicitation();
    assert_rejected(&repeat(&john, &requested, &confirming_reply()).await, STALE);
    assert_eq!(one.writes(), no_requests());
}

#[tokio::test]
async fn state_of_another_state_key_is_rejected() {
    for keys in [
        [Some(STATE_KEY), Some(OTHER_STATE_KEY)],
        [Some(STATE_KEY), None],
        [None, None],
    ] {
        let (one, other) = two_replicas(keys).await;
        let at_one = one.caller(MARY).with_elicitation();
        let at_other = other.caller(MARY).with_elicitation();
        let requested = state(&at_one).await;
        assert_rejected(
            &repeat(&at_other, &requested, &confirming_reply()).await,
            STALE,
        );
        assert_eq!(one.writes(), no_requests(), "{keys:?}");
        queued(&repeat(&at_one, &requested, &confirming_reply()).await);
        assert_eq!(one.writes(), [DELETE], "{keys:?}");
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
        .map(|process| process.caller(MARY).with_elicitation())
        .collect();
    let requested = state(&callers[0]).await;
    assert_rejected(
        &repeat(&callers[2], &requested, &confirming_reply()).await,
        STALE,
    );
    assert_eq!(team.writes(), no_requests());
    queued(&repeat(&callers[1], &requested, &confirming_reply()).await);
    assert_eq!(team.writes(), [DELETE]);
    for process in processes {
        let log = process.stop().await;
        assert!(!log.contains(STATE_KEY), "{log}");
    }
}

/// A state of a stateless call does not confirm in a session, and the other way around.
#[tokio::test]
async fn state_does_not_confirm_an_elicitation_of_a_session() {
    let team = team().await;
    let mary = team.caller(MARY).with_elicitation();
    let asked_without = state(&mary).await;
    let mut session = McpClient::begin(&mary, WAITING[1]).await;
    let mut params = calling(TOOL, &deletion());
    params["requestState"] = asked_without;
    params["inputResponses"] = json!({"confirm": confirming_reply()});
    let message = request(WAITING[1], 1, "tools/call", params);
    let mut events = EventStream::of(session.post(&message).await);
    let question = events.next_message().await;
    assert_eq!(question["method"], "elicitation/create", "{question}");
    session.last_id = 1;
    session
        .post(&elicitation_reply(&question, &json!({"action": "decline"})))
        .await;
    assert_rejected(&result(1, events).await, "Nothing was sent: ");
    assert_eq!(team.writes(), no_requests());
}
