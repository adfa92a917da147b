//! The approval page: a person reviews a question in a browser on this machine, and answers it there.
//!
//! For clients that cannot ask. The assistant receives the address of the page and passes it on. A listener on this machine
//! serves the page while someone may still answer it or read its outcome, and is closed otherwise.
//!
//! What an answer proves: someone or something that knows the address pressed the button. The address is unguessable, but
//! the assistant knows it, so a program on this machine that acts for the assistant could press it too.
//!
//! Invariant: knows questions, and no tools, no protocol and no settings. What strangers wrote is escaped by the template
//! engine, without exception.

mod approvals;
mod browser;
mod entry;
mod listener;
mod page;
mod routes;

pub use approvals::{ApprovalOptions, Approvals, OpenApproval};
pub use entry::{Answer, PendingCall};
