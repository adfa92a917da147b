//! The PostHog Persons API over HTTP, one method per endpoint.
//!
//! Knows HTTP and PostHog; knows nothing of MCP, of the settings' names, or of how an answer is worded for a model.

mod access;
mod connection;
mod date;
mod discovery;
mod endpoint;
mod error;
mod filter;
mod history;
mod insights;
mod person;
mod persons;
mod project;
mod retry;
mod throttle;
mod visit;
mod writes;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::ACCEPT;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OnceCell, SemaphorePermit};

pub use access::{Access, Grants, Opens};
pub use connection::{Connection, ConnectionError, ConnectionOptions, RESPONSE_BYTES};
pub use date::{is_date, is_timestamp};
pub use discovery::{Asker, KeyFacts, KeyKind, Region, Standing};
pub use error::{Error, ErrorKind};
pub use filter::{EventFilter, Filter, FilterType, Operator};
pub use history::{
    Activity, ActivityPage, Actor, Change, DeletionStatus, DeletionStatusPage, DeletionStatusQuery,
    Detail, PropertiesAtTimeQuery, PropertiesAtTimeSubject, PropertiesTimeline, TimelinePoint,
};
pub use insights::{ActorPage, Arguments};
pub use person::{Cohort, Person, PersonId, PersonPage, Properties, PropertyValue, PropertyValues};
pub use persons::{BATCH_SIZE, LISTED_DISTINCT_IDS, MINIMAL_DISTINCT_IDS, PersonsQuery};
pub use project::Project;
pub use visit::{Answerer, Trouble, Visit};
pub use writes::{
    BulkDeletion, BulkDeletionSummary, DeletionError, MOST_DELETED, is_creator, split_uuid,
};

use endpoint::Query;
use throttle::Throttle;

/// PostHog as one credential sees it: a connection, a key, and the project that every call is about.
///
/// Cheap to clone. The project is looked up once, by the first call that needs it, and never changes afterwards.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    waits: Option<UnboundedSender<Wait>>,
}

/// Why a call waits, for whoever wants to know meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// PostHog has had enough requests of this key, or would have.
    RateLimit(Duration),
    /// Other requests of this key are under way, as many as are sent at once.
    Turn,
    /// PostHog failed and is asked again.
    Retry(Duration),
    /// What was sent is being looked for.
    Result,
}

struct Inner {
    connection: Arc<Connection>,
    key: SecretString,
    throttle: Arc<Throttle>,
    project: Project,
    resolved: ResolvedProject,
}

/// A project's number once it is known. Clones share it; it holds no key.
#[derive(Debug, Clone, Default)]
pub struct ResolvedProject(Arc<OnceCell<u64>>);

/// One request, as far as it does not depend on the client that sends it.
struct Request<'a> {
    method: Method,
    /// Path segments after the host; each is percent-encoded.
    path: Vec<&'a str>,
    /// Whether the path ends with a slash, as all of the API's do.
    slash: bool,
    query: Query,
    body: Option<Value>,
    accept: &'static str,
    /// Whether sending it twice does no harm. `POST` reads are repeatable, writes never.
    repeatable: bool,
    /// What PostHog counts it as.
    counted: throttle::Kind,
    /// What the request is about, for "not found": never more than the identifier the caller gave.
    subject: Option<String>,
    /// Read no more bytes of the answer than this, and leave the rest.
    cut_at: Option<usize>,
}

impl<'a> Request<'a> {
    fn get(path: Vec<&'a str>) -> Self {
        Self {
            method: Method::GET,
            path,
            slash: true,
            query: Query::new(),
            body: None,
            accept: "application/json",
            repeatable: true,
            counted: throttle::Kind::Other,
            subject: None,
            cut_at: None,
        }
    }

    /// A `POST` that only reads: its arguments do not fit into an address.
    fn read_by_post(path: Vec<&'a str>, body: Value) -> Self {
        Self {
            method: Method::POST,
            body: Some(body),
            ..Self::get(path)
        }
    }

    fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
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
                throttle: connection.throttles().of(key.expose_secret()),
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
    pub fn telling(self, waits: UnboundedSender<Wait>) -> Self {
        Self {
            waits: Some(waits),
            ..self
        }
    }

