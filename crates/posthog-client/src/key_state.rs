//! What PostHog's responses say about a caller's key, and the project that its calls work on.
//!
//! Shared by the clients of one key. Holds no key. A personal API key is accepted by any response of the API but a
//! rejected authentication; an OAuth token only by its introspection, because PostHog accepts the tokens of every
//! application. No response at all says nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::account;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::key_info::{Introspection, KeyKind};
use crate::project::ResolvedProject;

/// How long a key counts as accepted after the last response that accepted it.
const ACCEPTED_FOR: Duration = Duration::from_secs(15 * 60);
/// How long a key counts as rejected. Short: the reason may be fixed, or PostHog's own.
const REJECTED_FOR: Duration = Duration::from_secs(10);
/// How long [`Client::verify`] waits for PostHog.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether PostHog accepts a key, as far as its recent responses show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStanding {
    /// No recent response says.
    Unverified,
    /// It does.
    Accepted,
    /// It does not.
    Rejected(KeyRejection),
}

/// Why a key is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRejection {
    /// PostHog does not know it.
    #[error("PostHog rejected the API key: it is invalid, revoked or from the other region")]
    Invalid,
    /// PostHog reports that the OAuth token is not active.
    #[error("PostHog reports that this OAuth token is not active")]
    Inactive,
    /// The OAuth token was issued for another resource.
    #[error("this OAuth token was issued for another resource")]
    OtherResource,
    /// PostHog does not introspect the OAuth token.
    #[error("PostHog does not report whether this OAuth token is active")]
    NotIntrospected,
}

/// The state of one key.
#[derive(Debug, Default)]
pub struct KeyState {
    /// The resource that OAuth tokens must be meant for, where they say.
    resource: Option<Arc<str>>,
    pub(crate) project: ResolvedProject,
    verdict: Mutex<Option<(Result<(), KeyRejection>, Instant)>>,
}

impl KeyState {
    /// The state of a key about which nothing is known.
    #[must_use]
    pub fn new(resource: Option<Arc<str>>) -> Self {
        Self {
            resource,
            ..Self::default()
        }
    }

    /// Whether PostHog accepts the key.
    #[must_use]
    pub fn standing(&self) -> KeyStanding {
        match *self.verdict() {
            Some((verdict, until)) if Instant::now() < until => match verdict {
                Ok(()) => KeyStanding::Accepted,
                Err(why) => KeyStanding::Rejected(why),
            },
            _ => KeyStanding::Unverified,
        }
    }

    /// Whether PostHog's last word on the key was that it rejects it, however long ago.
    #[must_use]
    pub fn was_rejected(&self) -> bool {
        matches!(*self.verdict(), Some((Err(_), _)))
    }

