//! The audit log: one entry per write, on disk before the request is sent, and on request one per read; without personal data.

mod chain;
mod entries;
mod file;
mod process;
mod reads;
mod support;

pub(crate) use support::Log;
