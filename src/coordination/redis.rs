//! State that processes share through Redis: nonces, request counts, session parameters, fingerprints of credentials, and
//! in passing what clients reply to elicitations. Invariant: no API key and no personal data is stored.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::{AsyncCommands, Client, ExistenceCheck, RedisError, SetExpiry, SetOptions};
use rmcp::transport::streamable_http_server::session::store::{
    SessionState, SessionStore, SessionStoreError,
};
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};
use uuid::Uuid;

use super::store::{ConnectError, RelayedMessage, SESSION_IDLE, Unavailable};

const PREFIX: &str = "posthog-persons-mcp";
/// A tool call must not wait longer for Redis.
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before Redis is tried again, and between health checks.
const RECONNECT_BACKOFF: Duration = Duration::from_secs(1);

/// A connection to Redis, which reconnects by itself.
#[derive(Clone)]
pub(super) struct Redis {
    client: Client,
    connection: ConnectionManager,
    /// Whether Redis is reachable and this process receives what others publish.
    subscribed: watch::Sender<bool>,
}

/// The lock on a session's one open elicitation, released at the latest when it is dropped.
pub(super) struct RedisLock {
    redis: Redis,
    key: String,
    tag: String,
    held: bool,
}

impl Redis {
    pub(super) async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::open(url)
            .await
            .map_err(|error| ConnectError(format!("{:?}", error.kind())))
    }

    async fn open(url: &str) -> Result<Self, RedisError> {
        let client = Client::open(url)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(REDIS_TIMEOUT))
            .set_response_timeout(Some(REDIS_TIMEOUT))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_with_config(client.clone(), config).await?;
        Ok(Self {
            client,
            connection,
            subscribed: watch::Sender::new(false),
        })
    }

    pub(super) async fn consume_nonce(
        &self,
        nonce: Uuid,
        ttl: Duration,
    ) -> Result<bool, Unavailable> {
        let key = format!("{PREFIX}:used:{nonce}");
        self.set_if_absent(&key, "1", ttl).await
    }

    /// The reply may arrive at another process: without a subscription nothing can be locked.
    pub(super) async fn lock_elicitation(
        &self,
        session: &str,
        ttl: Duration,
    ) -> Result<Option<RedisLock>, Unavailable> {
        if !*self.subscribed.borrow() {
            return Err(Unavailable);
        }
        let tag = Uuid::new_v4().simple().to_string();
        let mut lock = RedisLock {
            redis: self.clone(),
            key: format!("{PREFIX}:question:{session}"),
            tag: tag.chars().take(8).collect(),
            // Before that is known: a release deletes only what holds this tag.
            held: true,
        };
        lock.held = self.set_if_absent(&lock.key, &lock.tag, ttl).await?;
        Ok(lock.held.then_some(lock))
    }

    /// Deletes a lock unless another process holds it by now.
    async fn release(&self, key: &str, tag: &str) {
        const IF_OURS: &str =
            "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";
        let mut redis = self.connection.clone();
        let mut command = redis::cmd("EVAL");
        command.arg(IF_OURS).arg(1).arg(key).arg(tag);
        if let Err(error) = command.exec_async(&mut redis).await {
            unavailable(&error);
        }
    }

    /// Sets a key that must not exist, and says whether it did not.
    async fn set_if_absent(
        &self,
        key: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<bool, Unavailable> {
        let mut redis = self.connection.clone();
        let milliseconds = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let options = SetOptions::default()
            .conditional_set(ExistenceCheck::NX)
            .with_expiration(SetExpiry::PX(milliseconds));
        let set: Option<String> = redis
            .set_options(key, value, options)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(set.is_some())
    }

    /// Every request is counted: while Redis is known to be unreachable, none waits for it.
    pub(super) async fn count(&self, principal: &str) -> Result<u64, Unavailable> {
        if !*self.subscribed.borrow() {
            return Err(Unavailable);
        }
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
        counted
            .map(|(count,)| count)
            .map_err(|error| unavailable(&error))
    }

    pub(super) async fn set_session_owner(&self, session: &str, principal: &str) {
        let mut redis = self.connection.clone();
        let key = format!("{PREFIX}:owner:{session}");
        let set = redis
            .set_ex::<_, _, ()>(key, principal, SESSION_IDLE.as_secs())
            .await;
        if let Err(error) = set {
            unavailable(&error);
        }
    }

    pub(super) async fn touch_session(&self, session: &str) {
        let mut redis = self.connection.clone();
        let seconds = SESSION_IDLE.as_secs().cast_signed();
        let kept: Result<(), RedisError> = redis::pipe()
            .expire(format!("{PREFIX}:session:{session}"), seconds)
            .expire(format!("{PREFIX}:owner:{session}"), seconds)
            .query_async(&mut redis)
            .await;
        if let Err(error) = kept {
            unavailable(&error);
        }
    }

    pub(super) async fn session_owner(&self, session: &str) -> Result<Option<String>, Unavailable> {
        let mut redis = self.connection.clone();
        let key = format!("{PREFIX}:owner:{session}");
        let seconds = redis::Expiry::EX(SESSION_IDLE.as_secs());
        redis
            .get_ex(key, seconds)
            .await
            .map_err(|error| unavailable(&error))
    }

    pub(super) async fn publish(&self, message: &RelayedMessage) -> Result<(), Unavailable> {
        let mut redis = self.connection.clone();
        let text = serde_json::to_string(message).map_err(|_| Unavailable)?;
        let receivers: usize = redis
            .publish(format!("{PREFIX}:messages"), text)
            .await
            .map_err(|error| unavailable(&error))?;
        if receivers == 0 {
            Err(Unavailable)
        } else {
            Ok(())
        }
    }

    /// Receives what other processes publish, for as long as it is polled; reconnects when the connection breaks.
    pub(super) async fn subscribe(&self, received: impl Fn(RelayedMessage)) {
        loop {
            if let Ok(Ok(messages)) = timeout(REDIS_TIMEOUT, self.open_subscription()).await {
                self.subscribed.send_replace(true);
                tracing::info!("Redis is reachable; subscribed to other processes");
                self.listen(messages, &received).await;
                self.subscribed.send_replace(false);
                tracing::warn!("Redis is unreachable; reads continue, deletions are rejected");
            }
            sleep(RECONNECT_BACKOFF).await;
        }
    }

    async fn open_subscription(&self) -> Result<PubSub, RedisError> {
        // First the other connection: it notices only when it is used that Redis is back.
        self.ping().await?;
        let mut messages = self.client.get_async_pubsub().await?;
        messages.subscribe(format!("{PREFIX}:messages")).await?;
        Ok(messages)
    }

    /// Until the connection breaks, or Redis no longer responds.
    async fn listen(&self, messages: PubSub, received: &impl Fn(RelayedMessage)) {
        let mut messages = messages.into_on_message();
        let mut health_check = interval(RECONNECT_BACKOFF);
        loop {
            tokio::select! {
                message = messages.next() => {
                    let Some(message) = message else { return };
                    if let Ok(message) = serde_json::from_slice(message.get_payload_bytes()) {
                        received(message);
                    }
                }
                _ = health_check.tick() => if self.ping().await.is_err() { return },
            }
        }
    }

    async fn ping(&self) -> Result<(), RedisError> {
        self.connection.clone().ping().await
    }

    pub(super) fn session_store(&self) -> Arc<dyn SessionStore> {
        Arc::new(self.clone())
    }
}

impl RedisLock {
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    pub(super) async fn revoked(&self) {
        let mut subscribed = self.redis.subscribed.subscribe();
        let _ = subscribed.wait_for(|subscribed| !*subscribed).await;
    }

    pub(super) async fn release(mut self) {
        self.redis.release(&self.key, &self.tag).await;
        self.held = false;
    }
}

impl Drop for RedisLock {
    /// A cancelled call leaves no lock behind.
    fn drop(&mut self) {
        if let (true, Ok(runtime)) = (self.held, tokio::runtime::Handle::try_current()) {
            let (redis, key, tag) = (self.redis.clone(), self.key.clone(), self.tag.clone());
            runtime.spawn(async move { redis.release(&key, &tag).await });
        }
    }
}

/// Without Redis an `initialize` still succeeds: the session then lives in this process alone.
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
                unavailable(&error);
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
            unavailable(&error);
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
            unavailable(&error);
        }
        Ok(())
    }
}

fn unavailable(error: &RedisError) -> Unavailable {
    tracing::warn!(kind = ?error.kind(), "Redis request failed");
    Unavailable
}
