//! Evals: tasks that a user gives an assistant, and how they are scored.
//!
//! `tests/it/evals.rs` runs the script of every task ([`play`]); `examples/eval.rs` gives a task to a model ([`model`]) or runs it
//! with any assistant. All are scored by the same code, from the recorded protocol messages ([`transcript`]), the requests that
//! the sandbox received and its state afterwards ([`score`]).

#![allow(dead_code, reason = "each includer uses only a part")]
#![allow(
    clippy::indexing_slicing,
    reason = "indexing a missing JSON field yields null"
)]

pub mod model;
pub mod play;
pub mod sandbox;
pub mod score;
pub mod session;
pub mod suite;
pub mod transcript;
