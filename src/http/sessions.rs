//! Sessions of the older protocol: each belongs to the credential that opened it, and there are only so many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rmcp::transport::streamable_http_server::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;

#[cfg(feature = "redis")]
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::server::Caller;
#[cfg(feature = "redis")]
use crate::shared::Message;
use crate::shared::Shared;

const SESSION: &str = "mcp-session-id";

/// Who opened which session.
pub(super) struct Sessions {
    manager: Arc<LocalSessionManager>,
    most: usize,
    owners: Mutex<HashMap<String, Owner>>,
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "one process asks nobody else")
    )]
    shared: Shared,
}

struct Owner {
    principal: Arc<str>,
    last_used: Instant,
}

impl Sessions {
    pub(super) fn new(manager: Arc<LocalSessionManager>, most: usize, shared: Shared) -> Self {
        Self {
            manager,
            most,
            owners: Mutex::default(),
            shared,
        }
    }

    /// Takes what clients sent to other processes for a session that lives here as well, until the streams end.
    pub(super) fn hear_others(self: &Arc<Self>, streams: &CancellationToken) {
        #[cfg(feature = "redis")]
        if let Some(redis) = self.shared.redis().cloned() {
            let (sessions, ended) = (Arc::clone(self), streams.child_token());
            tokio::spawn(async move {
                let heard = |message: Message| sessions.take(message);
                tokio::select! {
                    () = redis.hear(heard) => {}
                    () = ended.cancelled() => {}
                }
            });
        }
        #[cfg(not(feature = "redis"))]
        let _ = streams;
    }

    #[cfg(feature = "redis")]
    async fn take(&self, message: Message) {
        let session = message.session.as_str().into();
        if let Ok(true) = self.manager.has_session(&session).await
            && let Ok(body) = serde_json::from_value(message.body)
        {
            let _ = self.manager.accept_message(&session, body).await;
        }
    }

    /// Passes an answer or a cancellation on to whichever process waits for it, this one included, if there are several.
    /// Anything else, or the only process, goes the usual way.
    async fn passed_on(&self, session: &str, body: &[u8]) -> Option<Response> {
        #[cfg(feature = "redis")]
        if let Some(redis) = self.shared.redis()
            && let Ok(body) = serde_json::from_slice::<Value>(body)
            && is_for_whoever_waits(&body)
        {
            let message = Message {
                session: session.to_owned(),
                body,
            };
            return Some(match redis.pass_on(&message).await {
                Ok(()) => StatusCode::ACCEPTED.into_response(),
                Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            });
        }
        #[cfg(not(feature = "redis"))]
        let _ = (session, body);
        None
    }

    pub(super) async fn count(&self) -> usize {
        self.manager.sessions.read().await.len()
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<String, Owner>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a session is this caller's. One that nobody knows is left to the protocol library to refuse.
    async fn belongs(&self, session: &str, principal: &Arc<str>) -> bool {
        if let Some(owner) = self.owners().get_mut(session) {
            owner.last_used = Instant::now();
            return owner.principal == *principal;
        }
        #[cfg(feature = "redis")]
        if let Some(redis) = self.shared.redis() {
            return match redis.owner(session).await {
                Ok(Some(owner)) if owner == **principal => {
                    self.remember(session, principal);
                    true
                }
                Ok(owner) => owner.is_none(),
                // Nobody can say whose it is.
                Err(_) => false,
            };
        }
        true
    }

    async fn opened(&self, session: &str, principal: &Arc<str>) {
        self.remember(session, principal);
        #[cfg(feature = "redis")]
        if let Some(redis) = self.shared.redis() {
            redis.set_owner(session, principal).await;
        }
    }

    fn remember(&self, session: &str, principal: &Arc<str>) {
        let owner = Owner {
            principal: Arc::clone(principal),
            last_used: Instant::now(),
        };
        self.owners().insert(session.to_owned(), owner);
    }

    /// Closes the session that was not used for the longest time when there are too many, one of the same caller first:
    /// whoever opens many pays for it.
    async fn make_room(&self, principal: &Arc<str>) {
        let alive: Vec<String> = {
            let sessions = self.manager.sessions.read().await;
            sessions.keys().map(|id| id.to_string()).collect()
        };
        let oldest = {
            let mut owners = self.owners();
            owners.retain(|session, _| alive.contains(session));
            if alive.len() < self.most {
                return;
            }
            owners
                .iter()
                .min_by_key(|(_, owner)| (owner.principal != *principal, owner.last_used))
                .map(|(session, _)| session.clone())
        };
        if let Some(oldest) = oldest {
            tracing::info!("too many sessions: the one unused for the longest time is closed");
            let _ = self.manager.close_session(&oldest.as_str().into()).await;
            self.owners().remove(&oldest);
        }
    }
}

/// Refuses a session that is another credential's, on every method, and remembers whose a new one is.
pub(super) async fn bind(
    State(sessions): State<Arc<Sessions>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(principal) = request
        .extensions()
        .get::<Caller>()
        .map(|caller| Arc::clone(&caller.principal))
    else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let request = match session(request.headers()).map(str::to_owned) {
        Some(session) if !sessions.belongs(&session, &principal).await => {
            // The same words as for one that does not exist.
            return (StatusCode::NOT_FOUND, "There is no such session.\n").into_response();
        }
        Some(session) if request.method() == Method::POST => {
            let (parts, body) = request.into_parts();
            // The guard has read and measured it already.
            let Ok(body) = to_bytes(body, usize::MAX).await else {
                return StatusCode::BAD_REQUEST.into_response();
            };
            if let Some(response) = sessions.passed_on(&session, &body).await {
                return response;
            }
            Request::from_parts(parts, Body::from(body))
        }
        Some(_) => request,
        None => {
            sessions.make_room(&principal).await;
            request
        }
    };
    let response = next.run(request).await;
    if let Some(session) = session(response.headers()) {
        sessions.opened(session, &principal).await;
    }
    response
}

/// Whether a message answers a question or takes a request back: the process that asked, or works on it, may be another.
#[cfg(feature = "redis")]
fn is_for_whoever_waits(message: &Value) -> bool {
    match message.get("method").and_then(Value::as_str) {
        None => message.get("id").is_some(),
        Some(method) => method == "notifications/cancelled",
    }
}

fn session(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION)?.to_str().ok()
}
