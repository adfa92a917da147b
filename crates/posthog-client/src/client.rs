//! The client: one API key, one project, and how a request is sent.
//!
//! Invariant: a write is never retried once PostHog may have received it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::ACCEPT;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, SemaphorePermit};

use crate::connection::Connection;
use crate::decode::decode;
use crate::error::{Error, ErrorKind};
use crate::key_state::{KeyStanding, KeyState};
use crate::project::{Project, ResolvedProject};
use crate::quoted_key::without_key;
use crate::rate_limit::{Quota, RateLimiter};
use crate::request::Request;
use crate::response::{self, ResponseHead};
use crate::response_memory::Body;
use crate::retry;

/// PostHog with one API key and one project.
///
/// Cheap to clone. `@current` is resolved by the first call that needs it, and never again.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    waits: Option<UnboundedSender<WaitReason>>,
    large_responses: Option<LargeResponses>,
}

/// Who is notified of responses that take long to process.
#[derive(Clone)]
struct LargeResponses {
    min_bytes: usize,
    read: Arc<Notify>,
}

/// Why a call takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// PostHog's rate limit for the key is reached, or would be exceeded.
    RateLimit(Duration),
    /// The concurrency limit of the key is reached.
    Concurrency,
    /// A request failed and will be retried.
    Retry(Duration),
    /// The result of a write is not visible yet.
    Result,
    /// Many rows are being read.
    Rows {
        /// Those read so far.
        done: u64,
        /// All of them.
        total: Option<u64>,
    },
}

pub(crate) struct Inner {
    pub(crate) connection: Arc<Connection>,
    pub(crate) key: SecretString,
    rate_limiter: Arc<RateLimiter>,
    pub(crate) project: Project,
    pub(crate) resolved: ResolvedProject,
    /// What is known about the key of a caller. The operator's own key is taken for valid.
    pub(crate) state: Option<Arc<KeyState>>,
}

impl Client {
    /// A client for one key and one project. No request is made.
    #[must_use]
    pub fn new(connection: Arc<Connection>, key: SecretString, project: Project) -> Self {
        Self {
            inner: Arc::new(Inner {
                rate_limiter: connection.rate_limiters().of(key.expose_secret()),
                connection,
                key,
                project,
                resolved: ResolvedProject::default(),
                state: None,
            }),
            waits: None,
            large_responses: None,
        }
    }

    /// A client for the key of a caller, who may have made it up. Shares the state of the key, and so the project that
    /// `@current` was resolved to, with its other clients.
    #[must_use]
    pub fn of_caller(
        connection: Arc<Connection>,
        key: SecretString,
        project: Project,
        state: Arc<KeyState>,
    ) -> Self {
        let rate_limiters = connection.rate_limiters();
        let rate_limiter = match state.standing() {
            KeyStanding::Accepted => rate_limiters.of(key.expose_secret()),
            _ => rate_limiters.unverified(),
        };
        Self {
            inner: Arc::new(Inner {
                rate_limiter,
                connection,
                key,
                project,
                resolved: state.project.clone(),
                state: Some(state),
            }),
            waits: None,
            large_responses: None,
        }
    }

    /// A client with the same key for another project.
    #[must_use]
    pub fn in_project(&self, project: u64) -> Self {
        let (connection, key) = (self.connection(), self.inner.key.clone());
        Self::new(connection, key, Project::Number(project))
    }

    /// The same client, reporting every wait.
    #[must_use]
    pub fn with_progress(self, waits: UnboundedSender<WaitReason>) -> Self {
        Self {
            waits: Some(waits),
            ..self
        }
    }

    /// The same client, which notifies and yields once after it has read a response of this size, so that the caller can
    /// process it elsewhere.
    #[must_use]
    pub fn with_large_responses(self, min_bytes: usize, read: Arc<Notify>) -> Self {
        Self {
            large_responses: Some(LargeResponses { min_bytes, read }),
            ..self
        }
    }

    /// Reports that a call waits.
    pub fn notify(&self, reason: WaitReason) {
        if let Some(waits) = &self.waits {
            // The receiver may be gone: progress is best-effort.
            let _ = waits.send(reason);
        }
    }

    /// The pause before something is requested again: doubled with each attempt, from 0.
    #[must_use]
    pub fn backoff(&self, attempt: u32) -> Duration {
        self.inner.connection.retry_pause() * 2_u32.saturating_pow(attempt)
    }

