//! The evals: tasks that a user sets an assistant, and how it is told whether they were done well.
//!
//! Shared by `tests/it/evals.rs`, which plays every task's script, and `examples/eval.rs`, which lets an assistant do it.
//! Both leave the same evidence, and both are scored by the same code: what went over the wire between client and server
//! ([`transcript`]), what arrived at the sandbox and what the sandbox holds afterwards ([`score`]).

#![allow(dead_code, reason = "each of the two uses a part of its own")]
#![allow(
    clippy::indexing_slicing,
    reason = "JSON is read by names, and what is not there is null"
)]

pub mod play;
pub mod sandbox;
pub mod score;
pub mod suite;
pub mod transcript;