    fn verdict(&self) -> MutexGuard<'_, Option<(Result<(), KeyRejection>, Instant)>> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, at_most: Duration) {
        let until = Instant::now() + ACCEPTED_FOR.min(at_most);
        *self.verdict() = Some((Ok(()), until));
    }

    fn reject(&self, why: KeyRejection) {
        *self.verdict() = Some((Err(why), Instant::now() + REJECTED_FOR));
    }

    /// Records what a response to a request with this kind of key says about it.
    pub(crate) fn record<T>(&self, kind: KeyKind, response: &Result<T, Error>) {
        let error = response.as_ref().err();
        match error.map(Error::kind) {
            Some(ErrorKind::Authentication) => self.reject(KeyRejection::Invalid),
            _ if kind == KeyKind::OAuth => {}
            None => self.accept(ACCEPTED_FOR),
            // PostHog authenticates before it denies access or reads arguments.
            Some(
                ErrorKind::MissingScope(_)
                | ErrorKind::ScopedKeysUnsupported
                | ErrorKind::Forbidden
                | ErrorKind::NotFound
                | ErrorKind::ProjectNotFound
                | ErrorKind::Invalid { .. },
            ) if error.is_some_and(Error::has_code) => self.accept(ACCEPTED_FOR),
            // A proxy may have sent the rest.
            Some(_) => {}
        }
    }

    /// Records an introspection; an error is why the token must not be used.
    fn record_introspection(&self, token: Result<Introspection, Error>) -> Result<(), Error> {
        let rejection = match token {
            Ok(token) if !token.active => KeyRejection::Inactive,
            Ok(token) if !self.is_audience(token.aud.as_ref()) => KeyRejection::OtherResource,
            Ok(token) => match token.exp.map_or(ACCEPTED_FOR, seconds_until) {
                Duration::ZERO => KeyRejection::Inactive,
                left => {
                    self.accept(left);
                    return Ok(());
                }
            },
            Err(error) => match error.kind() {
                ErrorKind::Authentication => KeyRejection::Invalid,
                ErrorKind::MissingScope(_)
                | ErrorKind::ScopedKeysUnsupported
                | ErrorKind::Forbidden
                | ErrorKind::NotFound
                | ErrorKind::Unsupported(_)
                | ErrorKind::Invalid { .. }
                | ErrorKind::Redirected
                | ErrorKind::InvalidResponse => KeyRejection::NotIntrospected,
                _ => return Err(error),
            },
        };
        self.reject(rejection);
        Err(Error::new(ErrorKind::KeyRejected(rejection)))
    }

    /// Whether a token with this audience is meant for the resource, or does not say whom it is meant for.
    fn is_audience(&self, audience: Option<&Value>) -> bool {
        let Some(resource) = self.resource.as_deref() else {
            return true;
        };
        let is_ours = |name: &Value| {
            let name = name.as_str().map(|name| name.trim_end_matches('/'));
            name.is_some_and(|name| name == resource || Some(name) == resource.strip_suffix("/mcp"))
        };
        match audience {
            None | Some(Value::Null) => true,
            Some(Value::Array(names)) => names.is_empty() || names.iter().any(is_ours),
            Some(name) => is_ours(name),
        }
    }
}

fn seconds_until(exp: i64) -> Duration {
    let left = exp - chrono::Utc::now().timestamp();
    Duration::from_secs(u64::try_from(left).unwrap_or_default())
}

impl Client {
    /// Makes sure that PostHog accepts the caller's key, with a request if no recent response says.
    ///
    /// # Errors
    /// [`ErrorKind::KeyRejected`] if PostHog does not; any other kind if that cannot be known now.
    pub async fn verify(&self) -> Result<(), Error> {
        match self.inner.state.as_deref().map(KeyState::standing) {
            None | Some(KeyStanding::Accepted) => Ok(()),
            Some(KeyStanding::Rejected(why)) => Err(Error::new(ErrorKind::KeyRejected(why))),
            Some(KeyStanding::Unverified) => self.verify_now().await,
        }
    }

