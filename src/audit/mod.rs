//! The audit log: JSON lines about each change or deletion that is sent, and about what was read, without values and API
//! keys.
//!
//! A line with the outcome `started` is on the disk before the request is sent, and a second one with the same `id` and the
//! outcome follows it: a write whose first line stays alone was interrupted. A read has one line, which is on the disk before
//! its result is shown. Nothing in the file is ever overwritten. Each line has the hash of the line before, so that `audit verify` finds what was changed, removed or reordered later. Several
//! processes can share a file.
//!
//! Invariant: knows no tool and no protocol.

mod chain;
mod log;
mod read;
mod verify;

pub use chain::ChainKey;
pub use log::{AuditLog, Line, Write};
pub use read::Read;
pub use verify::{Report, verify};
