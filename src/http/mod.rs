//! The server over HTTP, for a team.

mod app;
mod connections;
mod credentials;
mod host_policy;
mod legacy_sse;
mod limits;
mod metrics;
mod sessions;

pub use app::{Options, serve};
pub use credentials::{AuthMode, Credentials, ProjectCache};
pub use host_policy::Guard;
pub use limits::Limits;
pub use metrics::Metrics;
