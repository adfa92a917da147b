//! What must be one thing though there may be several processes: yeses that were used, how often a credential called,
//! who opened which session.
//!
//! In one process it is kept in memory. Several share it through Redis (cargo feature `redis`). When Redis is away, reads
//! go on and whatever a deletion rests on fails closed.

mod memory;
#[cfg(feature = "redis")]
mod redis;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

#[cfg(feature = "redis")]
pub use redis::{Message, Redis};

use memory::Memory;

/// How long a session is remembered after its last use.
pub const SESSION_IDLE: Duration = Duration::from_secs(600);

/// The store cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shared store cannot be reached")]
pub struct Unavailable;

/// What processes have in common. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    Memory(Arc<Memory>),
    #[cfg(feature = "redis")]
    Redis(Redis, Arc<Memory>),
}

impl Default for Store {
    /// Nothing in common with any other process.
    fn default() -> Self {
        Self {
            backend: Backend::Memory(Arc::default()),
        }
    }
}

impl Store {
    /// In common with every process that uses the same Redis.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn through(redis: Redis) -> Self {
        Self {
            backend: Backend::Redis(redis, Arc::default()),
        }
    }

    /// The Redis that is used, if one is.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn redis(&self) -> Option<&Redis> {
        match &self.backend {
            Backend::Memory(_) => None,
            Backend::Redis(redis, _) => Some(redis),
        }
    }

    /// Uses something that serves once, and says whether this was the once. It can be forgotten after `holds`.
    ///
    /// # Errors
    /// When nobody can say: it must not be used then.
    pub async fn consume_nonce(&self, nonce: Uuid, holds: Duration) -> Result<bool, Unavailable> {
        match &self.backend {
            Backend::Memory(memory) => Ok(memory.consume_nonce(nonce, holds)),
            #[cfg(feature = "redis")]
            // What this process knows to be used stays used when Redis has lost its memory.
            Backend::Redis(redis, memory) => {
                Ok(redis.consume_nonce(nonce, holds).await? && memory.consume_nonce(nonce, holds))
            }
        }
    }

    /// Counts a request of a caller, and says how many there were in the running minute, this one included.
    ///
    /// Where the store is away, each process counts alone: a limit is no reason to answer nobody.
    pub async fn count(&self, principal: &str) -> u64 {
        match &self.backend {
            Backend::Memory(memory) => memory.count(principal),
            #[cfg(feature = "redis")]
            Backend::Redis(redis, memory) => match redis.count(principal).await {
                Ok(count) => count,
                Err(Unavailable) => memory.count(principal),
            },
        }
    }

    /// Claims a session's one open question, so that an answer can belong to no other; nothing if another is open.
    ///
    /// # Errors
    /// When nobody can say whether another is open.
    #[cfg_attr(
        not(feature = "redis"),
        expect(unused_variables, reason = "one process has no need of it")
    )]
    pub async fn lock_elicitation(
        &self,
        session: &str,
        holds: Duration,
    ) -> Result<Option<Question>, Unavailable> {
        match &self.backend {
            // In one process questions are told apart by their own ids.
            Backend::Memory(_) => Ok(Some(Question::default())),
            #[cfg(feature = "redis")]
            Backend::Redis(redis, _) => {
                let claim = redis.lock_elicitation(session, holds).await?;
                Ok(claim.map(|claim| Question { claim: Some(claim) }))
            }
        }
    }
}

/// A session's open question.
#[derive(Default)]
pub struct Question {
    #[cfg(feature = "redis")]
    claim: Option<redis::Claim>,
}

impl Question {
    /// What tells this question from any other of the session, where its id does not.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        #[cfg(feature = "redis")]
        if let Some(claim) = &self.claim {
            return Some(claim.tag());
        }
        None
    }

    /// Waits until an answer may no longer arrive here.
    pub async fn revoked(&self) {
        #[cfg(feature = "redis")]
        if let Some(claim) = &self.claim {
            return claim.revoked().await;
        }
        std::future::pending().await
    }

    /// Makes room for the next.
    pub async fn release(self) {
        #[cfg(feature = "redis")]
        if let Some(claim) = self.claim {
            claim.give_back().await;
        }
    }
}
