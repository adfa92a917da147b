//! The audit log: one entry per write, on disk before the request is sent, without personal data.

mod chain;
mod entries;
mod file;
mod process;
mod support;
