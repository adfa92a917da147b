//! The store: in memory, or in memory and Redis.

use std::sync::Arc;
use std::time::Duration;

use rmcp::transport::streamable_http_server::session::store::SessionStore;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::memory::Memory;
use super::redis::{Redis, RedisLock};

/// How long a session is remembered after its last use.
pub const SESSION_IDLE: Duration = Duration::from_secs(600);

/// The shared store cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shared store cannot be reached")]
pub struct Unavailable;

/// The shared store could not be reached at the start.
///
/// Only the kind of the failure: the URL may hold a password, and the library's message may hold the URL.
#[derive(Debug, thiserror::Error)]
#[error("no connection ({0})")]
pub struct ConnectError(pub(super) String);

/// A message that a client sent to one process and another may wait for.
#[derive(Debug, Serialize, Deserialize)]
pub struct RelayedMessage {
    /// The session.
    pub session: String,
    /// The message, as the client sent it; none when it ended the session.
    pub body: Option<Value>,
}

/// State that processes share. Cheap to clone.
#[derive(Clone, Default)]
pub struct Store {
    memory: Arc<Memory>,
    redis: Option<Redis>,
}

impl Store {
    /// A store that is shared with every process that uses the same Redis.
    ///
    /// # Errors
    /// When Redis cannot be reached: better at the start than at the first deletion.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Ok(Self {
            memory: Arc::default(),
            redis: Some(Redis::connect(url).await?),
        })
    }

    /// Whether other processes may use the same store.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.redis.is_some()
    }

    /// Consumes a nonce, and says whether this was the first time. It can be forgotten after `ttl`.
    ///
    /// # Errors
    /// When that cannot be known: the nonce must not be accepted then.
    pub async fn consume_nonce(&self, nonce: Uuid, ttl: Duration) -> Result<bool, Unavailable> {
        if let Some(redis) = &self.redis
            && !redis.consume_nonce(nonce, ttl).await?
        {
            return Ok(false);
        }
        // A nonce that this process consumed stays consumed when Redis has lost its data.
        Ok(self.memory.consume_nonce(nonce, ttl))
    }

    /// Counts a request of a caller, and returns the number in the current minute, this one included.
    ///
    /// Without Redis each process counts alone: a limit is no reason to reject everyone.
    pub async fn count(&self, principal: &str) -> u64 {
        if let Some(redis) = &self.redis
            && let Ok(count) = redis.count(principal).await
        {
            return count;
        }
        self.memory.count(principal)
    }

    /// Counts as [`Store::count`] does, for this process alone.
    #[must_use]
    pub fn count_in_process(&self, principal: &str) -> u64 {
        self.memory.count(principal)
    }

    /// Locks a session's one open elicitation, so that a reply can belong to no other; none if another is open.
    ///
    /// # Errors
    /// When it cannot be known whether another is open.
    pub async fn lock_elicitation(
        &self,
        session: &str,
        ttl: Duration,
    ) -> Result<Option<ElicitationLock>, Unavailable> {
        let Some(redis) = &self.redis else {
            // One process tells elicitations apart by their ids.
            return Ok(Some(ElicitationLock { lock: None }));
        };
        let lock = redis.lock_elicitation(session, ttl).await?;
        Ok(lock.map(|lock| ElicitationLock { lock: Some(lock) }))
    }

    /// The sessions that other processes opened, for the protocol library to restore.
    #[must_use]
    pub fn session_store(&self) -> Option<Arc<dyn SessionStore>> {
        self.redis.as_ref().map(Redis::session_store)
    }

    /// The credential that opened a session in another process, if that is known.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn session_owner(&self, session: &str) -> Result<Option<String>, Unavailable> {
        match &self.redis {
            Some(redis) => redis.session_owner(session).await,
            None => Ok(None),
        }
    }

    /// Lets other processes know which credential opened a session.
    pub async fn set_session_owner(&self, session: &str, principal: &str) {
        if let Some(redis) = &self.redis {
            redis.set_session_owner(session, principal).await;
        }
    }

    /// Remembers a session that is in use for as long as a new one.
    pub async fn touch_session(&self, session: &str) {
        if let Some(redis) = &self.redis {
            redis.touch_session(session).await;
        }
    }

    /// Passes a message on to the other processes.
    ///
    /// # Errors
    /// When no process received it.
    pub async fn publish(&self, message: &RelayedMessage) -> Result<(), Unavailable> {
        match &self.redis {
            Some(redis) => redis.publish(message).await,
            None => Err(Unavailable),
        }
    }

    /// Receives what other processes pass on, for as long as it is polled.
    pub async fn subscribe(&self, received: impl Fn(RelayedMessage)) {
        match &self.redis {
            Some(redis) => redis.subscribe(received).await,
            None => std::future::pending().await,
        }
    }
}

/// The lock on a session's open elicitation.
pub struct ElicitationLock {
    lock: Option<RedisLock>,
}

impl ElicitationLock {
    /// What tells this elicitation from any other of the session, where its id does not.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.lock.as_ref().map(RedisLock::tag)
    }

    /// Waits until a reply may no longer arrive here.
    pub async fn revoked(&self) {
        match &self.lock {
            Some(lock) => lock.revoked().await,
            None => std::future::pending().await,
        }
    }

    /// Releases the lock.
    pub async fn release(self) {
        if let Some(lock) = self.lock {
            lock.release().await;
        }
    }
}
