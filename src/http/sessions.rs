//! Sessions of the stateful protocol versions: each belongs to this process and to the credential that opened it, and their
//! number is limited. To another process a session is unknown, and an unknown session is answered with 404, after which a
//! client opens a new one.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rmcp::transport::streamable_http_server::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio::runtime::Handle;

use super::message_kind::MessageKind;
use crate::server::Caller;
use crate::sync::lock;

/// The header that names a session.
pub(super) const SESSION: &str = "mcp-session-id";

/// The open sessions and their owners.
pub(super) struct Sessions {
    manager: Arc<LocalSessionManager>,
    max_sessions: usize,
    owners: Mutex<HashMap<String, Owner>>,
    runtime: Handle,
    /// Serializes handshakes, each of which may evict a session.
    opening: tokio::sync::Mutex<()>,
}

struct Owner {
    principal: Arc<str>,
    last_used: Instant,
}

impl Sessions {
    pub(super) fn new(manager: Arc<LocalSessionManager>, max_sessions: usize) -> Self {
        Self {
            manager,
            max_sessions,
            owners: Mutex::default(),
            runtime: Handle::current(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    pub(super) async fn count(&self) -> usize {
        self.manager.sessions.read().await.len()
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<String, Owner>> {
        lock(&self.owners)
    }

    /// Whether a session is this caller's. An unknown session belongs to no caller.
    fn belongs(&self, session: &str, principal: &Arc<str>) -> bool {
        self.owners().get_mut(session).is_some_and(|owner| {
            owner.last_used = Instant::now();
            owner.principal == *principal
        })
    }

    /// Ends the sessions of a credential: from now on nobody can use them, and they are closed soon.
    pub(super) fn end_all(&self, principal: &Arc<str>) {
        let own = |_: &String, owner: &mut Owner| owner.principal == *principal;
        let own: Vec<_> = self.owners().extract_if(own).collect();
        if own.is_empty() {
            return;
        }
        let manager = Arc::clone(&self.manager);
        self.runtime.spawn(async move {
            for (session, _) in own {
                let _ = manager.close_session(&session.as_str().into()).await;
            }
        });
    }

    fn opened(&self, session: &str, principal: &Arc<str>) {
        let owner = Owner {
            principal: Arc::clone(principal),
            last_used: Instant::now(),
        };
        self.owners().insert(session.to_owned(), owner);
    }

    /// Closes the least recently used session of the caller that has most when the limit is reached: one that opens many
    /// sessions evicts its own.
    async fn evict_if_full(&self, principal: &Arc<str>) {
        let alive: Vec<String> = {
            let sessions = self.manager.sessions.read().await;
            sessions.keys().map(|id| id.to_string()).collect()
        };
        let oldest = {
            let mut owners = self.owners();
            owners.retain(|session, _| alive.contains(session));
            if alive.len() < self.max_sessions {
                return;
            }
            // A session whose client disconnected before its id was sent has no owner and is evicted first.
            let unowned = alive
                .iter()
                .find(|session| !owners.contains_key(*session))
                .cloned();
            unowned.or_else(|| {
                let mut held = HashMap::from([(Arc::clone(principal), 1_usize)]);
                for owner in owners.values() {
                    *held.entry(Arc::clone(&owner.principal)).or_default() += 1;
                }
                let order = |owner: &Owner| {
                    let count = held.get(&owner.principal).copied();
                    (
                        Reverse(count),
                        owner.principal != *principal,
                        owner.last_used,
                    )
                };
                let last = owners.iter().min_by_key(|(_, owner)| order(owner));
                last.map(|(session, _)| session.clone())
            })
        };
        if let Some(oldest) = oldest {
            tracing::info!("session limit reached; evicting least recently used");
            let _ = self.manager.close_session(&oldest.as_str().into()).await;
            self.owners().remove(&oldest);
        }
    }
}

/// Rejects a session of another credential, on every method, and remembers the owner of a new one.
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
    let session_id = session(request.headers()).map(str::to_owned);
    let opens = request.extensions().get::<MessageKind>() == Some(&MessageKind::Initialize);
    let ends = request.method() == Method::DELETE;
    let Some(session_id) = session_id else {
        if !opens {
            return next.run(request).await;
        }
        let _alone = sessions.opening.lock().await;
        sessions.evict_if_full(&principal).await;
        let response = next.run(request).await;
        if let Some(session) = session(response.headers()) {
            sessions.opened(session, &principal);
        }
        return response;
    };
    if !sessions.belongs(&session_id, &principal) {
        // The same response as for one that does not exist.
        return (StatusCode::NOT_FOUND, "Session not found\n").into_response();
    }
    let response = next.run(request).await;
    if ends && response.status().is_success() {
        sessions.owners().remove(&session_id);
    }
    response
}

fn session(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION)?.to_str().ok()
}