    /// Asks PostHog whether it accepts the caller's key, whatever a recent response says: that counts only where PostHog does
    /// not answer.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn verify_now(&self) -> Result<(), Error> {
        let Some(state) = &self.inner.state else {
            return Ok(());
        };
        let checking = async {
            if self.key_kind() == KeyKind::OAuth {
                return state.record_introspection(self.introspect().await);
            }
            let own_key = self.transmit(&account::own_key()).await;
            match own_key {
                Err(error) if matches!(error.kind(), ErrorKind::Unsupported(_)) => {
                    self.transmit(&account::me()).await.map(|_| ())
                }
                own_key => own_key.map(|_| ()),
            }
        };
        let checked = tokio::time::timeout(VERIFY_TIMEOUT, checking).await;
        match (state.standing(), checked) {
            (KeyStanding::Accepted, _) => Ok(()),
            (KeyStanding::Rejected(why), _) => Err(Error::new(ErrorKind::KeyRejected(why))),
            (KeyStanding::Unverified, Ok(Err(error))) => Err(error),
            (KeyStanding::Unverified, _) => Err(Error::new(ErrorKind::Timeout)),
        }
    }

    /// Introspects a caller's OAuth token before it is used. Any other key is tried out by being used.
    pub(crate) async fn check_token(&self) -> Result<(), Error> {
        let Some(state) = &self.inner.state else {
            return Ok(());
        };
        if self.key_kind() != KeyKind::OAuth {
            return Ok(());
        }
        match state.standing() {
            KeyStanding::Accepted => Ok(()),
            KeyStanding::Rejected(why) => Err(Error::new(ErrorKind::KeyRejected(why))),
            KeyStanding::Unverified => state.record_introspection(self.introspect().await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn standing(kind: KeyKind, response: Result<(), ErrorKind>) -> KeyStanding {
        let state = KeyState::default();
        let response = response.map_err(|kind| Error::new(kind).with_code(true));
        state.record(kind, &response);
        state.standing()
    }

    #[test]
    fn only_a_response_of_the_api_accepts_a_key() {
        let key = |response| standing(KeyKind::Personal, response);
        assert_eq!(key(Ok(())), KeyStanding::Accepted);
        for kind in [
            ErrorKind::MissingScope("person:read".to_owned().into()),
            ErrorKind::NotFound,
            ErrorKind::Invalid { argument: None },
        ] {
            assert_eq!(key(Err(kind)), KeyStanding::Accepted);
        }
        assert_eq!(
            key(Err(ErrorKind::Authentication)),
            KeyStanding::Rejected(KeyRejection::Invalid)
        );
        for kind in [
            ErrorKind::Connect,
            ErrorKind::Timeout,
            ErrorKind::ConnectionLost,
            ErrorKind::Server { status: 502 },
            ErrorKind::InvalidResponse,
            ErrorKind::Redirected,
            ErrorKind::RateLimited { retry_after: None },
        ] {
            assert_eq!(key(Err(kind)), KeyStanding::Unverified);
        }
        // A proxy's 403, without PostHog's code.
        let state = KeyState::default();
        let denied: Result<(), _> = Err(Error::new(ErrorKind::Forbidden));
        state.record(KeyKind::Personal, &denied);
        assert_eq!(state.standing(), KeyStanding::Unverified);
        // A response to an OAuth token can only reject it.
        assert_eq!(standing(KeyKind::OAuth, Ok(())), KeyStanding::Unverified);
    }

    #[test]
    fn token_is_accepted_only_if_active_and_meant_for_the_resource() {
        let resource = "https://mcp.example.com/mcp";
        let check = |token: Value| {
            let state = KeyState::new(Some(resource.into()));
            let token = serde_json::from_value(token).unwrap();
            let _ = state.record_introspection(Ok(token));
            state.standing()
        };
        for audience in [
            Value::Null,
            json!([]),
            json!(resource),
            json!("https://mcp.example.com"),
            json!("https://mcp.example.com/"),
            json!(["https://other.example", resource]),
        ] {
            let token = json!({"active": true, "aud": audience});
            assert_eq!(check(token), KeyStanding::Accepted);
        }
        let future = chrono::Utc::now().timestamp() + 60;
        let token = json!({"active": true, "exp": future});
        assert_eq!(check(token), KeyStanding::Accepted);
        for audience in [
            json!("https://other.example/mcp"),
            json!("https://mcp.example.com.evil/mcp"),
            json!(["https://other.example"]),
            json!(7),
        ] {
            assert_eq!(
                check(json!({"active": true, "aud": audience})),
                KeyStanding::Rejected(KeyRejection::OtherResource)
            );
        }
        assert_eq!(
            check(json!({"active": false})),
            KeyStanding::Rejected(KeyRejection::Inactive)
        );
        // Expired at this moment, whatever `active` says.
        assert_eq!(
            check(json!({"active": true, "exp": 1})),
            KeyStanding::Rejected(KeyRejection::Inactive)
        );
    }
}
