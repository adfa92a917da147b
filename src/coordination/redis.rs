//! What is shared, through Redis. Holds no key of PostHog and nothing about anybody: nonces, counts, the parameters of
//! handshakes, fingerprints of credentials; and, in passing, what clients answer to questions.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::{AsyncCommands, Client, ExistenceCheck, RedisError, SetExpiry, SetOptions};
use rmcp::transport::streamable_http_server::session::store::{
    SessionState, SessionStore, SessionStoreError,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};
use uuid::Uuid;

use super::{SESSION_IDLE, Unavailable};

const PREFIX: &str = "posthog-persons-mcp";
/// An answer of Redis that takes longer is none: a call must not wait for a store that is away.
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);
/// A pause before Redis is tried again, and between looks whether it is still there.
const RECONNECT_BACKOFF: Duration = Duration::from_secs(1);

/// A connection to Redis, made again by itself when it breaks.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    connection: ConnectionManager,
    /// Whether Redis is there, and this process hears what others pass on.
    hears: watch::Sender<bool>,
}

/// What a client sent to one process and another waits for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Message {
    /// The session.
    pub session: String,
    /// The message, as the client sent it; none when it ended the session.
    pub body: Option<Value>,
}

/// The claim to a session's one open question, given back at the latest when it is dropped.
pub struct Claim {
    redis: Redis,
    key: String,
    mark: String,
    held: bool,
}

