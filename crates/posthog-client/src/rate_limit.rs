//! PostHog's rate limits for a key, enforced before sending, and a concurrency limit for each key.
//!
//! PostHog counts requests in a sliding window, and so does this module: a token bucket would allow more. A request over the
//! limit waits if the wait is short, and is rejected with the wait otherwise. PostHog Cloud always enforces its limits; a
//! self-hosted PostHog only if configured, which is assumed from its first 429. The concurrency limit is per key, so that
//! slow requests of one key do not delay those of another.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Longer waits are rejected.
const MAX_WAIT: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Concurrent requests of one key.
const MAX_CONCURRENCY: usize = 8;
/// Concurrent queries of one key. PostHog allows three in a project, for all keys together.
const MAX_QUERIES: usize = 2;
/// How long a query waits for those before it, which may take as long as a query may.
const QUERY_QUEUE_TIMEOUT: Duration = Duration::from_secs(100);
/// How long a request waits for a slot.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);
/// Keys that are tracked; beyond, the least recently used is dropped.
const MAX_KEYS: usize = 1000;

/// What PostHog counts separately for personal API keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quota {
    /// Deletions.
    Delete,
    /// Queries: `POST query/`.
    Query,
    /// Everything else.
    Other,
}

/// The rate limiters of all keys at one host.
pub(crate) struct RateLimiters {
    /// Whether the host enforces its limits.
    counts: AtomicBool,
    keys: Mutex<HashMap<[u8; 32], Arc<RateLimiter>>>,
    unverified: Arc<RateLimiter>,
}

impl RateLimiters {
    pub(crate) fn new(counts: bool) -> Self {
        Self {
            counts: AtomicBool::new(counts),
            keys: Mutex::default(),
            unverified: Arc::new(RateLimiter {
                concurrency: Semaphore::new(MAX_CONCURRENCY),
                query_concurrency: Semaphore::new(MAX_CONCURRENCY),
                queries: Window::new(&[]),
                deletes: None,
                others: Window::new(&[]),
            }),
        }
    }

    /// The one rate limiter of all keys that PostHog has not accepted yet: made-up keys must not displace others. PostHog
    /// counts requests per key, so this limits concurrency only.
    pub(crate) fn unverified(&self) -> Arc<RateLimiter> {
        Arc::clone(&self.unverified)
    }

    /// The rate limiter of a key. Only the key's digest is stored.
    pub(crate) fn of(&self, key: &str) -> Arc<RateLimiter> {
        let digest = Sha256::digest(key.as_bytes()).into();
        let mut keys = lock(&self.keys);
        if keys.len() >= MAX_KEYS && !keys.contains_key(&digest) {
            let oldest = keys
                .iter()
                .min_by_key(|(_, rate_limiter)| rate_limiter.used());
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                keys.remove(&oldest);
            }
        }
        let rate_limiter = keys
            .entry(digest)
            .or_insert_with(|| Arc::new(RateLimiter::of(key)));
        Arc::clone(rate_limiter)
    }

    /// Reserves a request: the wait before it may be sent, or an error with the wait that is too long.
    pub(crate) fn take(
        &self,
        rate_limiter: &RateLimiter,
        kind: Quota,
    ) -> Result<Duration, Duration> {
        let counts = self.counts.load(Ordering::Relaxed);
        rate_limiter.take(kind, counts, Instant::now())
    }

    /// Enforces the limits from now on.
    pub(crate) fn enforce(&self) {
        self.counts.store(true, Ordering::Relaxed);
    }
}

/// The rate limiter of one key.
pub(crate) struct RateLimiter {
    concurrency: Semaphore,
    query_concurrency: Semaphore,
    queries: Mutex<Window>,
    deletes: Option<Mutex<Window>>,
    others: Mutex<Window>,
}

