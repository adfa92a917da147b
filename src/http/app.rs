//! The routes: Streamable HTTP at `/mcp`, the legacy HTTP+SSE at `/sse` and `/messages`, exported files, health and metrics.
//!
//! The layers that a request passes, outermost first: `host_policy` (host and origin), `admission` (the caller and the API
//! key, the body, the limits), `sessions` (a session belongs to the credential that opened it). Invariant: knows no tool.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, SessionConfig};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::credentials::{self, Credentials};
use super::host_policy::{self, HostPolicy};
use super::limits::{self, HttpLimits};
use super::metrics::{self as http_metrics, Metrics};
use super::readiness::{self, Readiness};
use super::streams::Streams;
use super::{admission, body, connections, downloads, legacy_sse, sessions};
use crate::coordination::Store;
use crate::export::Exports;
use crate::server::Server;

/// How long a session is remembered after its last use.
const SESSION_IDLE: Duration = Duration::from_secs(600);
/// How long open streams may take to end after the last response.
const STREAM_GRACE_PERIOD: Duration = Duration::from_secs(5);
/// How long requests in flight may take when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(120);

/// Messages that wait in one direction of a session, and that it keeps for a client that reconnects.
const SESSION_CHANNEL: usize = 4;
/// How long what a cancelled request leaves is kept.
const COMPLETED_CACHE_TTL: Duration = Duration::from_secs(5);

/// The configuration of the server.
pub struct HttpOptions {
    /// Who may call, and with which API key.
    pub credentials: Credentials,
    /// Which hosts and origins a request may name.
    pub host_policy: HostPolicy,
    /// Concurrency, rate and session limits.
    pub limits: HttpLimits,
    /// Whether the legacy HTTP+SSE transport is served too.
    pub legacy_sse: bool,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// The state that processes share.
    pub store: Store,
    /// The files to be downloaded, if exports are enabled.
    pub exports: Option<Exports>,
}

/// Serves until `stop` completes, then finishes the requests in flight, closes the streams, and returns.
///
/// # Errors
/// When connections cannot be accepted.
pub async fn serve(
    listener: TcpListener,
    server: Server,
    options: HttpOptions,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let streams = CancellationToken::new();
    let elicitations = CancellationToken::new();
    let limits = Arc::new(limits::InFlight::new(options.limits, options.store.clone()));
    let (writes, metrics) = (server.clone(), options.metrics.clone());
    let write_timeout = options.limits.write_timeout;
    let max = options.limits.max_connections;
    let max = max.unwrap_or_else(connections::max_connections);
    // Streams leave connections for requests.
    let open = Streams::new(options.limits.max_sessions.min(max.div_ceil(2)));
    let app = app(server, options, &limits, open, &streams, &elicitations);
    let connections = connections::Connections::new(listener, app, max, write_timeout);
    let stopping = async {
        stop.await;
        tracing::info!("shutting down; finishing requests in flight");
        limits.close();
        // Open elicitations end: their calls report that nothing was sent.
        elicitations.cancel();
    };
    tokio::select! {
        served = connections.serve(stopping) => served?,
        () = metrics.run_upkeep() => {}
    }
    if tokio::time::timeout(DRAIN_TIMEOUT, limits.idle())
        .await
        .is_err()
    {
        tracing::warn!("shut down with requests in flight");
    }
    writes.drain_writes().await;
    writes.end_exports();
    streams.cancel();
    connections.shutdown(STREAM_GRACE_PERIOD).await;
    Ok(())
}

fn app(
    server: Server,
    options: HttpOptions,
    in_flight: &Arc<limits::InFlight>,
    open: Arc<Streams>,
    streams: &CancellationToken,
    elicitations: &CancellationToken,
) -> Router {
    let mut manager = LocalSessionManager::default();
    let mut config = SessionConfig::default();
    // Longer than a user may take to confirm, and than the longest call: both would be lost with the session.
    config.keep_alive = Some(SESSION_IDLE);
    config.init_timeout = Some(Duration::from_secs(30));
    // No priming events, which have empty data: Gemini CLI and the TypeScript SDK before 1.24 fail to parse them. They exist
    // since 2025-11-25, but rmcp sends them in every version or in none. A stream that breaks before its first message can
    // therefore not be resumed; one that breaks later can, since messages carry event ids.
    config.sse_retry = None;
    // What a session keeps of messages that no client reads.
    config.channel_capacity = SESSION_CHANNEL;
    config.completed_cache_ttl = COMPLETED_CACHE_TTL;
    manager.session_config = config;
    let manager = Arc::new(manager);
    let sessions = Arc::new(sessions::Sessions::new(
        Arc::clone(&manager),
        options.limits.max_sessions,
    ));
    let service_config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(true)
        .with_json_response(true)
        // The host policy checks both, on every route.
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(body::MAX_BODY_BYTES)
        .with_sse_retry(None)
        .with_cancellation_token(streams.child_token());
    let (for_mcp, closing) = (server.clone(), elicitations.clone());
    let new_service = move || Ok(for_mcp.with_shutdown(closing.child_token()));
    let mcp = StreamableHttpService::new(new_service, manager, service_config);
    let mcp = Router::new()
        .nest_service("/mcp", mcp)
        .layer(from_fn_with_state(Arc::clone(&sessions), sessions::bind));
    let mut protected = mcp;
    if let Some(exports) = options.exports {
        protected = protected.merge(downloads::router(exports));
    }
    if options.legacy_sse {
        let shutdown = legacy_sse::ShutdownTokens {
            streams: streams.clone(),
            elicitations: elicitations.clone(),
        };
        protected = protected.merge(legacy_sse::router(server, shutdown));
    }
    let credentials = Arc::new(options.credentials);
    let readiness = Arc::new(Readiness::new(Arc::clone(&credentials.connection)));
    let gate = admission::Gate {
        credentials: Arc::clone(&credentials),
        in_flight: Arc::clone(in_flight),
        streams: open,
        sessions: Arc::clone(&sessions),
    };
    let protected = protected.layer(from_fn_with_state(Arc::new(gate), admission::admit));
    let open = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness::ready).with_state(readiness))
        .route("/metrics", get(metrics))
        .route(credentials::METADATA, get(credentials::metadata))
        .route(
            &format!("{}/mcp", credentials::METADATA),
            get(credentials::metadata),
        )
        .with_state(credentials)
        .layer(Extension(options.metrics))
        .layer(Extension(Arc::clone(&sessions)));
    protected.merge(open).layer(from_fn_with_state(
        Arc::new(options.host_policy),
        host_policy::enforce_host_policy,
    ))
}

async fn metrics(
    Extension(metrics): Extension<Metrics>,
    Extension(sessions): Extension<Arc<sessions::Sessions>>,
) -> impl IntoResponse {
    http_metrics::sessions(sessions.count().await);
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        metrics.render(),
    )
}
