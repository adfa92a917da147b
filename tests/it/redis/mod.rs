//! Two processes with one Redis: what they share, and what becomes of it when Redis fails.
//!
//! Requires `redis-server`, `nginx` and `openssl` in the PATH; each test starts its own servers.

mod confirmation;
mod environment;
mod nginx;
mod outage;
mod projects;
mod session;
mod sessions;
mod start;

use environment::{
    Process, RECONNECT_TIMEOUT, RedisServer, STALE, STATE_KEY, TOOL, Team, UNAVAILABLE, VERSION,
    free_port, server, server_with_key,
};
use session::{
    EventStream, Session, assert_queued, assert_rejected, call, confirming_reply, deletion,
    poll_until,
};
