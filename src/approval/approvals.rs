//! The questions that are served, and the listener that lives as long as there is one.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::{Instant, timeout};
use url::Url;
use uuid::Uuid;

use super::browser;
use super::entry::{Answer, Entry, PendingCall, State};
use super::listener;
use crate::question::Question;
use crate::sync::lock;

/// Open questions of one caller: each is a page that a person has to read.
const MAX_PER_PRINCIPAL: usize = 8;
/// Questions that are served at the same time, answered ones included.
const MAX: usize = 256;

/// Where and how long pages are served.
#[derive(Debug, Clone)]
pub struct ApprovalOptions {
    /// Where to listen; port 0 is a free port.
    pub bind: SocketAddr,
    /// Where a browser reaches the listener, unless that is the address that it listens on.
    pub url: Option<Url>,
    /// Whether to open the page in the user's browser.
    pub open_browser: bool,
    /// How long a call waits for the answer.
    pub wait: Duration,
    /// How long the outcome is served.
    pub linger: Duration,
}

impl Default for ApprovalOptions {
    fn default() -> Self {
        Self {
            bind: (Ipv4Addr::LOCALHOST, 0).into(),
            url: None,
            open_browser: false,
            wait: Duration::from_secs(25),
            linger: Duration::from_secs(60),
        }
    }
}

/// The approval pages of a process. Cheap to clone.
#[derive(Clone)]
pub struct Approvals(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) options: ApprovalOptions,
    entries: Mutex<HashMap<String, Arc<Entry>>>,
    /// The address of the listener, while there is one. Held while it is started and ended.
    pub(super) listening: AsyncMutex<Option<SocketAddr>>,
    /// Notified when a page may have to be served longer or shorter.
    pub(super) changed: Notify,
}

/// A question that is served.
pub struct OpenApproval {
    /// The address of its page.
    pub address: String,
}

impl Approvals {
    /// Nothing is served, and nothing listens.
    #[must_use]
    pub fn new(options: ApprovalOptions) -> Self {
        Self(Arc::new(Inner {
            options,
            entries: Mutex::default(),
            listening: AsyncMutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Serves a question under a new address.
    ///
    /// # Errors
    /// Why it is not served.
    pub async fn open(
        &self,
        nonce: Uuid,
        principal: &str,
        question: &Question,
        ttl: Duration,
    ) -> Result<OpenApproval, String> {
        let inner = &self.0;
        let mut listening = inner.listening.lock().await;
        let entry = Arc::new(Entry::new(nonce, principal, question, ttl));
        let path = entry.path.clone();
        inner.insert(entry)?;
        let bound = match *listening {
            Some(bound) => Ok(bound),
            None => listener::start(inner).await,
        };
        let bound = bound.map_err(|error| {
            lock(&inner.entries).remove(&path);
            let bind = inner.options.bind;
            format!("the approval page could not be served on {bind} (--approval-bind): {error}")
        })?;
        *listening = Some(bound);
        inner.changed.notify_one();
        let address = format!("{}/{path}", inner.base(bound));
        if inner.options.open_browser {
            browser::open(&address);
        }
        Ok(OpenApproval { address })
    }

    /// The address of a question's page, while it is served.
    pub async fn address(&self, nonce: Uuid) -> Option<String> {
        let bound = (*self.0.listening.lock().await)?;
        let entry = self.0.named(nonce)?;
        Some(format!("{}/{}", self.0.base(bound), entry.path))
    }

    /// A call that waits for the answer to a question, while that is served.
    #[must_use]
    pub fn call(&self, nonce: Uuid) -> Option<PendingCall> {
        self.0.named(nonce).map(PendingCall::begin)
    }

    /// The answer to a question, once there is one or `time` is up.
    pub async fn answer(&self, nonce: Uuid, time: Duration) -> Answer {
        let Some(entry) = self.0.named(nonce) else {
            return Answer::Gone;
        };
        let _ = timeout(time, entry.changed_from(State::Open)).await;
        entry.answer()
    }

    /// How long a call waits for an answer.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.0.options.wait
    }

    /// The facts are no longer those of the page: it can no longer be answered or used.
    pub fn facts_changed(&self, nonce: Uuid) {
        self.set(nonce, State::Changed, |state| {
            matches!(state, State::Open | State::Approved)
        });
    }

    /// Uses the approval, directly before the request is sent: whether there was one to use.
    #[must_use]
    pub fn sending(&self, nonce: Uuid) -> bool {
        self.set(nonce, State::Sending, |state| state == State::Approved)
    }

    /// What became of the request, in a sentence for the reader.
    pub fn finished(&self, nonce: Uuid, outcome: &'static str) {
        self.set(nonce, State::Finished(outcome), |state| {
            state == State::Sending
        });
    }

    fn set(&self, nonce: Uuid, next: State, from: impl Fn(State) -> bool) -> bool {
        let entry = self.0.named(nonce);
        let goes_on = entry.is_some_and(|entry| entry.set(next, from));
        self.0.changed.notify_one();
        goes_on
    }
}

impl Inner {
    fn insert(&self, entry: Arc<Entry>) -> Result<(), String> {
        let mut entries = lock(&self.entries);
        let own = entries
            .values()
            .filter(|other| other.principal == entry.principal && other.state() == State::Open);
        if own.count() >= MAX_PER_PRINCIPAL || entries.len() >= MAX {
            return Err(format!(
                "{MAX_PER_PRINCIPAL} approval pages are open already; the user has to answer one of them, or wait until they expire"
            ));
        }
        entries.insert(entry.path.clone(), entry);
        Ok(())
    }

    /// The question at this path.
    pub(super) fn at(&self, path: &str) -> Option<Arc<Entry>> {
        lock(&self.entries).get(path).cloned()
    }

    fn named(&self, nonce: Uuid) -> Option<Arc<Entry>> {
        let entries = lock(&self.entries);
        entries.values().find(|entry| entry.nonce == nonce).cloned()
    }

    /// Removes what is no longer served; when to look again, if anything is left.
    pub(super) fn tidy(&self) -> Option<Instant> {
        let mut entries = lock(&self.entries);
        let now = Instant::now();
        let linger = self.options.linger;
        entries.retain(|_, entry| entry.served_until(linger) > now);
        entries
            .values()
            .map(|entry| entry.served_until(linger))
            .min()
    }

    /// Where a browser reaches the listener.
    fn base(&self, bound: SocketAddr) -> String {
        match &self.options.url {
            Some(url) => url.origin().ascii_serialization(),
            None => format!("http://{bound}"),
        }
    }

    /// The origins whose pages these are.
    pub(super) fn origins(&self, bound: SocketAddr) -> Vec<String> {
        let own = format!("http://{bound}");
        let url = self.options.url.as_ref();
        let url = url.map(|url| url.origin().ascii_serialization());
        url.into_iter().chain([own]).collect()
    }
}
