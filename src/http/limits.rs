//! Concurrency, rate and size limits, global and per credential. Excess requests are rejected immediately.
//!
//! All API keys that PostHog has not accepted yet count as one credential, with fewer places; their requests wait for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::coordination::Store;

/// The credential that all keys count as which PostHog has not accepted.
const UNVERIFIED: &str = "unverified";
/// How long a request with such a key waits for a place.
const UNVERIFIED_WAIT: Duration = Duration::from_secs(5);
/// Such requests that wait for a place, for each place.
const UNVERIFIED_QUEUE: usize = 8;
/// What one credential may use of all that bodies may take; the keys that are not accepted, half of that.
const BODY_SHARE: usize = 8;

/// Concurrency, rate, size and session limits.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Open sessions, and open streams.
    pub max_sessions: usize,
    /// Requests in flight.
    pub max_in_flight: usize,
    /// Requests in flight per credential.
    pub max_in_flight_per_credential: usize,
    /// Requests in flight with API keys that PostHog has not accepted yet.
    pub max_unverified: usize,
    /// Requests per credential and minute.
    pub max_requests_per_minute: u64,
    /// Bytes of all request bodies together.
    pub max_body_bytes: usize,
    /// Open connections; by default what the limit of open files leaves.
    pub max_connections: Option<usize>,
    /// How long a client may read nothing of a response.
    pub write_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_sessions: 1000,
            max_in_flight: 512,
            // Fewer than there are slots for tool calls: one credential must leave some.
            max_in_flight_per_credential: 32,
            max_unverified: 16,
            max_requests_per_minute: 6000,
            max_body_bytes: 64 * 1024 * 1024,
            max_connections: None,
            write_timeout: Duration::from_secs(60),
        }
    }
}

/// What a request is counted as. A reply must get through while the request that waits for it holds the last place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Its body is being read, so that it is not known yet what it is.
    Body,
    /// A request.
    Request,
    /// A request whose call waits for a human: it must not keep others out for minutes.
    Waiting,
    /// A response to the server or a notification.
    OneWay,
}

/// The requests in flight.
pub(super) struct InFlight {
    limits: HttpLimits,
    store: Store,
    state: watch::Sender<InFlightCounts>,
    unverified: Arc<Semaphore>,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct InFlightCounts {
    per_lane: HashMap<Lane, usize>,
    per_credential: HashMap<(Arc<str>, Lane), usize>,
    body_bytes: usize,
    body_bytes_per_credential: HashMap<Arc<str>, usize>,
    closed: bool,
}

impl InFlightCounts {
    fn of(&self, lane: Lane) -> usize {
        self.per_lane.get(&lane).copied().unwrap_or_default()
    }

    fn enter(&mut self, principal: &Arc<str>, lane: Lane) {
        *self.per_lane.entry(lane).or_default() += 1;
        let key = (Arc::clone(principal), lane);
        *self.per_credential.entry(key).or_default() += 1;
        self.report(lane);
    }

    fn leave(&mut self, principal: &Arc<str>, lane: Lane) {
        release(&mut self.per_lane, &lane, 1);
        release(&mut self.per_credential, &(Arc::clone(principal), lane), 1);
        self.report(lane);
    }

    fn report(&self, lane: Lane) {
        if lane == Lane::Request {
            metrics::gauge!("mcp_requests_in_flight").set(self.of(lane) as f64);
        }
    }
}

/// Why a request is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    ShuttingDown,
    Busy,
    CredentialBusy,
    UnverifiedBusy,
    RateLimited,
    Bodies,
    Streams,
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        const BUSY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        let (status, seconds, why) = match self {
            Self::ShuttingDown => (BUSY, "1", "The server is shutting down\n"),
            Self::Busy => (
                BUSY,
                "1",
                "Too many concurrent requests; try again in a second\n",
            ),
            Self::CredentialBusy => (
                StatusCode::TOO_MANY_REQUESTS,
                "1",
                "Too many concurrent requests for this credential; try again in a second\n",
            ),
            Self::UnverifiedBusy => (
                BUSY,
                "1",
                "Too many requests with API keys that PostHog has not confirmed yet; try again in a second\n",
            ),
            Self::RateLimited => (
                StatusCode::TOO_MANY_REQUESTS,
                "60",
                "Too many requests per minute for this credential; try again in a minute\n",
            ),
            Self::Bodies => (
                BUSY,
                "1",
                "Request bodies use too much memory; try again in a second\n",
            ),
            Self::Streams => (BUSY, "1", "Too many open streams; try again in a second\n"),
        };
        (status, [(header::RETRY_AFTER, seconds)], why).into_response()
    }
}

