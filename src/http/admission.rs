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
    _key: Option<HeldKey>,
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

/// The key of a request. If PostHog rejected it by the end of the request, what the key opened before ends too: an idle
/// stream sends no further request that could be turned away.
struct HeldKey {
    key: CallerKey,
    /// A place among the keys that PostHog has not accepted, if it is one of them.
    unverified: Option<OwnedSemaphorePermit>,
    gate: Arc<Gate>,
}

impl Drop for HeldKey {
    fn drop(&mut self) {
        if self.key.state.was_rejected() {
            self.gate.end_all(&self.key.principal);
        }
    }
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
    async fn admit(
        self: &Arc<Self>,
        mut request: Request,
    ) -> Result<(Request, Admission), Response> {
        let (caller, key) = self
            .credentials
            .authenticate(&mut request)
            .map_err(|error| self.credentials.reject(&error))?;
        let mut key = match key {
            Some(key) => Some(self.verify_early(&caller, key, outlives(&request)).await?),
            None => None,
        };
        let is_unverified = |key: &HeldKey| key.unverified.is_some();
        let mut principal = match key.as_ref().is_some_and(is_unverified) {
            true => InFlight::unverified_principal(),
            false => Arc::clone(&caller.principal),
        };
        let count = self.in_flight.count(&principal).await;
        count.map_err(IntoResponse::into_response)?;
        if is_download(&request) {
            let permit = self.in_flight.admit(&principal, Lane::Request);
            let permit = permit.map_err(IntoResponse::into_response)?;
            // A download sends PostHog nothing that would show that the key was revoked since the export.
            if key.is_some()
                && let Err(error) = caller.posthog.verify_now().await
                && let ErrorKind::KeyRejected(why) = error.kind()
            {
                return Err(self.turn_away(*why));
            }
            request.extensions_mut().insert(caller);
            let admission = Admission {
                _place: Place::InFlight(permit),
                _body: None,
                _key: key,
            };
            return Ok((request, admission));
        }
        if request.method() == Method::GET {
            let stream = self.streams.open(&principal);
            let stream = stream.map_err(IntoResponse::into_response)?;
            // The key may have been rejected before there was a stream that could end.
            if let Some(held) = &key
                && let KeyStanding::Rejected(why) = held.key.standing()
            {
                return Err(self.turn_away(why));
            }
            request.extensions_mut().insert(caller);
            let admission = Admission {
                _place: Place::Stream(stream),
                _body: None,
                _key: key,
            };
            return Ok((request, admission));
        }
        let reading = self.in_flight.admit(&principal, Lane::Body);
        let reading = reading.map_err(IntoResponse::into_response)?;
        let mut memory = self.in_flight.body_memory(&principal);
        request = body::read(request, &mut memory).await?;
        drop(reading);
        let kind = request.extensions().get::<MessageKind>().copied();
        if let Some(held) = &mut key
            && held.unverified.is_some()
            && kind.is_none_or(MessageKind::may_open_session)
        {
            self.verify(&caller, &held.key, true).await?;
            held.unverified = None;
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
            _key: key,
        };
        Ok((request, admission))
    }

    /// The key, with a place if PostHog has not accepted it. It must be accepted first where something outlives the request,
    /// and an OAuth token always.
    async fn verify_early(
        self: &Arc<Self>,
        caller: &Caller,
        key: CallerKey,
        outlives: bool,
    ) -> Result<HeldKey, Response> {
        let mut held = HeldKey {
            key,
            unverified: None,
            gate: Arc::clone(self),
        };
        match held.key.standing() {
            KeyStanding::Accepted => return Ok(held),
            KeyStanding::Rejected(why) => return Err(self.turn_away(why)),
            KeyStanding::Unverified => {}
        }
        let place = self.in_flight.unverified_place().await;
        let place = place.map_err(IntoResponse::into_response)?;
        if outlives || held.key.is_oauth {
            self.verify(caller, &held.key, outlives).await?;
        }
        // Another request may have settled it meanwhile.
        match held.key.standing() {
            KeyStanding::Accepted => {}
            KeyStanding::Rejected(why) => return Err(self.turn_away(why)),
            KeyStanding::Unverified => held.unverified = Some(place),
        }
        Ok(held)
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
            Err(ErrorKind::KeyRejected(why)) => Err(self.turn_away(*why)),
            Err(_) if outlives => Err(self.credentials.reject(&AuthError::NotVerified)),
            Err(_) => Ok(()),
        }
    }

    /// The response to a request whose key PostHog does not accept.
    fn turn_away(&self, why: KeyRejection) -> Response {
        self.credentials.reject(&AuthError::Rejected(why))
    }

    /// Ends what a key opened while PostHog accepted it.
    fn end_all(&self, principal: &Arc<str>) {
        self.streams.close_all(principal);
        self.sessions.end_all(principal);
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
