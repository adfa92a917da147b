//! State of one process.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::sync::lock;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Memory {
    /// Consumed nonces, until they have expired anyway.
    consumed: Mutex<HashMap<Uuid, Instant>>,
    counts: Mutex<RequestCounts>,
}

#[derive(Default)]
struct RequestCounts {
    minute: Option<Instant>,
    of: HashMap<String, u64>,
}

impl Memory {
    pub(super) fn consume_nonce(&self, nonce: Uuid, ttl: Duration) -> bool {
        let mut consumed = lock(&self.consumed);
        let now = Instant::now();
        consumed.retain(|_, until| *until > now);
        consumed.insert(nonce, now + ttl).is_none()
    }

    pub(super) fn count(&self, principal: &str) -> u64 {
        let mut counts = lock(&self.counts);
        if counts.minute.is_none_or(|began| began.elapsed() >= MINUTE) {
            counts.minute = Some(Instant::now());
            counts.of.clear();
        }
        let count = counts.of.entry(principal.to_owned()).or_default();
        *count += 1;
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_consumed_once() {
        let memory = Memory::default();
        let nonce = Uuid::new_v4();
        assert!(memory.consume_nonce(nonce, MINUTE));
        assert!(!memory.consume_nonce(nonce, MINUTE));
        assert!(memory.consume_nonce(Uuid::new_v4(), MINUTE));
    }

    #[test]
    fn requests_are_counted_per_caller() {
        let memory = Memory::default();
        assert_eq!(
            (memory.count("a"), memory.count("b"), memory.count("a")),
            (1, 1, 2)
        );
    }
}