    /// Tells that a call waits.
    pub fn tell(&self, wait: Wait) {
        if let Some(waits) = &self.waits {
            // Whoever no longer listens need not know.
            let _ = waits.send(wait);
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

    /// Where a person reads about this person in PostHog's own pages.
    ///
    /// # Errors
    /// When the project is not known yet and PostHog does not tell.
    pub async fn person_url(&self, uuid: &str) -> Result<String, Error> {
        let project = self.project().await?.to_string();
        let path = ["project", &project, "person", uuid];
        Ok(self
            .inner
            .connection
            .address(&path, false)
            .map_err(|error| Error::new(ErrorKind::Request).with_reason(error.to_string()))?
            .into())
    }

    async fn json<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, Error> {
        let body = self.send(&request).await?;
        decode(&body)
    }

    /// Sends a request, again where that is safe and promising (see [`retry`]), and returns a successful answer's body.
    async fn send(&self, request: &Request<'_>) -> Result<Vec<u8>, Error> {
        let started = Instant::now();
        let mut attempt = 0;
        loop {
            let error = match self.send_once(request).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let pause = retry::pause(
                request.repeatable,
                attempt,
                &error,
                started.elapsed(),
                self.inner.connection.retry_pause(),
            );
            let Some(pause) = pause else {
                return Err(error.about(request.subject.as_deref()));
            };
            self.tell(match error.kind() {
                ErrorKind::RateLimited { .. } => Wait::RateLimit(pause),
                _ => Wait::Retry(pause),
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

    async fn send_once(&self, request: &Request<'_>) -> Result<Vec<u8>, Error> {
        let connection = &self.inner.connection;
        let address = connection
            .address(&request.path, request.slash)
            .map_err(|error| Error::new(ErrorKind::Request).with_reason(error.to_string()))?;
        // Until the whole answer is read: answers that are being read cost memory.
        let _turn = self.turn().await?;
        self.take_place(request.counted).await?;
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
        let head = error::Head::of(&response);
        let body = connection.read(response, request.cut_at).await?;
        if head.status.is_success() {
            return Ok(body);
        }
        let error = error::classify(&head, &body).without(self.inner.key.expose_secret());
        if matches!(error.kind(), ErrorKind::RateLimited { .. }) {
            connection.throttles().limited();
        }
        Err(error)
    }

    /// Waits until fewer requests of this key are under way than may be.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Error> {
        let throttle = &self.inner.throttle;
        if let Some(turn) = throttle.free_turn() {
            return Ok(turn);
        }
        self.tell(Wait::Turn);
        let turn = throttle.turn().await;
        turn.ok_or_else(|| Error::new(ErrorKind::Busy))
    }

    /// Waits until PostHog would take one more request of this key.
    async fn take_place(&self, kind: throttle::Kind) -> Result<(), Error> {
        let throttles = self.inner.connection.throttles();
        match throttles.take(&self.inner.throttle, kind) {
            Ok(Duration::ZERO) => Ok(()),
            Ok(wait) => {
                self.tell(Wait::RateLimit(wait));
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Err(wait) => Err(Error::new(ErrorKind::HeldBack { wait })),
        }
    }
}

/// Reads a JSON answer into its type.
///
/// The error names the place in the answer but quotes nothing of it: what stands there may be somebody's data.
fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let unreadable = |reason| Error::new(ErrorKind::Unreadable).with_reason(reason);
    // Looked at once as a whole; otherwise each piece would be.
    let Ok(text) = std::str::from_utf8(body) else {
        return Err(unreadable("it is not text".to_owned()));
    };
    serde_json::from_str(text).map_err(|error| {
        unreadable(match error.classify() {
            serde_json::error::Category::Data => match field_at(text, &error) {
                Some(field) => format!("its field `{field}` has an unexpected shape"),
                None => "it has an unexpected shape".to_owned(),
            },
            serde_json::error::Category::Eof => "it ends too early".to_owned(),
            _ if error::looks_like_html(body) => "it is a web page, not JSON".to_owned(),
            _ if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
                "it is nested too deeply, or holds text that is no text".to_owned()
            }
            _ => "it is not JSON".to_owned(),
        })
    })
}

/// The field of an answer in which reading it failed, unless that is the answer as a whole. Deeper places can be named
/// after somebody: batches are maps from distinct ids.
fn field_at(text: &str, error: &serde_json::Error) -> Option<String> {
    let lines = text.split_inclusive('\n');
    let above: usize = lines
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let failed = above + error.column();
    let fields: HashMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let mut fields = fields.into_iter();
    fields.find_map(|(name, value)| {
        let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
        (start..=start + value.get().len())
            .contains(&failed)
            .then_some(name)
    })
}
