//! An HTTP server in this process, with its sandbox.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use posthog_client::{Client, Connection, ConnectionOptions, Project};
use posthog_persons_mcp::coordination::Store;
use posthog_persons_mcp::http::{
    AuthMode, Credentials, HostPolicy, HttpLimits, HttpOptions, KeyRegistry, Metrics, serve,
};
use posthog_persons_mcp::output::{OutputOptions as Budget, Redaction};
use posthog_persons_mcp::policy::{Confirm, Policy};
use posthog_persons_mcp::server::confirmation::Confirmer;
use posthog_persons_mcp::server::{Server, WriteGuards};
use posthog_persons_mcp::tools::{catalog, scopes};
use posthog_sandbox::{Clock, Key, Sandbox};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Caller, JOHN, MARY, caller};
use crate::exports::Folder;
use crate::wire::TIMEOUT;

/// The metrics of this process, shared by all servers in it.
pub(super) fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| Metrics::install().unwrap()).clone()
}

/// The configuration of an HTTP server.
pub(super) struct Setup {
    pub(super) sandbox: posthog_sandbox::SandboxOptions,
    /// The host of PostHog, if it is not the sandbox.
    pub(super) upstream: Option<String>,
    /// The bearer token of a server with its own API key; `None` for per-request keys.
    pub(super) shared: Option<Option<&'static str>>,
    pub(super) project: Project,
    pub(super) policy: Policy,
    pub(super) confirm: Confirm,
    pub(super) state_key: Option<&'static str>,
    pub(super) host_policy: HostPolicy,
    pub(super) limits: HttpLimits,
    pub(super) redaction: Redaction,
    pub(super) legacy_sse: bool,
    /// What OAuth tokens must be meant for.
    pub(super) resource: Option<&'static str>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            sandbox: posthog_sandbox::SandboxOptions {
                clock: Clock::Manual,
                keys: vec![Key::scoped(MARY, &["*"]), Key::scoped(JOHN, &["*"])],
                ..posthog_sandbox::SandboxOptions::default()
            },
            upstream: None,
            shared: None,
            project: Project::Number(Sandbox::PROJECT),
            policy: Policy::default(),
            confirm: Confirm::Auto,
            state_key: None,
            host_policy: HostPolicy::default(),
            limits: HttpLimits::default(),
            redaction: Redaction::default(),
            legacy_sse: true,
            resource: None,
        }
    }
}

/// An HTTP server with its sandbox.
pub(super) struct Team {
    pub(super) sandbox: Sandbox,
    pub(super) address: SocketAddr,
    /// Where exports are until they are downloaded.
    pub(super) exports: Folder,
    pub(super) stop: CancellationToken,
    pub(super) served: JoinHandle<std::io::Result<()>>,
}

pub(super) async fn team() -> Team {
    team_with(Setup::default()).await
}

pub(super) async fn team_with(mut setup: Setup) -> Team {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let options = std::mem::take(&mut setup.sandbox);
    let sandbox = Sandbox::start(listener, options).await.unwrap();
    team_on(sandbox, setup).await
}

/// Another server on an existing sandbox.
pub(super) async fn team_on(sandbox: Sandbox, setup: Setup) -> Team {
    let upstream = setup.upstream.unwrap_or_else(|| sandbox.url());
    let mut options = ConnectionOptions::new(upstream.parse().unwrap());
    options.retry_pause = Duration::from_millis(1);
    let connection = Arc::new(Connection::new(&options).unwrap());
    let auth_mode = match setup.shared {
        None => AuthMode::PerRequestKey,
        Some(token) => AuthMode::ServerKey {
            posthog: Client::new(
                Arc::clone(&connection),
                SecretString::from(Sandbox::KEY),
                setup.project,
            ),
            token: token.map(SecretString::from),
        },
    };
    let mut confirmer = Confirmer::new(setup.confirm, None).with_min_reading_time(Duration::ZERO);
    if let Some(key) = setup.state_key {
        confirmer = confirmer.with_key(&SecretString::from(key));
    }
    let policy = setup.policy;
    let tools = catalog()
        .into_iter()
        .filter(|tool| policy.offers(tool.name, tool.toolset, tool.effect));
    let offered: Vec<_> = tools.collect();
    let scopes = scopes(&offered).into_iter().collect();
    // Tests read the fields.
    let budget = Budget {
        structured: true,
        redaction: setup.redaction,
        ..Budget::default()
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let folder = Folder::new();
    let exports = folder.served_at(&format!("http://{address}"));
    let server = Server::shared(
        offered,
        budget,
        WriteGuards {
            confirmer,
            audit: None,
        },
        Store::default(),
        Some(exports.clone()),
    );
    let options = HttpOptions {
        credentials: Credentials {
            public_url: format!("http://{address}"),
            connection,
            project: setup.project,
            tool_names: catalog().iter().map(|tool| tool.name).collect(),
            scopes,
            auth_mode,
            keys: Arc::new(KeyRegistry::new(setup.resource)),
        },
        host_policy: setup.host_policy,
        limits: setup.limits,
        legacy_sse: setup.legacy_sse,
        metrics: metrics(),
        store: Store::default(),
        exports: Some(exports),
    };
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    Team {
        sandbox,
        address,
        exports: folder,
        stop,
        served: tokio::spawn(serve(listener, server, options, stopped)),
    }
}

impl Team {
    pub(super) fn caller(&self, key: &str) -> Caller {
        caller(self.address, Some(key))
    }

    /// Stops the server and waits until it has stopped.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        let served = timeout(TIMEOUT, self.served).await;
        served.expect("the server ends").unwrap().unwrap();
    }

    /// The write requests since the last call.
    pub(super) fn writes(&self) -> Vec<String> {
        writes(&self.sandbox)
    }
}

pub(super) fn writes(sandbox: &Sandbox) -> Vec<String> {
    assert_eq!(sandbox.violations(), Vec::<String>::new());
    let requests = sandbox.requests();
    sandbox.clear_requests();
    let writes = requests
        .iter()
        .filter(|request| request.method != "GET" && !request.path.contains("/batch_by_"));
    writes.map(crate::request_line).collect()
}
