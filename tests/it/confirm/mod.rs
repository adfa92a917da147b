//! The confirmation that a deletion requires: how it is requested, what it is bound to, and that no request is sent
//! without one.

mod binding;
mod elicitation;
mod facts;
mod mode;
mod page;
mod question;
mod raw_client;
mod state;
mod support;
mod token;
