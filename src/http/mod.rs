//! One server for a team, over HTTP.

mod app;
mod connections;
mod credentials;
mod host_policy;
mod legacy_sse;
mod limits;
mod message_kind;
mod metrics;
mod sessions;

pub use app::{HttpOptions, serve};
pub use credentials::{AuthMode, Credentials, ProjectCache};
pub use host_policy::HostPolicy;
pub use limits::HttpLimits;
pub use metrics::Metrics;
