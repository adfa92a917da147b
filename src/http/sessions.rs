//! Sessions of the stateful protocol versions: each belongs to the credential that opened it, and their number is limited.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rmcp::model::{ClientJsonRpcMessage, ClientNotification};
use rmcp::transport::streamable_http_server::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio_util::sync::CancellationToken;

use super::message_kind::MessageKind;
use crate::coordination::{RelayedMessage, Store};
use crate::server::Caller;
use crate::sync::lock;

/// The header that names a session.
pub(super) const SESSION: &str = "mcp-session-id";
/// How often the shared store learns that a session is in use.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);
/// How long a session may take to accept a relayed message.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// The open sessions and their owners.
pub(super) struct Sessions {
    manager: Arc<LocalSessionManager>,
    max_sessions: usize,
    owners: Mutex<HashMap<String, Owner>>,
    /// Serializes handshakes, each of which may evict a session.
    opening: tokio::sync::Mutex<()>,
    store: Store,
}

struct Owner {
    principal: Arc<str>,
    last_used: Instant,
    /// When the shared store last learned that it is in use.
    last_touched: Option<Instant>,
}

impl Sessions {
    pub(super) fn new(
        manager: Arc<LocalSessionManager>,
        max_sessions: usize,
        store: Store,
    ) -> Self {
        Self {
            manager,
            max_sessions,
            owners: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            store,
        }
    }

    /// Delivers what clients sent to other processes for a session that lives here as well, until the streams end.
    pub(super) fn spawn_relay_listener(self: &Arc<Self>, streams: &CancellationToken) {
        if !self.store.is_shared() {
            return;
        }
        let (sessions, ended) = (Arc::clone(self), streams.child_token());
        tokio::spawn(async move {
            // Each in a task of its own: a slow session delays no other.
            let received = |message: RelayedMessage| {
                let sessions = Arc::clone(&sessions);
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(DELIVERY_TIMEOUT, sessions.deliver(message)).await;
                });
            };
            tokio::select! {
                () = sessions.store.subscribe(received) => {}
                () = ended.cancelled() => {}
            }
        });
    }

    async fn deliver(&self, message: RelayedMessage) {
        let session = message.session.as_str().into();
        match message.body.map(serde_json::from_value) {
            Some(Ok(body)) => {
                if let Ok(true) = self.manager.has_session(&session).await {
                    let _ = self.manager.accept_message(&session, body).await;
                }
            }
            Some(Err(_)) => {}
            None => {
                let _ = self.manager.close_session(&session).await;
                self.owners().remove(&message.session);
            }
        }
    }

    /// Relays a reply or a cancellation to the process that waits for it, this one included, if there are several.
    /// Any other message, or any message in a single process, is handled here.
    async fn relay(&self, session: &str, body: &[u8]) -> Option<Response> {
        if !self.store.is_shared() {
            return None;
        }
        let parsed = serde_json::from_slice::<ClientJsonRpcMessage>(body).ok()?;
        let awaited = awaited(&parsed)?;
        let message = RelayedMessage {
            session: session.to_owned(),
            body: Some(serde_json::from_slice(body).ok()?),
        };
        match (self.store.publish(&message).await, awaited) {
            (Ok(()), _) => Some(StatusCode::ACCEPTED.into_response()),
            // It may be this process that works on the request.
            (Err(_), Awaited::Cancellation) => None,
            (Err(_), Awaited::Reply) => Some(StatusCode::SERVICE_UNAVAILABLE.into_response()),
        }
    }

    pub(super) async fn count(&self) -> usize {
        self.manager.sessions.read().await.len()
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<String, Owner>> {
        lock(&self.owners)
    }

    /// Whether a session is this caller's. An unknown session belongs to no caller.
    async fn belongs(&self, session: &str, principal: &Arc<str>) -> bool {
        if let Some(owner) = self.owners().get_mut(session) {
            owner.last_used = Instant::now();
            return owner.principal == *principal;
        }
        match self.store.session_owner(session).await {
            Ok(Some(owner)) if owner == **principal => {
                // The session counts here as well.
                self.evict_if_full(principal).await;
                self.remember(session, principal);
                true
            }
            // Another caller's, or its owner is unknown.
            _ => false,
        }
    }

    /// Lets other processes know that a session is in use, once per interval.
    async fn touch(&self, session: &str) {
        if !self.store.is_shared() {
            return;
        }
        let due = self.owners().get_mut(session).is_some_and(|owner| {
            let due = owner
                .last_touched
                .is_none_or(|touched| touched.elapsed() >= TOUCH_INTERVAL);
            if due {
                owner.last_touched = Some(Instant::now());
            }
            due
        });
        if due {
            self.store.touch_session(session).await;
        }
    }

    /// Ends a session in every process.
    async fn ended(&self, session: &str) {
        self.owners().remove(session);
        if self.store.is_shared() {
            let message = RelayedMessage {
                session: session.to_owned(),
                body: None,
            };
            let _ = self.store.publish(&message).await;
        }
    }

    async fn opened(&self, session: &str, principal: &Arc<str>) {
        self.remember(session, principal);
        self.store.set_session_owner(session, principal).await;
    }

    /// Remembers the owner of a session, unless it is known.
    fn remember(&self, session: &str, principal: &Arc<str>) {
        let owner = || Owner {
            principal: Arc::clone(principal),
            last_used: Instant::now(),
            last_touched: None,
        };
        self.owners()
            .entry(session.to_owned())
            .or_insert_with(owner);
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
    let ends = request.method() == Method::DELETE;
    let request = match &session_id {
        Some(session) if !sessions.belongs(session, &principal).await => {
            // The same response as for one that does not exist.
            return (StatusCode::NOT_FOUND, "Session not found\n").into_response();
        }
        Some(session) if request.method() == Method::POST => {
            let (parts, body) = request.into_parts();
            // It was read before, and its size checked.
            let Ok(body) = to_bytes(body, usize::MAX).await else {
                return StatusCode::BAD_REQUEST.into_response();
            };
            if let Some(response) = sessions.relay(session, &body).await {
                return response;
            }
            Request::from_parts(parts, Body::from(body))
        }
        Some(_) => request,
        None if request.extensions().get::<MessageKind>() == Some(&MessageKind::Initialize) => {
            let _alone = sessions.opening.lock().await;
            sessions.evict_if_full(&principal).await;
            let response = next.run(request).await;
            if let Some(session) = session(response.headers()) {
                sessions.opened(session, &principal).await;
            }
            return response;
        }
        None => request,
    };
    if let Some(session) = &session_id {
        sessions.touch(session).await;
    }
    let response = next.run(request).await;
    if let (false, Some(session), true) = (ends, &session_id, sessions.store.is_shared()) {
        // A session that was just restored was not alive yet when it was first remembered.
        sessions.remember(session, &principal);
    }
    if let (true, Some(session), true) = (ends, &session_id, response.status().is_success()) {
        sessions.ended(session).await;
    }
    response
}

/// The messages that another process may wait for.
enum Awaited {
    /// A reply to an elicitation that it sent.
    Reply,
    /// The cancellation of a request that it works on.
    Cancellation,
}

fn awaited(message: &ClientJsonRpcMessage) -> Option<Awaited> {
    match message {
        ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_) => Some(Awaited::Reply),
        ClientJsonRpcMessage::Notification(notification) => matches!(
            notification.notification,
            ClientNotification::CancelledNotification(_)
        )
        .then_some(Awaited::Cancellation),
        ClientJsonRpcMessage::Request(_) => None,
    }
}

fn session(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION)?.to_str().ok()
}
