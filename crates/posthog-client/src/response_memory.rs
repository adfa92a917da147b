//! Bounds the memory of the responses that are being read or not decoded yet, of all calls together.
//!
//! A response takes memory as it arrives, and waits where there is none left. Invariant: one of those that wait goes on
//! whatever the others hold, so that they never wait for each other.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is taken at a time. The last, incomplete block of a response is not counted, so that a small response never waits.
const BLOCK_BYTES: usize = 64 * 1024;
/// How many responses of the greatest size fit, besides the one that always goes on.
const MAX_RESPONSES: usize = 4;

/// The memory of all responses.
#[derive(Clone)]
pub(crate) struct ResponseMemory {
    blocks: Arc<Semaphore>,
    /// Held by the response that always goes on.
    priority: Arc<Semaphore>,
}

impl ResponseMemory {
    pub(crate) fn new(max_response_bytes: usize) -> Self {
        let blocks = max_response_bytes.saturating_mul(MAX_RESPONSES) / BLOCK_BYTES;
        Self {
            blocks: Arc::new(Semaphore::new(blocks.min(Semaphore::MAX_PERMITS))),
            priority: Arc::new(Semaphore::new(1)),
        }
    }

    /// A reservation of nothing yet.
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation {
            memory: self.clone(),
            blocks: None,
            priority: None,
        }
    }
}

/// The memory of one response, until it is dropped.
pub(crate) struct Reservation {
    memory: ResponseMemory,
    blocks: Option<OwnedSemaphorePermit>,
    priority: Option<OwnedSemaphorePermit>,
}

impl Reservation {
    /// Waits until there is memory for this number of bytes.
    pub(crate) async fn grow(&mut self, bytes: usize) {
        let held = self
            .blocks
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = (bytes / BLOCK_BYTES).saturating_sub(held);
        if missing == 0 || self.priority.is_some() {
            return;
        }
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let blocks = Arc::clone(&self.memory.blocks).acquire_many_owned(missing);
        let priority = Arc::clone(&self.memory.priority).acquire_owned();
        tokio::select! {
            biased;
            blocks = blocks => match (&mut self.blocks, blocks) {
                (Some(held), Ok(more)) => held.merge(more),
                (held, more) => *held = more.ok(),
            },
            priority = priority => self.priority = priority.ok(),
        }
    }
}

/// The body of a response, with its memory.
pub(crate) struct Body {
    bytes: Vec<u8>,
    memory: Reservation,
}

impl Body {
    pub(crate) fn new(bytes: Vec<u8>, memory: Reservation) -> Self {
        Self { bytes, memory }
    }

    pub(crate) fn map(self, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Self {
        Self::new(change(self.bytes), self.memory)
    }

    /// The bytes, which count no longer.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn responses_wait_for_memory_and_never_for_each_other() {
        let memory = ResponseMemory::new(BLOCK_BYTES);
        let mut responses: Vec<_> = (0..8).map(|_| memory.reserve()).collect();
        // Small ones take nothing.
        for response in &mut responses {
            response.grow(BLOCK_BYTES - 1).now_or_never().unwrap();
        }
        let mut responses = responses.into_iter();
        // Each has half of what it needs: all blocks are taken.
        let mut halves: Vec<_> = responses.by_ref().take(MAX_RESPONSES).collect();
        for response in &mut halves {
            response.grow(BLOCK_BYTES).now_or_never().unwrap();
        }
        let mut first = halves.pop().unwrap();
        let mut second = halves.pop().unwrap();
        // One goes on to any size.
        first.grow(2 * BLOCK_BYTES).now_or_never().unwrap();
        first.grow(100 * BLOCK_BYTES).now_or_never().unwrap();
        assert!(second.grow(2 * BLOCK_BYTES).now_or_never().is_none());
        drop(first);
        second.grow(2 * BLOCK_BYTES).now_or_never().unwrap();
        drop((second, halves));
        // Everything is free again.
        let mut next = responses.next().unwrap();
        next.grow(MAX_RESPONSES * BLOCK_BYTES)
            .now_or_never()
            .unwrap();
        assert!(next.priority.is_none());
    }
}
