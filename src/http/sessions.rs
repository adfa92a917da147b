//! Sessions of the older protocol: each belongs to the credential that opened it, and there are only so many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rmcp::transport::streamable_http_server::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;

use crate::server::Caller;

const SESSION: &str = "mcp-session-id";

/// Who opened which session.
pub(super) struct Sessions {
    manager: Arc<LocalSessionManager>,
    most: usize,
    owners: Mutex<HashMap<String, Owner>>,
}

struct Owner {
    principal: Arc<str>,
    last_used: Instant,
}

impl Sessions {
    pub(super) fn new(manager: Arc<LocalSessionManager>, most: usize) -> Self {
        Self {
            manager,
            most,
            owners: Mutex::default(),
        }
    }

    pub(super) async fn count(&self) -> usize {
        self.manager.sessions.read().await.len()
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<String, Owner>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a session is this caller's. One that nobody knows is left to the protocol library to refuse.
    fn belongs(&self, session: &str, principal: &Arc<str>) -> bool {
        match self.owners().get_mut(session) {
            Some(owner) => {
                owner.last_used = Instant::now();
                owner.principal == *principal
            }
            None => true,
        }
    }

    fn opened(&self, session: &str, principal: &Arc<str>) {
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
    match session(request.headers()) {
        Some(session) if !sessions.belongs(session, &principal) => {
            // The same words as for one that does not exist.
            return (StatusCode::NOT_FOUND, "There is no such session.\n").into_response();
        }
        Some(_) => {}
        None => sessions.make_room(&principal).await,
    }
    let response = next.run(request).await;
    if let Some(session) = session(response.headers()) {
        sessions.opened(session, &principal);
    }
    response
}

fn session(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION)?.to_str().ok()
}
