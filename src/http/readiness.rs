//! `/readyz`: whether PostHog can be reached. Asked at most once a second, however often the route is called.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use tokio::sync::Mutex;

use crate::output::{Redaction, Sanitizer};
use posthog_client::Connection;

const FRESH_FOR: Duration = Duration::from_secs(1);

/// Whether PostHog can be reached, and when that was found out.
pub(super) struct Readiness {
    connection: Arc<Connection>,
    last: Mutex<Option<(Instant, (StatusCode, String))>>,
}

impl Readiness {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            last: Mutex::default(),
        }
    }
}

/// Any response of PostHog will do.
pub(super) async fn ready(State(readiness): State<Arc<Readiness>>) -> impl IntoResponse {
    // Held while PostHog is asked: concurrent requests get the same result.
    let mut last = readiness.last.lock().await;
    if let Some((at, result)) = &*last
        && at.elapsed() < FRESH_FOR
    {
        return result.clone();
    }
    let result = match readiness.connection.reachable().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(error) => {
            let sanitizer = Sanitizer::names_only(Redaction::default());
            let reason = error
                .reason()
                .map(|reason| sanitizer.text(reason))
                .unwrap_or_default();
            let kind = error.kind().name();
            let text = format!("PostHog cannot be reached: {kind} {reason}\n");
            (StatusCode::SERVICE_UNAVAILABLE, text)
        }
    };
    *last = Some((Instant::now(), result.clone()));
    result
}