impl RateLimiter {
    /// A personal API key has two limits, an OAuth token one for everything.
    fn of(key: &str) -> Self {
        // Projects with older limits have 120 queries in HogQL per hour, of which only PostHog knows.
        let queries = Window::new(&[(240, MINUTE), (2400, HOUR)]);
        let query_concurrency = Semaphore::new(MAX_QUERIES);
        if key.starts_with("pha_") {
            return Self {
                concurrency: Semaphore::new(MAX_CONCURRENCY),
                query_concurrency,
                queries,
                deletes: None,
                others: Window::new(&[(180, MINUTE), (1200, HOUR)]),
            };
        }
        Self {
            concurrency: Semaphore::new(MAX_CONCURRENCY),
            query_concurrency,
            queries,
            deletes: Some(Window::new(&[(480, MINUTE), (4800, HOUR)])),
            others: Window::new(&[(240, MINUTE)]),
        }
    }

    /// A slot, if one is free.
    pub(crate) fn try_acquire_slot(&self) -> Option<SemaphorePermit<'_>> {
        self.concurrency.try_acquire().ok()
    }

    /// Waits for a slot; `None` after [`QUEUE_TIMEOUT`].
    pub(crate) async fn acquire_slot(&self) -> Option<SemaphorePermit<'_>> {
        let slot = timeout(QUEUE_TIMEOUT, self.concurrency.acquire()).await;
        slot.ok()?.ok()
    }

    /// A slot for a query, if one is free.
    pub(crate) fn try_acquire_query_slot(&self) -> Option<SemaphorePermit<'_>> {
        self.query_concurrency.try_acquire().ok()
    }

    /// Waits for a slot for a query; `None` after [`QUERY_QUEUE_TIMEOUT`].
    pub(crate) async fn acquire_query_slot(&self) -> Option<SemaphorePermit<'_>> {
        let slot = timeout(QUERY_QUEUE_TIMEOUT, self.query_concurrency.acquire()).await;
        slot.ok()?.ok()
    }

    fn window(&self, kind: Quota) -> &Mutex<Window> {
        match (kind, &self.deletes) {
            (Quota::Delete, Some(deletes)) => deletes,
            (Quota::Query, _) => &self.queries,
            _ => &self.others,
        }
    }

    fn take(&self, kind: Quota, counts: bool, now: Instant) -> Result<Duration, Duration> {
        lock(self.window(kind)).take(counts, now)
    }

    fn used(&self) -> Option<Instant> {
        lock(&self.others).taken.back().copied()
    }
}

/// Locks a mutex whose data is valid after every panic: counts of requests.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When requests were sent, or may be sent.
struct Window {
    limits: Vec<(usize, Duration)>,
    taken: VecDeque<Instant>,
}

impl Window {
    fn new(limits: &[(usize, Duration)]) -> Mutex<Self> {
        Mutex::new(Self {
            limits: limits.to_vec(),
            taken: VecDeque::new(),
        })
    }

