//! PostHog's own limits, kept on this side: so many requests of one key in a minute and in an hour; and one of our own:
//! so many at once.
//!
//! PostHog counts the requests of a window that slides, so this does too; a bucket that refills would let more through.
//! Whoever is over waits for a place if that is near, and is told how long otherwise. PostHog Cloud always counts; an
//! instance of one's own only where it is set up to, which its first 429 tells. Each key has its own share of what runs
//! at once: a key whose requests hang holds up nobody else's.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// A place that is nearer than this is waited for.
const MAX_WAIT: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Requests of one key that run at the same time.
const MAX_CONCURRENCY: usize = 8;
/// How long a request waits for those before it.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);
/// Keys that are remembered; those unused for the longest time are forgotten beyond.
const MAX_KEYS: usize = 1000;

/// What PostHog counts separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quota {
    /// Deletions with a personal key.
    Delete,
    /// Everything else.
    Other,
}

/// The counts of all keys at one host.
pub(crate) struct RateLimiters {
    /// Whether the host counts.
    counts: AtomicBool,
    keys: Mutex<HashMap<[u8; 32], Arc<RateLimiter>>>,
}

impl RateLimiters {
    pub(crate) fn new(counts: bool) -> Self {
        Self {
            counts: AtomicBool::new(counts),
            keys: Mutex::default(),
        }
    }

    /// The counts of one key. Only its digest is kept.
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

    /// Takes a place: how long to wait for it, or how long it would take to get one.
    pub(crate) fn take(
        &self,
        rate_limiter: &RateLimiter,
        kind: Quota,
    ) -> Result<Duration, Duration> {
        let counts = self.counts.load(Ordering::Relaxed);
        rate_limiter.take(kind, counts, Instant::now())
    }

    /// Hears that the host counts.
    pub(crate) fn enforce(&self) {
        self.counts.store(true, Ordering::Relaxed);
    }
}

/// The counts of one key.
pub(crate) struct RateLimiter {
    concurrency: Semaphore,
    deletes: Option<Mutex<Window>>,
    others: Mutex<Window>,
}

impl RateLimiter {
    /// A personal key has two counts; a token of OAuth has one for everything.
    fn of(key: &str) -> Self {
        if key.starts_with("pha_") {
            return Self {
                concurrency: Semaphore::new(MAX_CONCURRENCY),
                deletes: None,
                others: Window::new(&[(180, MINUTE), (1200, HOUR)]),
            };
        }
        Self {
            concurrency: Semaphore::new(MAX_CONCURRENCY),
            deletes: Some(Window::new(&[(480, MINUTE), (4800, HOUR)])),
            others: Window::new(&[(240, MINUTE)]),
        }
    }

    /// A turn among the requests of this key that run at once, if there is one now.
    pub(crate) fn try_acquire_slot(&self) -> Option<SemaphorePermit<'_>> {
        self.concurrency.try_acquire().ok()
    }

    /// A turn after those who came before, or none where they take too long.
    pub(crate) async fn acquire_slot(&self) -> Option<SemaphorePermit<'_>> {
        let turn = timeout(QUEUE_TIMEOUT, self.concurrency.acquire()).await;
        turn.ok()?.ok()
    }

    fn window(&self, kind: Quota) -> &Mutex<Window> {
        match (kind, &self.deletes) {
            (Quota::Delete, Some(deletes)) => deletes,
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

/// When requests were sent, or will be: a place can lie ahead.
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
        let longest = self.limits.iter().map(|(_, window)| *window).max();
        while let (Some(first), Some(longest)) = (self.taken.front(), longest)
            && *first + longest <= now
        {
            self.taken.pop_front();
        }
        let mut place = now;
        if counts {
            for (most, window) in &self.limits {
                let before = self.taken.len().checked_sub(*most);
                if let Some(taken) = before.and_then(|index| self.taken.get(index)) {
                    place = place.max(*taken + *window);
                }
            }
        }
        let wait = place - now;
        if wait > MAX_WAIT {
            return Err(wait);
        }
        let most = self.limits.iter().map(|(most, _)| *most).max();
        if most.is_some_and(|most| self.taken.len() >= most) {
            self.taken.pop_front();
        }
        self.taken.push_back(place);
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_holds_so_many_and_the_next_place_is_told() {
        let rate_limiter = RateLimiter::of("phx_1");
        let start = Instant::now();
        for _ in 0..240 {
            assert_eq!(
                rate_limiter.take(Quota::Other, true, start),
                Ok(Duration::ZERO)
            );
        }
        assert_eq!(rate_limiter.take(Quota::Other, true, start), Err(MINUTE));
        // Deletions count by themselves.
        assert_eq!(
            rate_limiter.take(Quota::Delete, true, start),
            Ok(Duration::ZERO)
        );
        // Near places are reserved, one after the other.
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
    async fn so_many_of_a_key_run_at_once_and_the_next_waits_its_time() {
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

    #[test]
    fn no_window_of_a_minute_ever_holds_more() {
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
    fn who_does_not_count_is_not_limited_until_he_says_so() {
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
    fn no_more_keys_are_remembered_than_wanted() {
        let rate_limiters = RateLimiters::new(true);
        for number in 0..MAX_KEYS + 10 {
            let rate_limiter = rate_limiters.of(&number.to_string());
            assert!(rate_limiters.take(&rate_limiter, Quota::Other).is_ok());
        }
        assert_eq!(rate_limiters.keys.lock().unwrap().len(), MAX_KEYS);
    }
}