impl Redis {
    /// Connects.
    ///
    /// # Errors
    /// When the address is none or nobody answers there: better at the start than at the first deletion.
    pub async fn connect(url: &str) -> Result<Self, RedisError> {
        let client = Client::open(url)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(REDIS_TIMEOUT))
            .set_response_timeout(Some(REDIS_TIMEOUT))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_with_config(client.clone(), config).await?;
        Ok(Self {
            client,
            connection,
            hears: watch::Sender::new(false),
        })
    }

    pub(super) async fn consume_nonce(
        &self,
        nonce: Uuid,
        holds: Duration,
    ) -> Result<bool, Unavailable> {
        let key = format!("{PREFIX}:used:{nonce}");
        self.claim(&key, "1", holds).await
    }

    /// Whoever asks has to hear the answer: where nothing is heard, nothing can be claimed.
    pub(super) async fn lock_elicitation(
        &self,
        session: &str,
        holds: Duration,
    ) -> Result<Option<Claim>, Unavailable> {
        if !*self.hears.borrow() {
            return Err(Unavailable);
        }
        let mark = Uuid::new_v4().simple().to_string();
        let mut claim = Claim {
            redis: self.clone(),
            key: format!("{PREFIX}:question:{session}"),
            mark: mark.chars().take(8).collect(),
            // Even where that is not known yet: nobody else's is given back.
            held: true,
        };
        claim.held = self.claim(&claim.key, &claim.mark, holds).await?;
        Ok(claim.held.then_some(claim))
    }

    /// Deletes a claim unless it is somebody else's by now.
    async fn give_back(&self, key: &str, mark: &str) {
        const IF_OURS: &str =
            "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";
        let mut redis = self.connection.clone();
        let mut command = redis::cmd("EVAL");
        command.arg(IF_OURS).arg(1).arg(key).arg(mark);
        if let Err(error) = command.exec_async(&mut redis).await {
            away(&error);
        }
    }

    /// Sets a key that must not be there yet, and says whether it was not.
    async fn claim(&self, key: &str, value: &str, holds: Duration) -> Result<bool, Unavailable> {
        let mut redis = self.connection.clone();
        let milliseconds = u64::try_from(holds.as_millis()).unwrap_or(u64::MAX).max(1);
        let options = SetOptions::default()
            .conditional_set(ExistenceCheck::NX)
            .with_expiration(SetExpiry::PX(milliseconds));
        let set: Option<String> = redis
            .set_options(key, value, options)
            .await
            .map_err(|error| away(&error))?;
        Ok(set.is_some())
    }

    /// Every request is counted: where Redis is known to be away, none waits for it.
    pub(super) async fn count(&self, principal: &str) -> Result<u64, Unavailable> {
        if !*self.hears.borrow() {
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

    /// Remembers a session that is in use for as long as a new one.
    pub async fn touch(&self, session: &str) {
        let mut redis = self.connection.clone();
        let seconds = SESSION_IDLE.as_secs().cast_signed();
        let kept: Result<(), RedisError> = redis::pipe()
            .expire(format!("{PREFIX}:session:{session}"), seconds)
            .expire(format!("{PREFIX}:owner:{session}"), seconds)
            .query_async(&mut redis)
            .await;
        if let Err(error) = kept {
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
    /// When Redis cannot be asked, or nobody hears.
    pub async fn pass_on(&self, message: &Message) -> Result<(), Unavailable> {
        let mut redis = self.connection.clone();
        let text = serde_json::to_string(message).map_err(|_| Unavailable)?;
        let heard: usize = redis
            .publish(format!("{PREFIX}:messages"), text)
            .await
            .map_err(|error| away(&error))?;
        if heard == 0 { Err(Unavailable) } else { Ok(()) }
    }

    /// Hears what others pass on, for as long as it is polled; connects again when the connection breaks.
    pub async fn hear(&self, heard: impl Fn(Message)) {
        loop {
            if let Ok(Ok(messages)) = timeout(REDIS_TIMEOUT, self.subscribed()).await {
                self.hears.send_replace(true);
                tracing::info!("Redis is there: what other processes pass on is heard");
                self.listen(messages, &heard).await;
                self.hears.send_replace(false);
                tracing::warn!("Redis is away: reads go on, deletions are refused");
            }
            sleep(RECONNECT_BACKOFF).await;
        }
    }

    async fn subscribed(&self) -> Result<PubSub, RedisError> {
        // First the other connection, which learns only when it is used that Redis is back.
        self.ping().await?;
        let mut messages = self.client.get_async_pubsub().await?;
        messages.subscribe(format!("{PREFIX}:messages")).await?;
        Ok(messages)
    }

    /// Until the connection breaks, or Redis no longer answers.
    async fn listen(&self, messages: PubSub, heard: &impl Fn(Message)) {
        let mut messages = messages.into_on_message();
        let mut look = interval(RECONNECT_BACKOFF);
        loop {
            tokio::select! {
                message = messages.next() => {
                    let Some(message) = message else { return };
                    if let Ok(message) = serde_json::from_slice(message.get_payload_bytes()) {
                        heard(message);
                    }
                }
                _ = look.tick() => if self.ping().await.is_err() { return },
            }
        }
    }

    async fn ping(&self) -> Result<(), RedisError> {
        self.connection.clone().ping().await
    }

    /// The sessions, for the protocol library, which restores here what began elsewhere.
    #[must_use]
    pub fn sessions(&self) -> Arc<dyn SessionStore> {
        Arc::new(self.clone())
    }
}

impl Claim {
    /// What tells this question from any other.
    pub(super) fn tag(&self) -> &str {
        &self.mark
    }

    /// Waits until an answer may no longer be heard.
    pub(super) async fn revoked(&self) {
        let mut hears = self.redis.hears.subscribe();
        let _ = hears.wait_for(|hears| !*hears).await;
    }

    pub(super) async fn give_back(mut self) {
        self.redis.give_back(&self.key, &self.mark).await;
        self.held = false;
    }
}

impl Drop for Claim {
    /// A call that was cancelled leaves no open question behind.
    fn drop(&mut self) {
        if let (true, Ok(runtime)) = (self.held, tokio::runtime::Handle::try_current()) {
            let (redis, key, mark) = (self.redis.clone(), self.key.clone(), self.mark.clone());
            runtime.spawn(async move { redis.give_back(&key, &mark).await });
        }
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
