//! State that processes share through Redis. Every key has a prefix with a fingerprint of the state key, so that two
//! deployments on one Redis share nothing, and a time to live.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::store::{ConnectError, Unavailable};
use crate::sync::lock;

/// How long connecting may take, at the start or in the background.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// No call waits longer for Redis. An unoptimized build on a busy machine, as in the tests, has more time.
const RESPONSE_TIMEOUT: Duration =
    Duration::from_millis(if cfg!(debug_assertions) { 2000 } else { 200 });
/// The pause before an unreachable Redis is tried again. Meanwhile no call waits for it at all.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How often the log repeats that Redis is unreachable.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// How long the project of a credential is remembered after its last use.
const PROJECT_TTL: Duration = Duration::from_secs(24 * 60 * 60);
const COUNT_TTL: Duration = Duration::from_secs(120);

/// A connection to Redis, which reconnects by itself.
#[derive(Clone)]
pub(super) struct Redis {
    connection: ConnectionManager,
    prefix: Arc<str>,
    health: Arc<Mutex<Health>>,
}

/// Whether Redis responded last.
#[derive(Default)]
struct Health {
    failed: Option<Instant>,
    logged: Option<Instant>,
}

impl Redis {
    pub(super) async fn connect(
        url: &str,
        state_key: Option<&SecretString>,
    ) -> Result<Self, ConnectError> {
        let state_key = state_key.ok_or(ConnectError::NoStateKey)?;
        let failed = |error: RedisError| ConnectError::Connection(format!("{:?}", error.kind()));
        let client = Client::open(url).map_err(failed)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECTION_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_with_config(client, config)
            .await
            .map_err(failed)?;
        let redis = Self {
            connection,
            prefix: prefix(state_key).into(),
            health: Arc::default(),
        };
        redis.try_commands().await?;
        metrics::gauge!("mcp_redis_up").set(1.0);
        Ok(redis)
    }

