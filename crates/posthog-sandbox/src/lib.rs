//! An honest imitation of the PostHog Persons HTTP API, in memory: used by `--sandbox`, by the demo
//! and by the tests, as a witness that shares no code with the client.
//!
//! It imitates the contract and never a client: it imports nothing of the rest of this project, and
//! speaks raw JSON. It is stricter than PostHog where PostHog shrugs: whatever no client should
//! send is refused loudly and remembered in [`Sandbox::violations`].
//!
//! Not imitated: ingestion over the capture hosts (there is [`Sandbox::capture`] instead),
//! throttling by itself (there is [`FaultKind::Throttle`]), the six-hour cache of property values,
//! sampling, recordings, and the e-mails of a person.

mod answer;
mod arguments;
mod batch;
mod call;
mod clock;
mod connection;
mod control;
mod csv;
mod dates;
mod deletions;
mod discovery;
mod distortion;
mod entities;
mod faults;
mod filters;
mod funnel;
mod funnel_steps;
mod generated;
mod history;
mod hostile;
mod identity;
mod incoming;
mod insights;
mod keys;
mod oauth;
mod pattern;
mod persons;
mod properties;
mod routes;
mod seed;
mod server;
mod state;
mod stores;
mod story;
mod values;
mod world;
mod writes;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use clock::Clock;
pub use distortion::ResponseFault;
pub use faults::{Behaviors, Fault, FaultKind};
pub use incoming::RecordedRequest;
pub use keys::Key;

use server::{Shared, lock};
use state::State;
use world::Capture;

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Generated persons besides those of the story, all older than it.
    pub persons: usize,
    pub deletion_mode: DeletionMode,
    pub clock: Clock,
    /// Older servers: splitting off a person's creator id changes nothing, and blanks the person in
    /// the analytics store. Always so with [`DeletionMode::Immediate`].
    pub creator_split_is_noop: bool,
    /// The batch endpoints declare no scope, and are closed to keys.
    pub batch_closed_to_keys: bool,
    /// The properties that a display name is looked for in, in this order.
    pub display_properties: Vec<String>,
    /// Keys that are accepted besides the constants of [`Sandbox`].
    pub keys: Vec<Key>,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            persons: 0,
            deletion_mode: DeletionMode::default(),
            clock: Clock::default(),
            creator_split_is_noop: false,
            batch_closed_to_keys: false,
            display_properties: ["email", "name", "username"].map(str::to_owned).to_vec(),
            keys: Vec::new(),
        }
    }
}

/// How bulk deletions are carried out (contract section 0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionMode {
    /// Before September 2026: a bulk deletion is complete when the response is sent.
    Immediate,
    /// Since then: bulk deletions are queued, and `persons_deleted: 0` is success.
    #[default]
    Queued,
}

/// A running sandbox. Handles are cheap to clone; it stops with [`Sandbox::stop`] or when the last
/// handle is dropped.
#[derive(Clone)]
pub struct Sandbox(Arc<Running>);

struct Running {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Sandbox {
    /// A key with the scope `*`, which opens everything that declares a scope.
    pub const KEY: &str = "phx_sandbox_all_scopes";
    /// A key from before scopes: opens funnel, trends, lifecycle and timeline as well.
    pub const LEGACY_KEY: &str = "phx_sandbox_legacy";
    /// A key with `person:read` and nothing else, not even `user:read`.
    pub const READ_KEY: &str = "phx_sandbox_person_read";
    /// A project token, which is no key and gets the same 401 as a wrong one.
    pub const PROJECT_TOKEN: &str = "phc_sandbox_project_token";
    /// The project of the story.
    pub const PROJECT: u64 = discovery::PROJECT;

    /// Starts serving on this listener, in a task of the current runtime.
    pub async fn start(listener: TcpListener, options: SandboxOptions) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let keys = vec![
            Key::scoped(Self::KEY, &["*"]),
            Key::legacy(Self::LEGACY_KEY),
            Key::scoped(Self::READ_KEY, &["person:read"]),
        ];
        let state = Arc::new(Mutex::new(State::new(options, keys)));
        let (stop, stopped) = watch::channel(false);
        let shared = Shared {
            state: Arc::clone(&state),
            stop: stopped,
        };
        server::spawn(listener, shared);
        Ok(Self(Arc::new(Running {
            state,
            address,
            stop,
        })))
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// Every request of the API so far, in the order of arrival. A sandbox that has seen very many
    /// forgets the oldest.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state().requests.iter().cloned().collect()
    }

    pub fn clear_requests(&self) {
        self.state().requests.clear();
    }

    /// Everything that a client should not have sent. A test does well to find this empty.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    pub fn clear_violations(&self) {
        self.state().violations.clear();
    }

    /// Lets a fault strike the next requests that it fits; the first injected strikes first.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.inject(fault);
    }

    /// Takes back what has not struck yet.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Changes the lasting state of the imitated server.
    pub fn update_behaviors(&self, change: impl FnOnce(&mut Behaviors)) {
        change(&mut self.state().behaviors);
    }

    /// Moves the virtual clock, and lets happen what falls due.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.settled();
        state.clock.advance(by);
        state.settled();
    }

    /// The virtual time as the API would write it.
    pub fn now(&self) -> String {
        dates::text(self.state().clock.now())
    }

    /// Takes in an event at this moment, as PostHog's ingestion would: `$set` and `$set_once` are
    /// read from its properties.
    pub fn capture(&self, distinct_id: &str, event: &str, properties: Map<String, Value>) {
        let capture = Capture::read(distinct_id, event, properties);
        let mut state = self.state();
        let (world, now) = state.settled();
        world.capture(now, capture);
    }

    /// Stops listening and closes the connections. Requests under way are still answered.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}
