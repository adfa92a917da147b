//! The approval page, for clients without elicitation: no request is sent without the press of its button.

mod browser;
mod calls;
mod flow;
mod lifetime;
mod process;
mod requests;