    /// Runs each command once on a key of its own.
    async fn try_commands(&self) -> Result<(), ConnectError> {
        let key = self.key("start", &Uuid::new_v4().to_string());
        let commands = [
            ("SET", set(&key, "1", RETRY_PAUSE, false)),
            ("GETEX", get_and_renew(&key, RETRY_PAUSE)),
            ("GETDEL", take(&key)),
            ("INCR", increment(&key)),
            // Leaves nothing behind that does not expire.
            ("GETDEL", take(&key)),
        ];
        for (name, command) in commands {
            let mut connection = self.connection.clone();
            if let Err(error) = command.exec_async(&mut connection).await {
                return Err(match error.kind() {
                    ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError)
                    | ErrorKind::Extension => ConnectError::Command(name),
                    kind => ConnectError::Connection(format!("{kind:?}")),
                });
            }
        }
        Ok(())
    }

    pub(super) async fn open_confirmation(
        &self,
        nonce: Uuid,
        ttl: Duration,
    ) -> Result<(), Unavailable> {
        let key = self.key("confirmation", &nonce.to_string());
        self.query(&set(&key, "1", ttl, false)).await
    }

    pub(super) async fn take_confirmation(&self, nonce: Uuid) -> Result<bool, Unavailable> {
        let key = self.key("confirmation", &nonce.to_string());
        let taken: Option<String> = self.query(&take(&key)).await?;
        Ok(taken.is_some())
    }

    /// Takes a confirmation as soon as Redis responds, so that no other process grants what was declined here.
    pub(super) fn take_confirmation_later(&self, nonce: Uuid, ttl: Duration) {
        let redis = self.clone();
        let taken = async move {
            while redis.take_confirmation(nonce).await.is_err() {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        };
        tokio::spawn(tokio::time::timeout(ttl, taken));
    }

    pub(super) async fn project(&self, principal: &str) -> Result<Option<u64>, Unavailable> {
        let key = self.key("project", principal);
        self.query(&get_and_renew(&key, PROJECT_TTL)).await
    }

    pub(super) async fn settle_project(
        &self,
        principal: &str,
        project: u64,
    ) -> Result<u64, Unavailable> {
        let key = self.key("project", principal);
        let set: Option<String> = self
            .query(&set(&key, &project.to_string(), PROJECT_TTL, true))
            .await?;
        if set.is_some() {
            return Ok(project);
        }
        // Expired between the two commands: nobody can say which project counts.
        self.project(principal).await?.ok_or(Unavailable)
    }

    pub(super) async fn count(&self, principal: &str) -> Result<u64, Unavailable> {
        let minute = chrono::Utc::now().timestamp() / 60;
        let key = self.key("count", &format!("{minute}:{principal}"));
        // In this order, so that no count is left behind without a time to live.
        let mut commands = redis::pipe();
        commands
            .add_command(set(&key, "0", COUNT_TTL, true))
            .ignore()
            .add_command(increment(&key));
        let mut connection = self.connection.clone();
        let (count,) = self.run(commands.query_async(&mut connection)).await?;
        Ok(count)
    }

    fn key(&self, kind: &str, name: &str) -> String {
        format!("{}:{kind}:{name}", self.prefix)
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Unavailable> {
        let mut connection = self.connection.clone();
        self.run(command.query_async(&mut connection)).await
    }

    async fn run<T>(&self, query: impl Future<Output = RedisResult<T>>) -> Result<T, Unavailable> {
        if self.is_pausing() {
            return Err(Unavailable);
        }
        match tokio::time::timeout(RESPONSE_TIMEOUT, query).await {
            Ok(Ok(value)) => {
                self.succeeded();
                Ok(value)
            }
            Ok(Err(error)) => Err(self.failed(&format!("{:?}", error.kind()))),
            Err(_) => Err(self.failed("no response in time")),
        }
    }

    fn is_pausing(&self) -> bool {
        let health = lock(&self.health);
        health
            .failed
            .is_some_and(|failed| failed.elapsed() < RETRY_PAUSE)
    }

    fn succeeded(&self) {
        let mut health = lock(&self.health);
        if health.failed.take().is_some() {
            health.logged = None;
            metrics::gauge!("mcp_redis_up").set(1.0);
            tracing::info!("Redis is reachable again");
        }
    }

    fn failed(&self, kind: &str) -> Unavailable {
        let mut health = lock(&self.health);
        health.failed = Some(Instant::now());
        metrics::gauge!("mcp_redis_up").set(0.0);
        metrics::counter!("mcp_redis_failures_total").increment(1);
        if health
            .logged
            .is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL)
        {
            health.logged = Some(Instant::now());
            tracing::warn!(
                kind,
                "Redis is unreachable; reads continue, confirmations are refused"
            );
        }
        Unavailable
    }
}

fn prefix(state_key: &SecretString) -> String {
    let digest = Sha256::new()
        .chain_update("redis prefix")
        .chain_update(state_key.expose_secret())
        .finalize();
    let fingerprint = digest
        .iter()
        .take(8)
        .fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    format!("posthog-persons-mcp:{fingerprint:016x}")
}

fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn set(key: &str, value: &str, ttl: Duration, only_if_absent: bool) -> Cmd {
    let mut command = redis::cmd("SET");
    command.arg(key).arg(value).arg("PX").arg(milliseconds(ttl));
    if only_if_absent {
        command.arg("NX");
    }
    command
}

fn get_and_renew(key: &str, ttl: Duration) -> Cmd {
    let mut command = redis::cmd("GETEX");
    command.arg(key).arg("PX").arg(milliseconds(ttl));
    command
}

fn take(key: &str) -> Cmd {
    let mut command = redis::cmd("GETDEL");
    command.arg(key);
    command
}

fn increment(key: &str) -> Cmd {
    let mut command = redis::cmd("INCR");
    command.arg(key);
    command
}
