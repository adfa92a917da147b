//! The handle of a running sandbox: starting, inspecting, and controlling it from the same process.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;

use crate::faults::Fault;
use crate::fixtures::LONG_HISTORY;
use crate::handlers::discovery::PROJECT;
use crate::http::{Key, RecordedRequest};
use crate::model::{Capture, dates};
use crate::options::{Behaviors, SandboxOptions};
use crate::server::{AppState, SandboxState, lock, spawn};

/// A running sandbox. Handles are cheap to clone; the sandbox stops with [`Sandbox::stop`] or when the last handle is
/// dropped.
#[derive(Clone)]
pub struct Sandbox(Arc<Running>);

struct Running {
    state: Arc<Mutex<SandboxState>>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Sandbox {
    /// A key with the scope `*`, which grants every scope that an endpoint can declare.
    pub const KEY: &str = "phx_sandbox_all_scopes";
    /// A key from before scopes: may call funnel, trends, lifecycle and timeline as well.
    pub const LEGACY_KEY: &str = "phx_sandbox_legacy";
    /// A key with `person:read` and nothing else, not even `user:read`.
    pub const READ_KEY: &str = "phx_sandbox_person_read";
    /// The token of the seeded project: captures events. It is not an API key, and rejected with the same 401 as a wrong one.
    pub const PROJECT_TOKEN: &str = "phc_sandbox_project_token";
    /// The seeded project.
    pub const PROJECT: u64 = PROJECT;
    /// The person with the events of [`SandboxOptions::events`].
    pub const LONG_HISTORY: Uuid = LONG_HISTORY;

    /// Starts serving on this listener, in a task of the current runtime.
    pub async fn start(listener: TcpListener, options: SandboxOptions) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let keys = vec![
            Key::scoped(Self::KEY, &["*"]),
            Key::legacy(Self::LEGACY_KEY),
            Key::scoped(Self::READ_KEY, &["person:read"]),
        ];
        let state = Arc::new(Mutex::new(SandboxState::new(options, keys)));
        let (stop, stopped) = watch::channel(false);
        let app = AppState {
            state: Arc::clone(&state),
            stop: stopped,
        };
        spawn(listener, app);
        Ok(Self(Arc::new(Running {
            state,
            address,
            stop,
        })))
    }

    /// `http://127.0.0.1:PORT`, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// The requests received so far, in order of arrival; beyond 20,000 the oldest are dropped.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state().requests.iter().cloned().collect()
    }

    pub fn clear_requests(&self) {
        self.state().requests.clear();
    }

    /// What clients sent and should not have, one line per violation. Tests assert that it is empty.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    pub fn clear_violations(&self) {
        self.state().violations.clear();
    }

    /// Applies a fault to the next requests that match it; of several matching faults the first injected is used first.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.inject(fault);
    }

    /// Removes the faults that have not been used up.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Changes the lasting behavior of the simulated server.
    pub fn update_behaviors(&self, change: impl FnOnce(&mut Behaviors)) {
        change(&mut self.state().behaviors);
    }

    /// Moves the virtual clock forward, and runs the effects that fall due.
    pub fn advance(&self, by: Duration) {
        self.state().advance(by);
    }

    /// The virtual time as the API writes it.
    pub fn now(&self) -> String {
        dates::format_time(self.state().clock.now())
    }

    /// Captures an event at this moment, as PostHog's ingestion does: `$set` and `$set_once` are read from its
    /// properties.
    pub fn capture(&self, distinct_id: &str, event: &str, properties: Map<String, Value>) {
        let capture = Capture::read(distinct_id, event, properties);
        let mut state = self.state();
        let (project, now) = state.current_project();
        project.capture(now, capture);
    }

    /// The types of the warnings that ingestion has left in the seeded project, oldest first.
    pub fn ingestion_warnings(&self) -> Vec<&'static str> {
        self.state().current_project().0.warnings.clone()
    }

    /// Stops listening and closes the connections. Requests that have been received are still answered.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    fn state(&self) -> MutexGuard<'_, SandboxState> {
        lock(&self.0.state)
    }
}
