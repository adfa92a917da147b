//! Two processes with one Redis, behind a proxy that alternates between them, behave like one.
//!
//! Requires `redis-server` in the PATH; each test starts its own.

mod confirmation;
mod elicitation;
mod environment;
mod outage;
mod session;
mod sessions;

use environment::{
    RECONNECT_TIMEOUT, RedisServer, STALE, TOOL, Team, UNAVAILABLE, VERSION, free_port, server,
};
use session::{
    EventStream, Session, assert_queued, assert_rejected, call, confirming_reply, deletion,
    poll_until,
};
