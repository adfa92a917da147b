//! How much at once: in all, and for one credential. Who is over a limit is told so at once; everyone else goes on.

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

use super::host_policy::MessageKind;
use crate::coordination::Store;
use crate::server::Caller;

/// How much at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Sessions of the older protocol.
    pub sessions: usize,
    /// Requests under way.
    pub requests: usize,
    /// Requests under way of one credential.
    pub requests_of_one: usize,
    /// Requests of one credential in a minute.
    pub requests_a_minute: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 1000,
            requests: 512,
            // Fewer than there are slots for tool calls: one credential must leave some.
            requests_of_one: 32,
            requests_a_minute: 6000,
        }
    }
}

/// The requests under way.
pub(super) struct InFlight {
    limits: Limits,
    shared: Store,
    state: watch::Sender<InFlightCounts>,
}

#[derive(Default)]
struct InFlightCounts {
    all: usize,
    of_one: HashMap<Arc<str>, usize>,
    closed: bool,
}

/// Why a request is not admitted.
enum Rejection {
    Stopping,
    All,
    One,
    TooOften,
}

impl InFlight {
    pub(super) fn new(limits: Limits, shared: Store) -> Self {
        Self {
            limits,
            shared,
            state: watch::Sender::new(InFlightCounts::default()),
        }
    }

    /// Admits nothing more.
    pub(super) fn close(&self) {
        self.state.send_modify(|counts| counts.closed = true);
    }

    /// Waits until nothing is under way.
    pub(super) async fn idle(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|counts| counts.all == 0).await;
    }

    fn admit(self: &Arc<Self>, principal: &Arc<str>) -> Result<Arc<Permit>, Rejection> {
        let mut admitted = Ok(());
        self.state.send_modify(|counts| {
            let of_one = counts.of_one.get(principal).copied().unwrap_or(0);
            admitted = if counts.closed {
                Err(Rejection::Stopping)
            } else if counts.all >= self.limits.requests {
                Err(Rejection::All)
            } else if of_one >= self.limits.requests_of_one {
                Err(Rejection::One)
            } else {
                counts.all += 1;
                counts.of_one.insert(Arc::clone(principal), of_one + 1);
                metrics::gauge!("mcp_requests_in_flight").set(counts.all as f64);
                Ok(())
            };
        });
        admitted.map(|()| {
            Arc::new(Permit {
                all: Arc::clone(self),
                principal: Arc::clone(principal),
            })
        })
    }
}

/// A place among the requests under way, given back when nobody holds it any more: not before the answer is sent, and not
/// before the call has ended, whichever comes last.
pub(super) struct Permit {
    all: Arc<InFlight>,
    principal: Arc<str>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.all.state.send_modify(|counts| {
            counts.all = counts.all.saturating_sub(1);
            metrics::gauge!("mcp_requests_in_flight").set(counts.all as f64);
            if let Some(of_one) = counts.of_one.get_mut(&self.principal) {
                *of_one = of_one.saturating_sub(1);
                if *of_one == 0 {
                    counts.of_one.remove(&self.principal);
                }
            }
        });
    }
}

/// Admits a request if there is a permit, and lets it keep the permit.
///
/// Streams that a client holds open (`GET`) take no permit: they are limited with the sessions. Answers to the server and
/// notifications take none either: somebody who has one waits for them.
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
    let admitted = if in_flight.shared.count(&principal).await > in_flight.limits.requests_a_minute
    {
        Err(Rejection::TooOften)
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
                    _place: permit,
                }),
            )
        }
        Err(full) => {
            let (status, seconds, why) = match full {
                Rejection::Stopping => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "1",
                    "The server is stopping.\n",
                ),
                Rejection::All => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "1",
                    "The server is busy; try again in a second.\n",
                ),
                Rejection::One => (
                    StatusCode::TOO_MANY_REQUESTS,
                    "1",
                    "Too many requests of this credential at once; try again in a second.\n",
                ),
                Rejection::TooOften => (
                    StatusCode::TOO_MANY_REQUESTS,
                    "60",
                    "Too many requests of this credential in a minute; try again in the next.\n",
                ),
            };
            (status, [(header::RETRY_AFTER, seconds)], why).into_response()
        }
    }
}

/// A body that holds a place until it is sent or given up.
struct PermitBody {
    body: Body,
    _place: Arc<Permit>,
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
