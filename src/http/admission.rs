//! Admits requests: authenticates the headers, reads the body, takes a place.
//!
//! In this order a request costs nothing but its connection until its credential is known, and an API key that PostHog has
//! not accepted shares a few places with all others of its kind.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::OwnedSemaphorePermit;

use super::body;
use super::credentials::{AuthError, Credentials};
use super::downloads;
use super::key_registry::CallerKey;
use super::limits::{BodyMemory, InFlight, Lane, Permit};
use super::message_kind::MessageKind;
use super::sessions::{SESSION, Sessions};
use super::streams::{StreamPermit, Streams};
use crate::server::{CallPlace, Caller, TransportPlace};
use posthog_client::{Error, ErrorKind, KeyRejection, KeyStanding};

/// What a request passes before it is handled.
pub(super) struct Gate {
    pub(super) credentials: Arc<Credentials>,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) streams: Arc<Streams>,
    pub(super) sessions: Arc<Sessions>,
}

/// What a request holds until its response is written: its place, the memory of its body, its key.
///
/// The request has it too, because a call of a session goes on when its client has disconnected.
pub(super) struct Admission {
    _place: Place,
    _body: Option<BodyMemory>,
    _unverified: Option<Unverified>,
}

impl TransportPlace for Admission {
    fn set_waiting(&self, waiting: bool) {
        if let Place::InFlight(permit) = &self._place {
            permit.set_waiting(waiting);
        }
    }
}

enum Place {
    InFlight(Permit),
    Stream(StreamPermit),
}

/// A key that PostHog has not accepted, and its place among all of them.
struct Unverified {
    key: CallerKey,
    _place: OwnedSemaphorePermit,
}

/// Admits a request and holds its place until the response is written.
pub(super) async fn admit(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let (mut request, admission) = match gate.admit(request).await {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    let admission = Arc::new(admission);
    if let Place::InFlight(_) = admission._place {
        request.extensions_mut().insert(Arc::clone(&admission));
        let place = Arc::<Admission>::clone(&admission);
        request.extensions_mut().insert(CallPlace(place));
    }
    let mut response = next.run(request).await;
    if let Place::Stream(stream) = &admission._place {
        response = stream.limit(response);
    }
    response.extensions_mut().insert(admission);
    response
}

impl Gate {
    async fn admit(&self, mut request: Request) -> Result<(Request, Admission), Response> {
        let (caller, key) = self
            .credentials
            .authenticate(&mut request)
            .map_err(|error| self.credentials.reject(&error))?;
        let mut unverified = match key {
            Some(key) => self.verify_early(&caller, key, outlives(&request)).await?,
            None => None,
        };
        let mut principal = match unverified {
            Some(_) => InFlight::unverified_principal(),
            None => Arc::clone(&caller.principal),
        };
        let count = self.in_flight.count(&principal).await;
        count.map_err(IntoResponse::into_response)?;
        if is_download(&request) {
            let permit = self.in_flight.admit(&principal, Lane::Request);
            let permit = permit.map_err(IntoResponse::into_response)?;
            request.extensions_mut().insert(caller);
            let admission = Admission {
                _place: Place::InFlight(permit),
                _body: None,
                _unverified: unverified,
            };
            return Ok((request, admission));
        }
        if request.method() == Method::GET {
            let stream = self.streams.open(&principal);
            let stream = stream.map_err(IntoResponse::into_response)?;
            request.extensions_mut().insert(caller);
            let admission = Admission {
                _place: Place::Stream(stream),
                _body: None,
                _unverified: unverified,
            };
            return Ok((request, admission));
        }
        let reading = self.in_flight.admit(&principal, Lane::Body);
        let reading = reading.map_err(IntoResponse::into_response)?;
        let mut memory = self.in_flight.body_memory(&principal);
        request = body::read(request, &mut memory).await?;
        drop(reading);
        let kind = request.extensions().get::<MessageKind>().copied();
        if let Some(held) = &unverified
            && kind.is_none_or(MessageKind::may_open_session)
        {
            self.verify(&caller, &held.key, true).await?;
            unverified = None;
            principal = Arc::clone(&caller.principal);
        }
        let lane = match kind {
            Some(MessageKind::OneWay) => Lane::OneWay,
            _ => Lane::Request,
        };
        let permit = self.in_flight.admit(&principal, lane);
        let permit = permit.map_err(IntoResponse::into_response)?;
        request.extensions_mut().insert(caller);
        let admission = Admission {
            _place: Place::InFlight(permit),
            _body: Some(memory),
            _unverified: unverified,
        };
        Ok((request, admission))
    }

    /// A place for a key that PostHog has not accepted, or none if it has. The key must be accepted first where something
    /// outlives the request, and an OAuth token always.
    async fn verify_early(
        &self,
        caller: &Caller,
        key: CallerKey,
        outlives: bool,
    ) -> Result<Option<Unverified>, Response> {
        match key.standing() {
            KeyStanding::Accepted => return Ok(None),
            KeyStanding::Rejected(why) => return Err(self.turn_away(&key, why).await),
            KeyStanding::Unverified => {}
        }
        let place = self.in_flight.unverified_place().await;
        let place = place.map_err(IntoResponse::into_response)?;
        if outlives || key.is_oauth {
            self.verify(caller, &key, outlives).await?;
        }
        // Another request may have settled it meanwhile.
        match key.standing() {
            KeyStanding::Accepted => Ok(None),
            KeyStanding::Rejected(why) => Err(self.turn_away(&key, why).await),
            KeyStanding::Unverified => Ok(Some(Unverified { key, _place: place })),
        }
    }

    /// Asks PostHog whether it accepts the key. Where that cannot be known now, a request that nothing outlives goes on: its
    /// call will report why PostHog cannot be reached.
    async fn verify(
        &self,
        caller: &Caller,
        key: &CallerKey,
        outlives: bool,
    ) -> Result<(), Response> {
        let verified = caller.posthog.verify().await;
        key.settle();
        match verified.as_ref().map_err(Error::kind) {
            Ok(()) => Ok(()),
            Err(ErrorKind::KeyRejected(why)) => Err(self.turn_away(key, *why).await),
            Err(_) if outlives => Err(self.credentials.reject(&AuthError::NotVerified)),
            Err(_) => Ok(()),
        }
    }

    /// The response to a request whose key PostHog does not accept. What it opened while PostHog did ends.
    async fn turn_away(&self, key: &CallerKey, why: KeyRejection) -> Response {
        self.streams.close_all(&key.principal);
        self.sessions.end_all(&key.principal).await;
        self.credentials.reject(&AuthError::Rejected(why))
    }
}

/// Whether a file is downloaded, which has an end, unlike the streams that a GET opens.
fn is_download(request: &Request) -> bool {
    request.method() == Method::GET && request.uri().path().starts_with(downloads::PATH)
}

/// Whether something outlives the request, as far as its headers show: a session, a stream, or a message to one of them.
fn outlives(request: &Request) -> bool {
    request.method() == Method::GET
        || request.headers().contains_key(SESSION)
        || request.uri().path() != "/mcp"
}
