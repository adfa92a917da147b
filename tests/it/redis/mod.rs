//! Two processes with one Redis, behind a proxy that alternates between them, behave like one.
//!
//! Requires `redis-server` in the PATH; each test starts its own.

mod confirmation;
mod elicitation;
mod environment;
mod outage;
mod session;
mod sessions;

use environment::{AWAY, BACK, RedisServer, STALE, TOOL, Team, VERSION, free_port, server};
use session::{Answers, Session, call, deletion, queued, refused, soon, tick};
