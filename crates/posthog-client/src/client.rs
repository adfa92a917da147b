//! The client: one credential, one project, and what happens to each request.
//!
//! Invariant: a write is never sent again once PostHog may have received it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::ACCEPT;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::sync::SemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;

use crate::connection::Connection;
use crate::decode::decode;
use crate::error::{Error, ErrorKind};
use crate::project::{Project, ResolvedProject};
use crate::rate_limit::{self, RateLimiter};
use crate::request::Request;
use crate::response::{self, ResponseHead};
use crate::retry;

/// PostHog as one credential sees it: a connection, a key, and the project that every call is about.
///
/// Cheap to clone. The project is looked up once, by the first call that needs it, and never changes afterwards.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    waits: Option<UnboundedSender<WaitReason>>,
}

/// Why a call waits, for whoever wants to know meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// PostHog has had enough requests of this key, or would have.
    RateLimit(Duration),
    /// Other requests of this key are under way, as many as are sent at once.
    Concurrency,
    /// PostHog failed and is asked again.
    Retry(Duration),
    /// What was sent is being looked for.
    Result,
}

pub(crate) struct Inner {
    pub(crate) connection: Arc<Connection>,
    pub(crate) key: SecretString,
    rate_limiter: Arc<RateLimiter>,
    pub(crate) project: Project,
    pub(crate) resolved: ResolvedProject,
}

impl Client {
    /// A client for one key and one project. No request is made.
    #[must_use]
    pub fn new(connection: Arc<Connection>, key: SecretString, project: Project) -> Self {
        Self::with_resolved(connection, key, project, ResolvedProject::default())
    }

    /// As [`Client::new`], where another client of the same key may have found out the project already.
    #[must_use]
    pub fn with_resolved(
        connection: Arc<Connection>,
        key: SecretString,
        project: Project,
        resolved: ResolvedProject,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                rate_limiter: connection.rate_limiters().of(key.expose_secret()),
                connection,
                key,
                project,
                resolved,
            }),
            waits: None,
        }
    }

    /// The same client, telling whenever it waits.
    #[must_use]
    pub fn with_progress(self, waits: UnboundedSender<WaitReason>) -> Self {
        Self {
            waits: Some(waits),
            ..self
        }
    }

    /// Tells that a call waits.
    pub fn notify(&self, reason: WaitReason) {
        if let Some(waits) = &self.waits {
            // Whoever no longer listens need not know.
            let _ = waits.send(reason);
        }
    }

    /// The way to PostHog, for other clients to share.
    #[must_use]
    pub fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.inner.connection)
    }

    /// The host that is asked, without path or credentials: what an error may name.
    #[must_use]
    pub fn host(&self) -> &str {
        self.inner.connection.host()
    }

    pub(crate) async fn json<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, Error> {
        let body = self.send(&request).await?;
        decode(&body)
    }

    /// Sends a request, again where that is safe and promising (see [`retry`]), and returns a successful answer's body.
    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Vec<u8>, Error> {
        let started = Instant::now();
        let mut attempt = 0;
        loop {
            let error = match self.send_once(request).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let pause = retry::pause(
                request.idempotent,
                attempt,
                &error,
                started.elapsed(),
                self.inner.connection.retry_pause(),
            );
            let Some(pause) = pause else {
                return Err(error.with_subject(request.subject.as_deref()));
            };
            self.notify(match error.kind() {
                ErrorKind::RateLimited { .. } => WaitReason::RateLimit(pause),
                _ => WaitReason::Retry(pause),
            });
            tracing::debug!(
                kind = error.kind().name(),
                attempt,
                ?pause,
                "asking PostHog again"
            );
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    pub(crate) async fn send_once(&self, request: &Request<'_>) -> Result<Vec<u8>, Error> {
        let connection = &self.inner.connection;
        let address = connection
            .address(&request.path, request.slash)
            .map_err(|error| {
                Error::new(ErrorKind::InvalidRequest).with_reason(error.to_string())
            })?;
        // Until the whole answer is read: answers that are being read cost memory.
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
        let response = builder.send().await.map_err(Error::from_transport);
        let status = response.as_ref().map_or("error".to_owned(), |response| {
            response.status().as_u16().to_string()
        });
        metrics::counter!("posthog_requests_total", "status" => status).increment(1);
        let response = response?;
        let head = ResponseHead::new(&response);
        let body = connection.read(response, request.max_bytes).await?;
        if head.status.is_success() {
            return Ok(body);
        }
        let error = response::classify(&head, &body).redact_key(self.inner.key.expose_secret());
        if matches!(error.kind(), ErrorKind::RateLimited { .. }) {
            connection.rate_limiters().enforce();
        }
        Err(error)
    }

    /// Waits until fewer requests of this key are under way than may be.
    async fn acquire_slot(&self) -> Result<SemaphorePermit<'_>, Error> {
        let rate_limiter = &self.inner.rate_limiter;
        if let Some(slot) = rate_limiter.try_acquire_slot() {
            return Ok(slot);
        }
        self.notify(WaitReason::Concurrency);
        let slot = rate_limiter.acquire_slot().await;
        slot.ok_or_else(|| Error::new(ErrorKind::QueueTimeout))
    }

    /// Waits until PostHog would take one more request of this key.
    async fn acquire_quota(&self, kind: rate_limit::Quota) -> Result<(), Error> {
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