impl InFlight {
    pub(super) fn new(limits: HttpLimits, store: Store) -> Self {
        Self {
            limits,
            store,
            state: watch::Sender::new(InFlightCounts::default()),
            unverified: Arc::new(Semaphore::new(limits.max_unverified)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Admits no further request.
    pub(super) fn close(&self) {
        self.state.send_modify(|counts| counts.closed = true);
    }

    /// Waits until no request is in flight.
    pub(super) async fn idle(&self) {
        let mut state = self.state.subscribe();
        let _ = state
            .wait_for(|counts| {
                let lanes = [Lane::Request, Lane::Waiting, Lane::OneWay];
                lanes.iter().all(|lane| counts.of(*lane) == 0)
            })
            .await;
    }

    /// The credential that all keys count as which PostHog has not accepted.
    pub(super) fn unverified_principal() -> Arc<str> {
        UNVERIFIED.into()
    }

    /// Waits for one of the places of requests with keys that PostHog has not accepted.
    pub(super) async fn unverified_place(&self) -> Result<OwnedSemaphorePermit, Rejection> {
        let _waiting = Waiting::enter(&self.waiting);
        if self.waiting.load(Ordering::Relaxed) > self.limits.max_unverified * UNVERIFIED_QUEUE {
            return Err(Rejection::UnverifiedBusy);
        }
        let place = Arc::clone(&self.unverified).acquire_owned();
        match tokio::time::timeout(UNVERIFIED_WAIT, place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Rejection::UnverifiedBusy),
        }
    }

    /// Counts a request of any kind towards the limit per minute.
    pub(super) async fn count(&self, principal: &str) -> Result<(), Rejection> {
        let count = match principal {
            // Nothing of these keys is shared with other processes.
            UNVERIFIED => self.store.count_in_process(principal),
            _ => self.store.count(principal).await,
        };
        if count > self.limits.max_requests_per_minute {
            return Err(Rejection::RateLimited);
        }
        Ok(())
    }

    pub(super) fn admit(
        self: &Arc<Self>,
        principal: &Arc<str>,
        lane: Lane,
    ) -> Result<Permit, Rejection> {
        let mut admitted = Ok(());
        let key = (Arc::clone(principal), lane);
        self.state.send_modify(|counts| {
            let own = counts.per_credential.get(&key).copied().unwrap_or(0);
            admitted = if counts.closed && lane == Lane::Request {
                Err(Rejection::ShuttingDown)
            } else if counts.of(lane) >= self.limits.max_in_flight {
                Err(Rejection::Busy)
            } else if own >= self.limits.max_in_flight_per_credential {
                Err(Rejection::CredentialBusy)
            } else {
                counts.enter(principal, lane);
                Ok(())
            };
        });
        admitted.map(|()| Permit {
            in_flight: Arc::clone(self),
            key,
            waiting: AtomicBool::new(false),
        })
    }

    /// An empty reservation of memory for a body.
    pub(super) fn body_memory(self: &Arc<Self>, principal: &Arc<str>) -> BodyMemory {
        BodyMemory {
            in_flight: Arc::clone(self),
            principal: Arc::clone(principal),
            bytes: 0,
        }
    }
}

/// Counts a request that waits for a place.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place of a request in flight.
pub(super) struct Permit {
    in_flight: Arc<InFlight>,
    key: (Arc<str>, Lane),
    waiting: AtomicBool,
}

impl Permit {
    /// Counts a request apart while its call waits for a human. Afterwards it counts again, whatever the limits: it was
    /// admitted.
    pub(super) fn set_waiting(&self, waiting: bool) {
        let (principal, lane) = &self.key;
        if *lane != Lane::Request || self.waiting.swap(waiting, Ordering::Relaxed) == waiting {
            return;
        }
        let (from, to) = match waiting {
            true => (Lane::Request, Lane::Waiting),
            false => (Lane::Waiting, Lane::Request),
        };
        self.in_flight.state.send_modify(|counts| {
            counts.leave(principal, from);
            counts.enter(principal, to);
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (principal, lane) = &self.key;
        let lane = match self.waiting.load(Ordering::Relaxed) {
            true => Lane::Waiting,
            false => *lane,
        };
        let leave = |counts: &mut InFlightCounts| counts.leave(principal, lane);
        self.in_flight.state.send_modify(leave);
    }
}

/// The memory that a request body takes, reserved as it arrives.
pub(super) struct BodyMemory {
    in_flight: Arc<InFlight>,
    principal: Arc<str>,
    bytes: usize,
}

impl BodyMemory {
    /// Reserves memory for more bytes.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Rejection> {
        let max = self.in_flight.limits.max_body_bytes;
        let share = match &*self.principal {
            UNVERIFIED => max / BODY_SHARE / 2,
            _ => max / BODY_SHARE,
        };
        let mut fits = false;
        self.in_flight.state.send_modify(|counts| {
            let of_all = counts.body_bytes + bytes;
            let own = counts.body_bytes_per_credential.get(&self.principal);
            let own = own.copied().unwrap_or_default() + bytes;
            fits = of_all <= max && own <= share;
            if fits {
                counts.body_bytes = of_all;
                let principal = Arc::clone(&self.principal);
                counts.body_bytes_per_credential.insert(principal, own);
            }
        });
        if !fits {
            return Err(Rejection::Bodies);
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for BodyMemory {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        self.in_flight.state.send_modify(|counts| {
            counts.body_bytes = counts.body_bytes.saturating_sub(self.bytes);
            release(
                &mut counts.body_bytes_per_credential,
                &self.principal,
                self.bytes,
            );
        });
    }
}

fn release<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K, amount: usize) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(amount);
        if *count == 0 {
            counts.remove(key);
        }
    }
}
