//! `doctor`: diagnoses configuration and connectivity.
//!
//! Runs the checks in the order in which a start fails: settings, connection, API key, project, scopes. Invariants: only
//! reads; sends the key to the configured host and, if that is a PostHog Cloud region, to the other region, nowhere else;
//! prints nothing of the key but its kind.

mod checks;
mod examine;
mod findings;
mod report;
mod version;

pub use examine::Doctor;
pub(super) use examine::run;
pub use report::{Check, Project, Report, Scopes, Status, Tool, ToolStatus};