    fn take(&mut self, counts: bool, now: Instant) -> Result<Duration, Duration> {
        if self.limits.is_empty() {
            return Ok(Duration::ZERO);
        }
        let longest = self.limits.iter().map(|(_, window)| *window).max();
        while let (Some(first), Some(longest)) = (self.taken.front(), longest)
            && *first + longest <= now
        {
            self.taken.pop_front();
        }
        let mut allowed = now;
        if counts {
            for (max, window) in &self.limits {
                let before = self.taken.len().checked_sub(*max);
                if let Some(taken) = before.and_then(|index| self.taken.get(index)) {
                    allowed = allowed.max(*taken + *window);
                }
            }
        }
        let wait = allowed - now;
        if wait > MAX_WAIT {
            return Err(wait);
        }
        let max = self.limits.iter().map(|(max, _)| *max).max();
        if max.is_some_and(|max| self.taken.len() >= max) {
            self.taken.pop_front();
        }
        self.taken.push_back(allowed);
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minute_window_rejects_with_the_wait_when_full() {
        let rate_limiter = RateLimiter::of("phx_1");
        let start = Instant::now();
        for _ in 0..240 {
            assert_eq!(
                rate_limiter.take(Quota::Other, true, start),
                Ok(Duration::ZERO)
            );
        }
        assert_eq!(rate_limiter.take(Quota::Other, true, start), Err(MINUTE));
        // Deletions are counted separately.
        assert_eq!(
            rate_limiter.take(Quota::Delete, true, start),
            Ok(Duration::ZERO)
        );
        // Short waits are granted, one request after the other.
        let later = start + Duration::from_secs(57);
        assert_eq!(
            rate_limiter.take(Quota::Other, true, later),
            Ok(Duration::from_secs(3))
        );
        let free = start + MINUTE;
        assert_eq!(
            rate_limiter.take(Quota::Other, true, free),
            Ok(Duration::ZERO)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn concurrency_is_limited_per_key() {
        let rate_limiters = RateLimiters::new(true);
        let (one, other) = (rate_limiters.of("phx_1"), rate_limiters.of("phx_2"));
        let mut running: Vec<_> = (0..MAX_CONCURRENCY)
            .map(|_| one.try_acquire_slot().unwrap())
            .collect();
        assert!(one.try_acquire_slot().is_none());
        assert!(one.acquire_slot().await.is_none());
        assert!(other.try_acquire_slot().is_some());
        running.pop();
        assert!(one.acquire_slot().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn two_queries_run_and_further_ones_wait() {
        let rate_limiters = RateLimiters::new(true);
        let rate_limiter = rate_limiters.of("phx_1");
        let mut running: Vec<_> = (0..MAX_QUERIES)
            .map(|_| rate_limiter.try_acquire_query_slot().unwrap())
            .collect();
        assert!(rate_limiter.try_acquire_query_slot().is_none());
        assert!(rate_limiter.acquire_query_slot().await.is_none());
        // Other requests go on.
        assert!(rate_limiter.try_acquire_slot().is_some());
        running.pop();
        assert!(rate_limiter.acquire_query_slot().await.is_some());
    }

    #[test]
    fn queries_have_limits_of_their_own() {
        let rate_limiter = RateLimiter::of("phx_1");
        let mut now = Instant::now();
        for minute in 0..10 {
            for _ in 0..240 {
                let taken = rate_limiter.take(Quota::Query, true, now);
                assert_eq!(taken, Ok(Duration::ZERO), "{minute}");
            }
            assert!(rate_limiter.take(Quota::Query, true, now).is_err());
            assert!(rate_limiter.take(Quota::Other, true, now).is_ok());
            now += MINUTE;
        }
        let rest_of_hour = HOUR - MINUTE * 10;
        assert_eq!(
            rate_limiter.take(Quota::Query, true, now),
            Err(rest_of_hour)
        );
    }

    #[test]
    fn no_sliding_minute_exceeds_the_limit() {
        let rate_limiter = RateLimiter::of("pha_1");
        let start = Instant::now();
        let mut sent = Vec::new();
        for step in 0..2000_u64 {
            let now = start + Duration::from_millis(step * 97);
            if let Ok(wait) = rate_limiter.take(Quota::Delete, true, now) {
                sent.push(now + wait);
            }
        }
        assert!(sent.len() > 500);
        for (index, first) in sent.iter().enumerate() {
            let within = sent.iter().skip(index).filter(|at| **at < *first + MINUTE);
            assert!(within.count() <= 180);
        }
    }

    #[test]
    fn limits_apply_to_self_hosted_posthog_only_after_its_first_429() {
        let rate_limiters = RateLimiters::new(false);
        let rate_limiter = rate_limiters.of("phx_1");
        for _ in 0..1000 {
            assert_eq!(
                rate_limiters.take(&rate_limiter, Quota::Other),
                Ok(Duration::ZERO)
            );
        }
        rate_limiters.enforce();
        assert!(rate_limiters.take(&rate_limiter, Quota::Other).is_err());
        let another = rate_limiters.of("phx_2");
        assert_eq!(
            rate_limiters.take(&another, Quota::Other),
            Ok(Duration::ZERO)
        );
    }

    #[test]
    fn least_recently_used_key_is_dropped() {
        let rate_limiters = RateLimiters::new(true);
        for number in 0..MAX_KEYS + 10 {
            let rate_limiter = rate_limiters.of(&number.to_string());
            assert!(rate_limiters.take(&rate_limiter, Quota::Other).is_ok());
        }
        assert_eq!(rate_limiters.keys.lock().unwrap().len(), MAX_KEYS);
    }
}
