//! Erasure, verified to the end: the states of persons, the report, and a server that is killed.

#[cfg(unix)]
mod killed;
mod report;
mod status;
mod support;
