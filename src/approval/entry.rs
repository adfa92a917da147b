//! One question on a page, from its opening to its outcome.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::question::Question;

/// A question that is served under an address of its own.
pub(super) struct Entry {
    /// The last part of the address.
    pub(super) path: String,
    /// Names it to the assistant's side.
    pub(super) nonce: Uuid,
    pub(super) principal: String,
    pub(super) question: Question,
    /// In the form of the page: another site does not know it.
    pub(super) form_token: String,
    /// When it can no longer be answered, for the reader.
    pub(super) until: DateTime<Utc>,
    end: Instant,
    state: watch::Sender<State>,
    /// The calls that wait for the answer, or that go on with it.
    calls: watch::Sender<usize>,
    /// When the state last changed.
    changed: watch::Sender<Instant>,
}

/// A call that waits for the answer to a question, or that goes on with it, until it is dropped.
pub struct PendingCall(Arc<Entry>);

impl PendingCall {
    pub(super) fn begin(entry: Arc<Entry>) -> Self {
        entry.calls.send_modify(|calls| *calls += 1);
        Self(entry)
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        self.0
            .calls
            .send_modify(|calls| *calls = calls.saturating_sub(1));
    }
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody has answered.
    Open,
    /// Approved, and not sent yet.
    Approved,
    /// The facts are no longer those of the page.
    Changed,
    /// Approved, and being sent.
    Sending,
    /// Sent; a sentence says what became of it.
    Finished(&'static str),
    /// Declined.
    Declined,
    /// Too old.
    Expired,
}

/// The answer to a question, as far as there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Approved, and not used.
    Approved,
    /// Declined.
    Declined,
    /// None yet.
    Pending,
    /// The facts are no longer those of the page.
    Changed,
    /// Too old.
    Expired,
    /// Approved and used, or unknown.
    Gone,
}

impl State {
    /// Whether time runs out for it.
    fn expires(self) -> bool {
        matches!(self, Self::Open | Self::Approved)
    }

    /// Whether nothing more happens by itself.
    pub(super) fn is_final(self) -> bool {
        !matches!(self, Self::Open | Self::Approved | Self::Sending)
    }
}

impl Entry {
    pub(super) fn new(nonce: Uuid, principal: &str, question: &Question, ttl: Duration) -> Self {
        let now = Instant::now();
        Self {
            path: secret(),
            nonce,
            principal: principal.to_owned(),
            question: question.clone(),
            form_token: secret(),
            until: Utc::now() + ttl,
            end: now + ttl,
            state: watch::Sender::new(State::Open),
            calls: watch::Sender::new(0),
            changed: watch::Sender::new(now),
        }
    }

    pub(super) fn state(&self) -> State {
        let state = *self.state.borrow();
        if state.expires() && Instant::now() >= self.end {
            State::Expired
        } else {
            state
        }
    }

    pub(super) fn answer(&self) -> Answer {
        match self.state() {
            State::Open => Answer::Pending,
            State::Approved => Answer::Approved,
            State::Changed => Answer::Changed,
            State::Declined => Answer::Declined,
            State::Expired => Answer::Expired,
            State::Sending | State::Finished(_) => Answer::Gone,
        }
    }

    /// Goes on to another state, if the present one allows it; whether it did.
    pub(super) fn set(&self, next: State, from: impl Fn(State) -> bool) -> bool {
        let expired = self.state() == State::Expired;
        self.state.send_if_modified(|state| {
            let goes_on = !expired && from(*state);
            if goes_on {
                *state = next;
                self.changed.send_replace(Instant::now());
            }
            goes_on
        })
    }

    /// Waits until the state is another than this one, or can no longer be answered.
    pub(super) async fn changed_from(&self, state: State) {
        let mut states = self.state.subscribe();
        tokio::select! {
            _ = states.wait_for(|now| *now != state) => {}
            () = tokio::time::sleep_until(self.end), if state.expires() => {}
        }
    }

    /// Waits until nothing more happens by itself, or no call is there to go on.
    pub(super) async fn settled(&self) {
        let mut calls = self.calls.subscribe();
        loop {
            let state = self.state();
            if state == State::Open || state.is_final() {
                return;
            }
            tokio::select! {
                () = self.changed_from(state) => {}
                _ = calls.wait_for(|calls| *calls == 0) => return,
            }
        }
    }

    /// Whether the form was made by this page.
    pub(super) fn is_form_token(&self, given: &str) -> bool {
        self.form_token.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Until when the page is served: a reader sees the outcome for a while.
    pub(super) fn served_until(&self, linger: Duration) -> Instant {
        let state = *self.state.borrow();
        let settled = match state {
            State::Open | State::Approved => self.end,
            State::Sending => Instant::now(),
            _ => *self.changed.borrow(),
        };
        settled + linger
    }
}

/// 128 random bits.
fn secret() -> String {
    format!("{:032x}", rand::random::<u128>())
}
