//! Accepts connections until the server stops, as many as the limit of open files allows.
//!
//! When all are taken, the one that was idle the longest gives way. Where none is idle, a few more are served `/healthz`
//! and told to come back, so that a full server is seen to live.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::client_stream::{ClientStream, ConnectionState, InProgress};
use super::limits::Rejection;
use crate::sync::lock;

/// How long a client may take to send the headers of a request.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(15);
/// The same on a full server.
const SHORT_HEADER_READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Memory for the headers of a request, and for what waits to be written.
const MAX_BUFFER: usize = 64 * 1024;
/// A pause after a failed accept, so that running out of file descriptors does not become a busy loop.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// Connections beyond the limit, for `/healthz`.
const RESERVE: usize = 16;
/// More are of no use: requests and streams have limits of their own.
const MAX_CONNECTIONS: usize = 16_384;
/// The limit of open files where the system does not say.
const USUAL_OPEN_FILES: usize = 1024;

/// The number of connections that the limit of open files leaves, once it is raised as far as possible: a quarter of the
/// files is for requests to PostHog and everything else.
pub(super) fn max_connections() -> usize {
    #[cfg(unix)]
    let files = rlimit::increase_nofile_limit(4 * MAX_CONNECTIONS as u64).ok();
    #[cfg(not(unix))]
    let files: Option<u64> = None;
    let files = files.and_then(|files| usize::try_from(files).ok());
    let files = files.unwrap_or(USUAL_OPEN_FILES);
    (files - files / 4)
        .saturating_sub(RESERVE)
        .clamp(1, MAX_CONNECTIONS)
}

/// The connections of one listener.
pub(super) struct Connections {
    listener: TcpListener,
    app: Router,
    max: usize,
    write_timeout: Duration,
    open: Arc<OpenConnections>,
    beyond: Arc<OpenConnections>,
    graceful: GracefulShutdown,
}

#[derive(Default)]
struct OpenConnections {
    last_id: AtomicU64,
    connections: Mutex<HashMap<u64, OpenConnection>>,
}

struct OpenConnection {
    state: Arc<ConnectionState>,
    task: AbortHandle,
}

impl OpenConnections {
    fn len(&self) -> usize {
        lock(&self.connections).len()
    }

    /// Closes the connection that was idle the longest; false if none is idle.
    fn close_idlest(&self) -> bool {
        let mut connections = lock(&self.connections);
        let idle = connections
            .iter()
            .filter_map(|(id, connection)| Some((connection.state.idle_since()?, *id)));
        let Some((_, id)) = idle.min() else {
            return false;
        };
        self.close(&mut connections, id)
    }

    fn close_oldest(&self) -> bool {
        let mut connections = lock(&self.connections);
        let Some(id) = connections.keys().min().copied() else {
            return false;
        };
        self.close(&mut connections, id)
    }

    fn close(&self, connections: &mut HashMap<u64, OpenConnection>, id: u64) -> bool {
        if let Some(connection) = connections.remove(&id) {
            connection.task.abort();
        }
        true
    }

    /// Runs a connection as one of these.
    fn spawn(
        self: &Arc<Self>,
        state: Arc<ConnectionState>,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let open = Arc::clone(self);
        // Held, so that the connection cannot end before it is entered.
        let mut connections = lock(&self.connections);
        let task = tokio::spawn(async move {
            connection.await;
            lock(&open.connections).remove(&id);
        });
        let task = task.abort_handle();
        connections.insert(id, OpenConnection { state, task });
    }
}

impl Connections {
    pub(super) fn new(
        listener: TcpListener,
        app: Router,
        max: usize,
        write_timeout: Duration,
    ) -> Self {
        Self {
            listener,
            app,
            max,
            write_timeout,
            open: Arc::default(),
            beyond: Arc::default(),
            graceful: GracefulShutdown::new(),
        }
    }

    /// Accepts connections until `stop` completes.
    pub(super) async fn serve(&self, stop: impl Future<Output = ()>) -> io::Result<()> {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.connect(stream, peer),
                    Err(error) => {
                        tracing::warn!(%error, "accept error");
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                    }
                },
                () = &mut stop => return Ok(()),
            }
        }
    }

    fn connect(&self, stream: TcpStream, peer: SocketAddr) {
        // Responses are small and latency matters.
        let _ = stream.set_nodelay(true);
        let state = ConnectionState::new();
        let io = TokioIo::new(ClientStream::new(
            stream,
            Arc::clone(&state),
            self.write_timeout,
        ));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).max_buf_size(MAX_BUFFER);
        if self.open.len() < self.max || self.open.close_idlest() {
            let service = service(self.app.clone(), peer, Arc::clone(&state));
            let connection = builder
                .header_read_timeout(HEADER_READ_TIMEOUT)
                .serve_connection(io, service);
            let connection = self.graceful.watch(connection);
            self.open.spawn(state, async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection error");
                }
            });
            return;
        }
        if self.beyond.len() >= RESERVE {
            self.beyond.close_oldest();
        }
        let connection = builder
            .header_read_timeout(SHORT_HEADER_READ_TIMEOUT)
            .keep_alive(false)
            .serve_connection(io, service_fn(only_health));
        self.beyond.spawn(state, async move {
            let _ = connection.await;
        });
    }

    /// Lets every connection finish what it is sending, within the grace period.
    pub(super) async fn shutdown(self, grace_period: Duration) {
        if tokio::time::timeout(grace_period, self.graceful.shutdown())
            .await
            .is_err()
        {
            tracing::debug!("grace period over; closing open connections");
        }
    }
}

/// What a full server answers.
async fn only_health(request: hyper::Request<Incoming>) -> Result<Response, Infallible> {
    Ok(match request.uri().path() {
        "/healthz" => "ok\n".into_response(),
        _ => Rejection::Busy.into_response(),
    })
}

/// The routes as one connection calls them, with its peer address as an extension.
fn service(
    app: Router,
    peer: SocketAddr,
    state: Arc<ConnectionState>,
) -> impl hyper::service::Service<
    hyper::Request<Incoming>,
    Response = Response,
    Error = Infallible,
    Future: Send,
> {
    let service = TowerToHyperService::new(app.into_service());
    service_fn(move |request: hyper::Request<Incoming>| {
        let in_progress: InProgress = state.begin();
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = service.call(request);
        async move { Ok(in_progress.respond(response.await?)) }
    })
}
