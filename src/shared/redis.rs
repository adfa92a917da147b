//! What is shared, through Redis. Holds no key of PostHog and nothing about anybody: nonces, counts, the parameters of
//! handshakes, fingerprints of credentials; and, in passing, what clients answer to questions.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client, ExistenceCheck, RedisError, SetExpiry, SetOptions};
use rmcp::transport::streamable_http_server::session::store::{
    SessionState, SessionStore, SessionStoreError,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{SESSION_IDLE, Unavailable};

const PREFIX: &str = "posthog-persons-mcp";
/// An answer of Redis that takes longer is none: a call must not wait for a store that is away.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection to Redis, made again by itself when it breaks.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    connection: ConnectionManager,
}

/// What a client sent to one process and another waits for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Message {
    /// The session.
    pub session: String,
    /// The message, as the client sent it.
    pub body: Value,
}

impl Redis {
    /// Connects.
    ///
    /// # Errors
    /// When the address is none or nobody answers there: better at the start than at the first deletion.
    pub async fn connect(url: &str) -> Result<Self, RedisError> {
        let client = Client::open(url)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_with_config(client.clone(), config).await?;
        Ok(Self { client, connection })
    }

    pub(super) async fn use_once(&self, nonce: Uuid, holds: Duration) -> Result<bool, Unavailable> {
        self.claim(format!("{PREFIX}:used:{nonce}"), holds).await
    }

    pub(super) async fn claim_question(
        &self,
        session: &str,
        holds: Duration,
    ) -> Result<bool, Unavailable> {
        self.claim(format!("{PREFIX}:question:{session}"), holds)
            .await
    }

    pub(super) async fn release_question(&self, session: &str) {
        let mut redis = self.connection.clone();
        let key = format!("{PREFIX}:question:{session}");
        if let Err(error) = redis.del::<_, ()>(key).await {
            away(&error);
        }
    }

    /// Sets a key that must not be there yet, and says whether it was not.
    async fn claim(&self, key: String, holds: Duration) -> Result<bool, Unavailable> {
        let mut redis = self.connection.clone();
        let milliseconds = u64::try_from(holds.as_millis()).unwrap_or(u64::MAX).max(1);
        let options = SetOptions::default()
            .conditional_set(ExistenceCheck::NX)
            .with_expiration(SetExpiry::PX(milliseconds));
        let set: Option<String> = redis
            .set_options(key, 1, options)
            .await
            .map_err(|error| away(&error))?;
        Ok(set.is_some())
    }

    pub(super) async fn count(&self, principal: &str) -> Result<u64, Unavailable> {
        let minute = chrono::Utc::now().timestamp() / 60;
        let key = format!("{PREFIX}:count:{minute}:{principal}");
        let mut redis = self.connection.clone();
        let counted: Result<(u64,), RedisError> = redis::pipe()
            .atomic()
            .incr(&key, 1)
            .expire(&key, 120)
            .ignore()
            .query_async(&mut redis)
            .await;
        counted.map(|(count,)| count).map_err(|error| away(&error))
    }

    /// Remembers which credential opened a session.
    pub async fn set_owner(&self, session: &str, principal: &str) {
        let mut redis = self.connection.clone();
        let key = format!("{PREFIX}:owner:{session}");
        let set = redis
            .set_ex::<_, _, ()>(key, principal, SESSION_IDLE.as_secs())
            .await;
        if let Err(error) = set {
            away(&error);
        }
    }

    /// Which credential opened a session, if anybody knows.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn owner(&self, session: &str) -> Result<Option<String>, Unavailable> {
        let mut redis = self.connection.clone();
        let key = format!("{PREFIX}:owner:{session}");
        let seconds = redis::Expiry::EX(SESSION_IDLE.as_secs());
        redis
            .get_ex(key, seconds)
            .await
            .map_err(|error| away(&error))
    }

    /// Passes on what another process may wait for.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn pass_on(&self, message: &Message) -> Result<(), Unavailable> {
        let mut redis = self.connection.clone();
        let text = serde_json::to_string(message).map_err(|_| Unavailable)?;
        redis
            .publish::<_, _, ()>(format!("{PREFIX}:messages"), text)
            .await
            .map_err(|error| away(&error))
    }

    /// Hears what others pass on, for as long as it is polled; connects again when the connection breaks.
    pub async fn hear<F>(&self, heard: impl Fn(Message) -> F)
    where
        F: Future<Output = ()>,
    {
        loop {
            if let Ok(mut messages) = self.client.get_async_pubsub().await
                && messages
                    .subscribe(format!("{PREFIX}:messages"))
                    .await
                    .is_ok()
            {
                let mut messages = messages.into_on_message();
                while let Some(message) = messages.next().await {
                    if let Ok(message) = serde_json::from_slice(message.get_payload_bytes()) {
                        heard(message).await;
                    }
                }
            }
            tokio::time::sleep(PATIENCE).await;
        }
    }

    /// The sessions, for the protocol library, which restores here what began elsewhere.
    #[must_use]
    pub fn sessions(&self) -> Arc<dyn SessionStore> {
        Arc::new(self.clone())
    }
}

/// Where Redis is away, a handshake still succeeds: the session then lives in this process alone.
#[async_trait::async_trait]
impl SessionStore for Redis {
    async fn load(&self, session: &str) -> Result<Option<SessionState>, SessionStoreError> {
        let mut redis = self.connection.clone();
        let key = format!("{PREFIX}:session:{session}");
        let seconds = redis::Expiry::EX(SESSION_IDLE.as_secs());
        let text: Result<Option<String>, RedisError> = redis.get_ex(key, seconds).await;
        match text {
            Ok(text) => Ok(text.and_then(|text| serde_json::from_str(&text).ok())),
            Err(error) => {
                away(&error);
                Ok(None)
            }
        }
    }

    async fn store(&self, session: &str, state: &SessionState) -> Result<(), SessionStoreError> {
        let mut redis = self.connection.clone();
        let key = format!("{PREFIX}:session:{session}");
        let text = serde_json::to_string(state)?;
        if let Err(error) = redis
            .set_ex::<_, _, ()>(key, text, SESSION_IDLE.as_secs())
            .await
        {
            away(&error);
        }
        Ok(())
    }

    async fn delete(&self, session: &str) -> Result<(), SessionStoreError> {
        let mut redis = self.connection.clone();
        let keys = [
            format!("{PREFIX}:session:{session}"),
            format!("{PREFIX}:owner:{session}"),
        ];
        if let Err(error) = redis.del::<_, ()>(&keys).await {
            away(&error);
        }
        Ok(())
    }
}

fn away(error: &RedisError) -> Unavailable {
    tracing::warn!(kind = ?error.kind(), "Redis cannot be asked");
    Unavailable
}
