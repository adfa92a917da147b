//! Confirmations across several processes without Redis: each redeems its own, whatever the state keys.

use posthog_sandbox::Sandbox;
use serde_json::json;

use super::confirmation::{
    DELETE, OTHER_STATE_KEY, STALE, STATE_KEY, TOOL, WAITING, calling, confirming_reply, deletion,
    elicitation_reply, no_requests, queued, repeat, result, state,
};
use super::{EventStream, MARY, McpClient, Setup, assert_rejected, team, team_on, team_with};
use crate::wire::request;

pub(super) fn with(state_key: Option<&'static str>) -> Setup {
    Setup {
        state_key,
        ..Setup::default()
    }
}

#[tokio::test]
async fn a_confirmation_is_accepted_only_by_the_process_that_asked() {
    for keys in [
        [Some(STATE_KEY), Some(STATE_KEY)],
        [Some(STATE_KEY), Some(OTHER_STATE_KEY)],
        [Some(STATE_KEY), None],
        [None, None],
    ] {
        let one = team_with(with(keys[0])).await;
        let sandbox: Sandbox = one.sandbox.clone();
        let other = team_on(sandbox, with(keys[1])).await;
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
