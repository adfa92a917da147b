//! `doctor`: why it does not work, or that it does.
//!
//! Looks where the server would look, in the order in which things fail: the settings, the way to PostHog, the key, the
//! project, the scopes. Only reads, sends a key nowhere but to the host that is set and, where that is one of PostHog's
//! own clouds, to the other one; and says nothing of the key but its kind.

mod checks;
mod examine;
mod findings;
mod report;

pub use examine::Doctor;
pub(super) use examine::run;
pub use report::{Check, Project, Report, Scopes, Status, Tool, ToolStatus};
