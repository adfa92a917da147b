//! The binary as a process of its own: its arguments, its streams, its end.

mod commands;
mod protocol;
mod settings;
mod support;

pub(crate) use support::{connected, sandbox, sandbox_process};
