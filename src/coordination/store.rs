//! The store: in memory, or in memory and Redis.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use uuid::Uuid;

use super::memory::Memory;
use super::redis::Redis;

/// The shared store cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shared store cannot be reached")]
pub struct Unavailable;

/// Why the shared store cannot be used, found at the start.
///
/// Only the kind of the failure: the URL may hold a password, and the library's message may hold the URL.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No connection.
    #[error("no connection ({0})")]
    Connection(String),
    /// Redis rejects a command that is needed, for example by its access control list.
    #[error("Redis rejects the command {0}, which is needed")]
    Command(&'static str),
    /// There is no key that the processes share.
    #[error(
        "POSTHOG_MCP_STATE_KEY must be set, to the same key in every process: openssl rand -hex 32"
    )]
    NoStateKey,
    /// This binary cannot use Redis.
    #[error("this binary was built without Redis support; build with `--features redis`")]
    Unsupported,
}

/// State that processes share. Cheap to clone.
#[derive(Clone, Default)]
pub struct Store {
    memory: Arc<Memory>,
    redis: Option<Redis>,
}

impl Store {
    /// A store that is shared with every process that has the same Redis and the same state key.
    ///
    /// # Errors
    /// When Redis cannot be reached, or rejects a command: better at the start than at the first deletion.
    pub async fn connect(
        url: &str,
        state_key: Option<&SecretString>,
    ) -> Result<Self, ConnectError> {
        Ok(Self {
            memory: Arc::default(),
            redis: Some(Redis::connect(url, state_key).await?),
        })
    }

    /// Whether other processes may use the same store.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.redis.is_some()
    }

    /// Remembers that a confirmation was asked for. It can be taken once, for as long as `ttl`.
    ///
    /// # Errors
    /// When other processes could not take it: the question must not be asked then.
    pub async fn open_confirmation(&self, nonce: Uuid, ttl: Duration) -> Result<(), Unavailable> {
        if let Some(redis) = &self.redis {
            redis.open_confirmation(nonce, ttl).await?;
        } else {
            self.memory.open_confirmation(nonce, ttl);
        }
        Ok(())
    }

    /// Takes an open confirmation, to grant it or because the user declined. Whether it was there to take; what was taken,
    /// declined or lost is not.
    ///
    /// # Errors
    /// When that cannot be known: nothing may be granted then, and this process never grants it later.
    pub async fn take_confirmation(&self, nonce: Uuid, ttl: Duration) -> Result<bool, Unavailable> {
        let Some(redis) = &self.redis else {
            return Ok(self.memory.take_confirmation(nonce));
        };
        // First here, so that it stays taken when Redis fails.
        if !self.memory.refuse_confirmation(nonce, ttl) {
            return Ok(false);
        }
        let taken = redis.take_confirmation(nonce).await;
        if taken.is_err() {
            redis.take_confirmation_later(nonce, ttl);
        }
        taken
    }

    /// The project that the calls of a credential go to, if a process knows it.
    ///
    /// # Errors
    /// When that cannot be known: another process may have chosen one.
    pub async fn project(&self, principal: &str) -> Result<Option<u64>, Unavailable> {
        match &self.redis {
            Some(redis) => redis.project(principal).await,
            None => Ok(None),
        }
    }

    /// Settles the project of a credential, unless another process did before. Returns the project that counts.
    ///
    /// # Errors
    /// When that cannot be known: another process may have chosen another one.
    pub async fn settle_project(&self, principal: &str, project: u64) -> Result<u64, Unavailable> {
        match &self.redis {
            Some(redis) => redis.settle_project(principal, project).await,
            None => Ok(project),
        }
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
}
