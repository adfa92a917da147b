//! Sessions of the older protocol: each belongs to the credential that opened it, and there are only so many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
#[cfg(feature = "redis")]
use std::time::Duration;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
#[cfg(feature = "redis")]
use rmcp::model::{ClientJsonRpcMessage, ClientNotification};
use rmcp::transport::streamable_http_server::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio_util::sync::CancellationToken;

use super::host_policy::MessageKind;
#[cfg(feature = "redis")]
use crate::coordination::Message;
use crate::coordination::Store;
use crate::server::Caller;
use crate::sync::lock;

const SESSION: &str = "mcp-session-id";
/// How often others are told that a session is in use.
#[cfg(feature = "redis")]
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);
/// A session that does not take a message in this time does not get it.
#[cfg(feature = "redis")]
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Who opened which session.
pub(super) struct Sessions {
    manager: Arc<LocalSessionManager>,
    most: usize,
    owners: Mutex<HashMap<String, Owner>>,
    /// One handshake at a time: each makes room for itself.
    opening: tokio::sync::Mutex<()>,
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "one process asks nobody else")
    )]
    shared: Store,
}

struct Owner {
    principal: Arc<str>,
    last_used: Instant,
    /// When others were last told that it is in use.
    #[cfg(feature = "redis")]
    kept: Option<Instant>,
}

impl Sessions {
    pub(super) fn new(manager: Arc<LocalSessionManager>, most: usize, shared: Store) -> Self {
        Self {
            manager,
            most,
            owners: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            shared,
        }
    }

    /// Takes what clients sent to other processes for a session that lives here as well, until the streams end.
    pub(super) fn spawn_relay_listener(self: &Arc<Self>, streams: &CancellationToken) {
        #[cfg(feature = "redis")]
        if let Some(redis) = self.shared.redis().cloned() {
            let (sessions, ended) = (Arc::clone(self), streams.child_token());
            tokio::spawn(async move {
                // Each in a task of its own: one session that takes its time holds up no other.
                let heard = |message: Message| {
                    let sessions = Arc::clone(&sessions);
                    tokio::spawn(async move {
                        let _ =
                            tokio::time::timeout(DELIVERY_TIMEOUT, sessions.take(message)).await;
                    });
                };
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

    /// Passes an answer or a cancellation on to whichever process waits for it, this one included, if there are several.
    /// Anything else, or the only process, goes the usual way.
    async fn relay(&self, session: &str, body: &[u8]) -> Option<Response> {
        #[cfg(feature = "redis")]
        if let Some(redis) = self.shared.redis()
            && let Ok(parsed) = serde_json::from_slice::<ClientJsonRpcMessage>(body)
            && let Some(awaited) = awaited(&parsed)
            && let Ok(body) = serde_json::from_slice(body)
        {
            let message = Message {
                session: session.to_owned(),
                body: Some(body),
            };
            return match (redis.pass_on(&message).await, awaited) {
                (Ok(()), _) => Some(StatusCode::ACCEPTED.into_response()),
                // It may be this process that works on it.
                (Err(_), Awaited::Cancellation) => None,
                (Err(_), Awaited::Answer) => Some(StatusCode::SERVICE_UNAVAILABLE.into_response()),
            };
        }
        #[cfg(not(feature = "redis"))]
        let _ = (session, body);
        None
    }

    pub(super) async fn count(&self) -> usize {
        self.manager.sessions.read().await.len()
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<String, Owner>> {
        lock(&self.owners)
    }

    /// Whether a session is this caller's. One that nobody knows is nobody's.
    async fn belongs(&self, session: &str, principal: &Arc<str>) -> bool {
        if let Some(owner) = self.owners().get_mut(session) {
            owner.last_used = Instant::now();
            return owner.principal == *principal;
        }
        #[cfg(feature = "redis")]
        if let Some(redis) = self.shared.redis() {
            return match redis.owner(session).await {
                Ok(Some(owner)) if owner == **principal => {
                    // It takes a place here as well.
                    self.evict_if_full(principal).await;
                    self.remember(session, principal);
                    true
                }
                // Somebody else's, or nobody can say whose it is.
                _ => false,
            };
        }
        false
    }

    /// Lets other processes know that a session is in use, now and then.
    #[cfg(feature = "redis")]
    async fn touch(&self, session: &str) {
        let Some(redis) = self.shared.redis() else {
            return;
        };
        let due = self.owners().get_mut(session).is_some_and(|owner| {
            let due = owner
                .kept
                .is_none_or(|kept| kept.elapsed() >= TOUCH_INTERVAL);
            if due {
                owner.kept = Some(Instant::now());
            }
            due
        });
        if due {
            redis.touch(session).await;
        }
    }

    /// Ends a session everywhere.
    async fn ended(&self, session: &str) {
        self.owners().remove(session);
        #[cfg(feature = "redis")]
        if let Some(redis) = self.shared.redis() {
            let message = Message {
                session: session.to_owned(),
                body: None,
            };
            let _ = redis.pass_on(&message).await;
        }
    }

    async fn opened(&self, session: &str, principal: &Arc<str>) {
        self.remember(session, principal);
        #[cfg(feature = "redis")]
        if let Some(redis) = self.shared.redis() {
            redis.set_owner(session, principal).await;
        }
    }

    /// Remembers whose a session is, unless it is known.
    fn remember(&self, session: &str, principal: &Arc<str>) {
        let owner = || Owner {
            principal: Arc::clone(principal),
            last_used: Instant::now(),
            #[cfg(feature = "redis")]
            kept: None,
        };
        self.owners()
            .entry(session.to_owned())
            .or_insert_with(owner);
    }

    /// Closes the session that was not used for the longest time when there are too many, one of the same caller first:
    /// whoever opens many pays for it.
    async fn evict_if_full(&self, principal: &Arc<str>) {
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
            // One whose client left before it was told of it is nobody's, and goes first.
            let nobodys = alive
                .iter()
                .find(|session| !owners.contains_key(*session))
                .cloned();
            nobodys.or_else(|| {
                owners
                    .iter()
                    .min_by_key(|(_, owner)| (owner.principal != *principal, owner.last_used))
                    .map(|(session, _)| session.clone())
            })
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
    let used = session(request.headers()).map(str::to_owned);
    let ends = request.method() == Method::DELETE;
    let request = match &used {
        Some(session) if !sessions.belongs(session, &principal).await => {
            // The same words as for one that does not exist.
            return (StatusCode::NOT_FOUND, "There is no such session.\n").into_response();
        }
        Some(session) if request.method() == Method::POST => {
            let (parts, body) = request.into_parts();
            // The guard has read and measured it already.
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
    #[cfg(feature = "redis")]
    if let Some(session) = &used {
        sessions.touch(session).await;
    }
    let response = next.run(request).await;
    #[cfg(feature = "redis")]
    if let (false, Some(session), true) = (ends, &used, sessions.shared.redis().is_some()) {
        // One that was restored just now was not alive yet when it was remembered first.
        sessions.remember(session, &principal);
    }
    if let (true, Some(session), true) = (ends, &used, response.status().is_success()) {
        sessions.ended(session).await;
    }
    response
}

/// What another process may wait for: the one that asked, or works on a request.
#[cfg(feature = "redis")]
enum Awaited {
    Answer,
    Cancellation,
}

#[cfg(feature = "redis")]
fn awaited(message: &ClientJsonRpcMessage) -> Option<Awaited> {
    match message {
        ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_) => Some(Awaited::Answer),
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
