//! Gives tasks to a model over an OpenAI- or Anthropic-compatible API, as a client would.

pub mod conversation;
pub mod endpoint;
pub mod report;
pub mod run;
