//! State of one process.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::sync::lock;

const MINUTE: Duration = Duration::from_secs(60);
/// More open confirmations than this are not remembered; the oldest goes first.
const MAX_OPEN: usize = 1024;

#[derive(Default)]
pub(super) struct Memory {
    /// Confirmations that can be taken, with the end of their validity.
    open: Mutex<HashMap<Uuid, Instant>>,
    /// Confirmations that this process refuses though Redis may have them.
    refused: Mutex<HashMap<Uuid, Instant>>,
    counts: Mutex<RequestCounts>,
}

#[derive(Default)]
struct RequestCounts {
    minute: Option<Instant>,
    of: HashMap<String, u64>,
}

impl Memory {
    pub(super) fn open_confirmation(&self, nonce: Uuid, ttl: Duration) {
        let mut open = lock(&self.open);
        let now = Instant::now();
        open.retain(|_, until| *until > now);
        if open.len() >= MAX_OPEN
            && let Some(oldest) = open.iter().min_by_key(|(_, until)| **until)
        {
            let oldest = *oldest.0;
            open.remove(&oldest);
        }
        open.insert(nonce, now + ttl);
    }

    pub(super) fn take_confirmation(&self, nonce: Uuid) -> bool {
        let until = lock(&self.open).remove(&nonce);
        until.is_some_and(|until| until > Instant::now())
    }

    /// Whether this is the first refusal.
    pub(super) fn refuse_confirmation(&self, nonce: Uuid, ttl: Duration) -> bool {
        let mut refused = lock(&self.refused);
        let now = Instant::now();
        refused.retain(|_, until| *until > now);
        refused.insert(nonce, now + ttl).is_none()
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
    fn only_an_open_confirmation_is_taken_and_only_once() {
        let memory = Memory::default();
        let nonce = Uuid::new_v4();
        assert!(!memory.take_confirmation(nonce));
        memory.open_confirmation(nonce, MINUTE);
        assert!(memory.take_confirmation(nonce));
        assert!(!memory.take_confirmation(nonce));
        memory.open_confirmation(nonce, Duration::ZERO);
        assert!(!memory.take_confirmation(nonce));
    }

    #[test]
    fn open_confirmations_are_bounded() {
        let memory = Memory::default();
        let first = Uuid::new_v4();
        memory.open_confirmation(first, MINUTE);
        for _ in 0..MAX_OPEN {
            memory.open_confirmation(Uuid::new_v4(), MINUTE * 2);
        }
        assert_eq!(lock(&memory.open).len(), MAX_OPEN);
        assert!(!memory.take_confirmation(first));
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
