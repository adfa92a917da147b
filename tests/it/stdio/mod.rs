//! The binary as a process: arguments, streams, exit.

mod commands;
mod protocol;
mod refused_settings;
mod settings;
mod support;

pub(crate) use support::{connected, sandbox, sandbox_process};
