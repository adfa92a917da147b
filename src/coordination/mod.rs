//! State that must be one thing though there may be several processes.
//!
//! Open confirmations, the project of a key, and request counts; nothing else is shared: a session belongs to the process
//! that opened it.
//!
//! One process keeps it in memory; several share it through Redis. All of it is bounded and expires, and what is absent is
//! refused, so that losing Redis or its data never grants anything. Invariants: no module outside this one knows whether
//! there is a Redis, and no API key and no personal data is stored.

mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(not(feature = "redis"))]
#[path = "without_redis.rs"]
mod redis;
mod store;

pub use store::{ConnectError, Store, Unavailable};
