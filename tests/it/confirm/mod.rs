//! The confirmation that a deletion requires: who is asked, what it is bound to, and that nothing is sent without one.

mod binding;
mod elicitation;
mod mode;
mod raw_client;
mod state;
mod support;
mod token;
