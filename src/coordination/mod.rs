//! State that must be one thing though there may be several processes: consumed confirmations, requests per credential,
//! sessions and the credentials that opened them.
//!
//! One process keeps it in memory; several share it through Redis. Without Redis, reads go on and everything that a
//! deletion rests on fails closed. Invariant: no module outside this one knows whether there is a Redis.

mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(not(feature = "redis"))]
#[path = "without_redis.rs"]
mod redis;
mod store;

pub use store::{ConnectError, ElicitationLock, RelayedMessage, SESSION_IDLE, Store, Unavailable};
