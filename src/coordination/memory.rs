//! What is shared, where there is one process to share it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::sync::lock;

const MINUTE: Duration = Duration::from_secs(60);

/// The memory of one process.
#[derive(Default)]
pub(super) struct Memory {
    /// What was used, until it would be too old to be used anyway.
    used: Mutex<HashMap<Uuid, Instant>>,
    counts: Mutex<RequestCounts>,
}

#[derive(Default)]
struct RequestCounts {
    minute: Option<Instant>,
    of: HashMap<String, u64>,
}

impl Memory {
    pub(super) fn consume_nonce(&self, nonce: Uuid, holds: Duration) -> bool {
        let mut used = lock(&self.used);
        let now = Instant::now();
        used.retain(|_, until| *until > now);
        used.insert(nonce, now + holds).is_none()
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
    fn what_serves_once_serves_once() {
        let memory = Memory::default();
        let nonce = Uuid::new_v4();
        assert!(memory.consume_nonce(nonce, MINUTE));
        assert!(!memory.consume_nonce(nonce, MINUTE));
        assert!(memory.consume_nonce(Uuid::new_v4(), MINUTE));
    }

    #[test]
    fn callers_are_counted_apart() {
        let memory = Memory::default();
        assert_eq!(
            (memory.count("a"), memory.count("b"), memory.count("a")),
            (1, 1, 2)
        );
    }
}
