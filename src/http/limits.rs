//! Concurrency and rate limits, global and per credential. Excess requests are rejected immediately.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use super::message_kind::MessageKind;
use crate::coordination::Store;
use crate::server::Caller;

/// Concurrency, rate and session limits.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Open sessions, and open streams of the legacy transport.
    pub max_sessions: usize,
    /// Requests in flight.
    pub max_in_flight: usize,
    /// Requests in flight per credential.
    pub max_in_flight_per_credential: usize,
    /// Requests per credential and minute.
    pub max_requests_per_minute: u64,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_sessions: 1000,
            max_in_flight: 512,
            // Fewer than there are slots for tool calls: one credential must leave some.
            max_in_flight_per_credential: 32,
            max_requests_per_minute: 6000,
        }
    }
}

/// The requests in flight.
pub(super) struct InFlight {
    limits: HttpLimits,
    store: Store,
    state: watch::Sender<InFlightCounts>,
}

#[derive(Default)]
struct InFlightCounts {
    total: usize,
    per_credential: HashMap<Arc<str>, usize>,
    closed: bool,
}

/// Why a request is not admitted.
enum Rejection {
    ShuttingDown,
    Busy,
    CredentialBusy,
    RateLimited,
}

impl InFlight {
    pub(super) fn new(limits: HttpLimits, store: Store) -> Self {
        Self {
            limits,
            store,
            state: watch::Sender::new(InFlightCounts::default()),
        }
    }

    /// Admits no further request.
    pub(super) fn close(&self) {
        self.state.send_modify(|counts| counts.closed = true);
    }

    /// Waits until no request is in flight.
    pub(super) async fn idle(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|counts| counts.total == 0).await;
    }

    fn admit(self: &Arc<Self>, principal: &Arc<str>) -> Result<Arc<Permit>, Rejection> {
        let mut admitted = Ok(());
        self.state.send_modify(|counts| {
            let own = counts.per_credential.get(principal).copied().unwrap_or(0);
            admitted = if counts.closed {
                Err(Rejection::ShuttingDown)
            } else if counts.total >= self.limits.max_in_flight {
                Err(Rejection::Busy)
            } else if own >= self.limits.max_in_flight_per_credential {
                Err(Rejection::CredentialBusy)
            } else {
                counts.total += 1;
                counts.per_credential.insert(Arc::clone(principal), own + 1);
                metrics::gauge!("mcp_requests_in_flight").set(counts.total as f64);
                Ok(())
            };
        });
        admitted.map(|()| {
            Arc::new(Permit {
                in_flight: Arc::clone(self),
                principal: Arc::clone(principal),
            })
        })
    }
}

/// A permit for one request in flight. Both the response body and the tool call hold it, so that it is released when the
/// later of them ends.
pub(super) struct Permit {
    in_flight: Arc<InFlight>,
    principal: Arc<str>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.in_flight.state.send_modify(|counts| {
            counts.total = counts.total.saturating_sub(1);
            metrics::gauge!("mcp_requests_in_flight").set(counts.total as f64);
            if let Some(own) = counts.per_credential.get_mut(&self.principal) {
                *own = own.saturating_sub(1);
                if *own == 0 {
                    counts.per_credential.remove(&self.principal);
                }
            }
        });
    }
}

/// Admits a request if there is a permit.
///
/// Streams that a client holds open (`GET`) take no permit: the session limit covers them. Responses to the server and
/// notifications take none either: a request that holds a permit waits for them.
pub(super) async fn admit(in_flight: &Arc<InFlight>, mut request: Request, next: Next) -> Response {
    let one_way = request.extensions().get::<MessageKind>() == Some(&MessageKind::OneWay);
    if request.method() == Method::GET || one_way {
        return next.run(request).await;
    }
    let principal = request
        .extensions()
        .get::<Caller>()
        .map(|caller| Arc::clone(&caller.principal));
    let principal = principal.unwrap_or_else(|| "".into());
    let admitted =
        if in_flight.store.count(&principal).await > in_flight.limits.max_requests_per_minute {
            Err(Rejection::RateLimited)
        } else {
            in_flight.admit(&principal)
        };
    match admitted {
        Ok(permit) => {
            request.extensions_mut().insert(Arc::clone(&permit));
            let (parts, body) = next.run(request).await.into_parts();
            Response::from_parts(
                parts,
                Body::new(PermitBody {
                    body,
                    _permit: permit,
                }),
            )
        }
        Err(rejection) => {
            let (status, seconds, why) = match rejection {
                Rejection::ShuttingDown => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "1",
                    "The server is shutting down\n",
                ),
                Rejection::Busy => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "1",
                    "Too many concurrent requests; try again in a second\n",
                ),
                Rejection::CredentialBusy => (
                    StatusCode::TOO_MANY_REQUESTS,
                    "1",
                    "Too many concurrent requests for this credential; try again in a second\n",
                ),
                Rejection::RateLimited => (
                    StatusCode::TOO_MANY_REQUESTS,
                    "60",
                    "Too many requests per minute for this credential; try again in a minute\n",
                ),
            };
            (status, [(header::RETRY_AFTER, seconds)], why).into_response()
        }
    }
}

/// A response body that holds a permit until it is sent or dropped.
struct PermitBody {
    body: Body,
    _permit: Arc<Permit>,
}

impl HttpBody for PermitBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