    /// The connection, to be shared with other clients.
    #[must_use]
    pub fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.inner.connection)
    }

    /// The host, without path or credentials, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        self.inner.connection.host()
    }

    /// Tells the API key from others without showing it: the first 16 hexadecimal digits of its SHA-256.
    #[must_use]
    pub fn key_fingerprint(&self) -> String {
        let digest = Sha256::digest(self.inner.key.expose_secret().as_bytes());
        digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    pub(crate) async fn json<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, Error> {
        let body = self.send(&request).await?;
        decode(&body)
    }

    /// Sends a request, retries it as [`retry`] decides, and returns the body of a successful response.
    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Body, Error> {
        let base = self.inner.connection.retry_pause();
        let pause = |attempt, error: &Error, elapsed| {
            if request.quota == Quota::Query {
                retry::query_pause(attempt, error, base)
            } else {
                retry::pause(request.idempotent, attempt, error, elapsed, base)
            }
        };
        let sent = self.retrying(pause, || self.send_once(request)).await;
        sent.map_err(|error| error.with_subject(request.subject.as_deref()))
    }

    /// Repeats an exchange until it succeeds or `pause` allows no further attempt.
    pub(crate) async fn retrying<T, F: Future<Output = Result<T, Error>>>(
        &self,
        pause: impl Fn(u32, &Error, Duration) -> Option<Duration>,
        exchange: impl Fn() -> F,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let mut attempt = 0;
        loop {
            let error = match exchange().await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let Some(pause) = pause(attempt, &error, started.elapsed()) else {
                return Err(error);
            };
            self.notify(match error.kind() {
                ErrorKind::RateLimited { .. } => WaitReason::RateLimit(pause),
                _ => WaitReason::Retry(pause),
            });
            tracing::debug!(
                kind = error.kind().name(),
                attempt,
                ?pause,
                "retrying PostHog request"
            );
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    pub(crate) async fn send_once(&self, request: &Request<'_>) -> Result<Body, Error> {
        self.check_token().await?;
        self.transmit(request).await
    }

    /// Sends a request without checking the token first: the check itself is one.
    pub(crate) async fn transmit(&self, request: &Request<'_>) -> Result<Body, Error> {
        let response = self.exchange(request).await;
        if let Some(state) = &self.inner.state
            && request.shows_key(self.key_kind())
        {
            state.record(self.key_kind(), &response);
        }
        response
    }

    async fn exchange(&self, request: &Request<'_>) -> Result<Body, Error> {
        let connection = &self.inner.connection;
        let address = connection
            .address(&request.path, request.trailing_slash)
            .map_err(|error| {
                Error::new(ErrorKind::InvalidRequest).with_reason(error.to_string())
            })?;
        let is_query = request.quota == Quota::Query;
        let _query_slot = match is_query {
            true => Some(self.acquire_query_slot().await?),
            false => None,
        };
        // Held until the body is read: bodies cost memory.
        let _slot = self.acquire_slot().await?;
        self.acquire_quota(request.quota).await?;
        let mut builder = connection
            .http()
            .request(request.method.clone(), address)
            .bearer_auth(self.inner.key.expose_secret())
            .header(ACCEPT, request.accept);
        if !request.query.is_empty() {
            builder = builder.query(&request.query);
        }
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        if is_query {
            builder = builder.timeout(connection.query_timeout());
        }
        let response = builder.send().await.map_err(Error::from_transport);
        let status = response.as_ref().map_or("error".to_owned(), |response| {
            response.status().as_u16().to_string()
        });
        metrics::counter!("posthog_requests_total", "status" => status).increment(1);
        let response = response?;
        let head = ResponseHead::new(&response);
        let body = connection
            .read(response, request.max_bytes, request.size_limit)
            .await?;
        if let Some(large) = &self.large_responses
            && body.len() >= large.min_bytes
        {
            large.read.notify_one();
            tokio::task::yield_now().await;
        }
        let key = self.inner.key.expose_secret();
        let body = body.map(|body| without_key(body, head.status, key));
        if head.status.is_success() && head.html {
            // A login page or a load balancer's. It says nothing about the key or the request.
            let expected = match request.accept {
                "text/csv" => "CSV",
                _ => "JSON",
            };
            return Err(Error::new(ErrorKind::InvalidResponse)
                .with_reason(format!("it is a web page, not {expected}")));
        }
        if head.status.is_success() || (head.status.is_server_error() && (request.is_result)(&body))
        {
            return Ok(body);
        }
        let last_segment = request.path.last().unwrap_or(&"");
        let error = response::classify(&head, &body, last_segment, !request.idempotent);
        if matches!(error.kind(), ErrorKind::RateLimited { .. }) {
            connection.rate_limiters().enforce();
        }
        Err(error)
    }

    /// Waits for the concurrency limit of the key's queries.
    async fn acquire_query_slot(&self) -> Result<SemaphorePermit<'_>, Error> {
        let rate_limiter = &self.inner.rate_limiter;
        if let Some(slot) = rate_limiter.try_acquire_query_slot() {
            return Ok(slot);
        }
        self.notify(WaitReason::Concurrency);
        let slot = rate_limiter.acquire_query_slot().await;
        slot.ok_or_else(|| Error::new(ErrorKind::QueueTimeout))
    }

    /// Waits for the concurrency limit of the key.
    async fn acquire_slot(&self) -> Result<SemaphorePermit<'_>, Error> {
        let rate_limiter = &self.inner.rate_limiter;
        if let Some(slot) = rate_limiter.try_acquire_slot() {
            return Ok(slot);
        }
        self.notify(WaitReason::Concurrency);
        let slot = rate_limiter.acquire_slot().await;
        slot.ok_or_else(|| Error::new(ErrorKind::QueueTimeout))
    }

    /// Waits for PostHog's rate limit for the key.
    async fn acquire_quota(&self, kind: Quota) -> Result<(), Error> {
        let rate_limiters = self.inner.connection.rate_limiters();
        match rate_limiters.take(&self.inner.rate_limiter, kind) {
            Ok(Duration::ZERO) => Ok(()),
            Ok(wait) => {
                self.notify(WaitReason::RateLimit(wait));
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Err(wait) => Err(Error::new(ErrorKind::RateLimitedLocally { wait })),
        }
    }
}
