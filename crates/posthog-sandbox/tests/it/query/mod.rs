//! The query API.

mod actors;
mod envelope;
mod eras;
mod hogql;
mod insights;
mod robustness;
mod sending;
