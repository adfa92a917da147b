//! The confirmation that a deletion requires, in every version of the protocol.
//!
//! | the client | how the user confirms |
//! |---|---|
//! | declares elicitation, 2026-07-28 | an input-required result; the client repeats the call with the reply and the sealed state |
//! | declares elicitation, before that | an elicitation while the call waits |
//! | does not | over stdio, on the approval page, for whose answer a second call waits; elsewhere the call is rejected |
//! | any, with `--confirm token` | a second call with a confirmation token |
//!
//! A confirmation is bound to the tool, the arguments, the project, the caller and the facts of the preview as PostHog sent
//! them; it is valid for five minutes and usable once. A call that it does not match does not use it: it is redeemed
//! last, directly before the request. State and tokens come back from the client and are not trusted until the seal is verified. All that
//! elicitation can prove is that the client reports that the user agreed.
//!
//! Invariant: knows the protocol, and no tool.

mod approval_page;
mod confirmer;
mod elicitation;
mod open_questions;
mod seal;

pub use confirmer::{ConfirmationMethod, ConfirmationRequest, Confirmer, Decision, Grant};
pub use seal::CHANGED;
