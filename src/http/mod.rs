//! One server for a team, over HTTP.

mod admission;
mod app;
mod body;
mod client_stream;
mod connections;
mod credentials;
mod downloads;
mod host_policy;
mod key_registry;
mod legacy_sse;
mod limits;
mod message_kind;
mod metrics;
mod readiness;
mod sessions;
mod streams;

pub use app::{HttpOptions, serve};
pub use credentials::{AuthMode, Credentials};
pub use host_policy::HostPolicy;
pub use key_registry::KeyRegistry;
pub use limits::HttpLimits;
pub use metrics::Metrics;
