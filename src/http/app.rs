//! One server for a team, over HTTP: Streamable HTTP at `/mcp`, the older HTTP+SSE at `/sse` and `/messages`.
//!
//! What a request passes, outermost first: `guard` (the right host, no foreign origin, a small body in time),
//! `credentials` (who calls, and with which PostHog key), `limits` (not too much at once), `sessions` (a session
//! belongs to the credential that opened it). Knows HTTP; knows nothing of any tool.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, SessionConfig};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::credentials::{self, Credentials};
use super::host_policy::{self, Guard};
use super::limits::{self, Limits};
use super::metrics::{self as http_metrics, Metrics};
use super::{connections, legacy_sse, sessions};
use crate::coordination::{SESSION_IDLE, Store};
use crate::output::{Redaction, Sanitizer};
use crate::server::Server;

/// After the last answer, open streams get so long to end.
const STREAM_GRACE_PERIOD: Duration = Duration::from_secs(5);
/// A request under way when the server is told to stop gets so long to be answered.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(120);

/// How the server is set up.
pub struct Options {
    /// Who may call, and with which key.
    pub credentials: Credentials,
    /// Which hosts and origins a request may name.
    pub guard: Guard,
    /// How much at once.
    pub limits: Limits,
    /// Whether the older HTTP+SSE is served too.
    pub sse: bool,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// What other processes know too.
    pub shared: Store,
}

/// Serves until it is told to stop, then answers what is under way, closes the streams, and returns.
///
/// # Errors
/// When connections cannot be accepted.
pub async fn serve(
    listener: TcpListener,
    server: Server,
    options: Options,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let streams = CancellationToken::new();
    let questions = CancellationToken::new();
    let limits = Arc::new(limits::InFlight::new(
        options.limits,
        options.shared.clone(),
    ));
    let (writes, metrics) = (server.clone(), options.metrics.clone());
    let app = app(server, options, &limits, &streams, &questions);
    let connections = connections::Connections::new(listener, app);
    let stopping = async {
        stop.await;
        tracing::info!("stopping: what is under way is answered");
        limits.close();
        // Nobody can be waited for any more: a human who was asked is answered that nothing was sent.
        questions.cancel();
    };
    tokio::select! {
        served = connections.serve(stopping) => served?,
        () = metrics.run_upkeep() => {}
    }
    if tokio::time::timeout(DRAIN_TIMEOUT, limits.idle())
        .await
        .is_err()
    {
        tracing::warn!("stopped with requests under way");
    }
    writes.drain_writes().await;
    streams.cancel();
    connections.end(STREAM_GRACE_PERIOD).await;
    Ok(())
}

fn app(
    server: Server,
    options: Options,
    in_flight: &Arc<limits::InFlight>,
    streams: &CancellationToken,
    questions: &CancellationToken,
) -> Router {
    let mut manager = LocalSessionManager::default();
    let mut config = SessionConfig::default();
    // Longer than a human may take to answer, and than the longest call: both would be lost with the session.
    config.keep_alive = Some(SESSION_IDLE);
    config.init_timeout = Some(Duration::from_secs(30));
    manager.session_config = config;
    let manager = Arc::new(manager);
    let sessions = Arc::new(sessions::Sessions::new(
        Arc::clone(&manager),
        options.limits.sessions,
        options.shared.clone(),
    ));
    sessions.spawn_relay_listener(streams);
    #[cfg_attr(
        not(feature = "redis"),
        expect(unused_mut, reason = "only a shared store changes it")
    )]
    let mut service_config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(true)
        .with_json_response(true)
        // The guard in front checks both, on every route.
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(host_policy::MAX_BODY_BYTES)
        .with_cancellation_token(streams.child_token());
    #[cfg(feature = "redis")]
    if let Some(redis) = options.shared.redis() {
        service_config.session_store = Some(redis.sessions());
    }
    let (for_mcp, asked) = (server.clone(), questions.clone());
    let conversation = move || Ok(for_mcp.with_shutdown(asked.child_token()));
    let mcp = StreamableHttpService::new(conversation, manager, service_config);
    let mcp = Router::new()
        .nest_service("/mcp", mcp)
        .layer(from_fn_with_state(Arc::clone(&sessions), sessions::bind));
    let mut protected = mcp;
    if options.sse {
        let ends = legacy_sse::Ends {
            streams: streams.clone(),
            questions: questions.clone(),
        };
        protected = protected.merge(legacy_sse::router(server, ends, options.limits.sessions));
    }
    let credentials = Arc::new(options.credentials);
    let protected = protected.layer(from_fn_with_state(
        (Arc::clone(&credentials), Arc::clone(in_flight)),
        authenticate_and_admit,
    ));
    let open = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
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
        Arc::new(options.guard),
        host_policy::enforce_host_policy,
    ))
}

/// Lets in who may call, where there is room. One step, since each costs every request a share.
async fn authenticate_and_admit(
    State((credentials, in_flight)): State<(Arc<Credentials>, Arc<limits::InFlight>)>,
    mut request: Request,
    next: Next,
) -> Response {
    match credentials.identify(&mut request) {
        Ok(()) => limits::admit(&in_flight, request, next).await,
        Err(refusal) => credentials.refuse(refusal),
    }
}

/// Whether PostHog can be reached: any answer of it will do.
async fn ready(State(credentials): State<Arc<Credentials>>) -> impl IntoResponse {
    match credentials.connection().reachable().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(error) => {
            let sanitizer = Sanitizer::names_only(Redaction::default());
            let reason = error
                .reason()
                .map(|reason| sanitizer.text(reason))
                .unwrap_or_default();
            (
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "PostHog cannot be reached: {} {reason}\n",
                    error.kind().name()
                ),
            )
        }
    }
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
