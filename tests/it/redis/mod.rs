//! Two processes with one Redis, behind a proxy that alternates between them: no client notices.
//!
//! Needs `redis-server` in the PATH, which the tests start by themselves, each its own.

mod confirmation;
mod elicitation;
mod environment;
mod outage;
mod session;
mod sessions;

use environment::{AWAY, BACK, RedisServer, STALE, TOOL, Team, VERSION, free_port, server};
use session::{Answers, Session, call, deletion, queued, refused, soon, tick};
