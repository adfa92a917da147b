//! A first visit at a host, without a key: whether it is reached, over which way, and whether PostHog answers there.

use std::error::Error as _;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{ACCEPT, DATE, LOCATION};
use serde_json::Value;
use url::Url;

use crate::connection::Connection;

/// Bytes of an answer in which PostHog's words about a missing key have room.
const MAX_REFUSAL_BYTES: usize = 16 * 1024;

/// What a host that was reached is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResult {
    /// What answers there.
    pub host: Endpoint,
    /// Its clock.
    pub time: Option<DateTime<Utc>>,
}

/// What answers at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// PostHog's API.
    PostHog,
    /// Something that points elsewhere, such as this scheme, host and port.
    Redirect(Option<String>),
    /// A web page or something else that is not the API, with this status.
    NotPostHog(u16),
    /// Something that fails with this status.
    ServerError(u16),
}

/// Why a host is not reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    /// DNS knows no address.
    #[error("the name cannot be found in DNS")]
    Dns,
    /// Nobody listens.
    #[error("nothing listens there")]
    Refused,
    /// No network leads there.
    #[error("no network leads there")]
    Unreachable,
    /// The certificate is not accepted.
    #[error("its certificate is not accepted: {0}")]
    Certificate(String),
    /// The certificate is not valid now, by this machine's clock.
    #[error("its certificate is not valid at this time: {0}")]
    CertificateTime(String),
    /// The certificate is somebody else's.
    #[error("its certificate is made out to another name: {0}")]
    CertificateName(String),
    /// TLS fails for another reason.
    #[error("TLS fails: {0}")]
    Tls(String),
    /// The proxy does not let through.
    #[error("the proxy does not let through: {0}")]
    Proxy(String),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl Connection {
    /// Asks the host for something that every PostHog refuses without a key.
    ///
    /// # Errors
    /// Why the host is not reached.
    pub async fn probe(&self, patience: Duration) -> Result<ProbeResult, ConnectFailure> {
        let address = self
            .address(&["api", "users", "@me"], true)
            .map_err(|error| ConnectFailure::Other(error.to_string()))?;
        let request = self
            .http()
            .get(address)
            .header(ACCEPT, "application/json")
            .timeout(patience);
        let response = request
            .send()
            .await
            .map_err(|error| ConnectFailure::of(&error))?;
        let header = |name| response.headers().get(name)?.to_str().ok();
        let time = header(DATE)
            .and_then(|date| DateTime::parse_from_rfc2822(date).ok())
            .map(|date| date.to_utc());
        let elsewhere = header(LOCATION)
            .and_then(|location| response.url().join(location).ok())
            .map(|location| location.origin().ascii_serialization());
        let status = response.status();
        let body = self.read(response, Some(MAX_REFUSAL_BYTES)).await;
        let host = match status.as_u16() {
            300..=399 => Endpoint::Redirect(elsewhere),
            _ if body.is_ok_and(|body| is_envelope(&body)) => Endpoint::PostHog,
            status @ 500.. => Endpoint::ServerError(status),
            status => Endpoint::NotPostHog(status),
        };
        Ok(ProbeResult { host, time })
    }

    /// The proxy that requests go through, without the password that it may want.
    #[must_use]
    pub fn proxy(&self) -> Option<String> {
        if self.is_local() {
            return None;
        }
        let proxy = Matcher::from_system().intercept(&self.host().parse().ok()?)?;
        let proxy = Url::parse(&proxy.uri().to_string()).ok()?;
        let port = proxy.port_or_known_default()?;
        Some(format!("{}:{port}", proxy.host_str()?))
    }
}

/// Whether this is how PostHog refuses (any status: throttled and failing answers have it as well).
fn is_envelope(body: &[u8]) -> bool {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return false;
    };
    ["type", "code", "detail"]
        .iter()
        .all(|name| fields.get(*name).is_some_and(Value::is_string))
}

impl ConnectFailure {
    fn of(error: &reqwest::Error) -> Self {
        let mut said = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            if let Some(known) = Self::from_cause(cause) {
                return known;
            }
            said.push(cause.to_string());
            next = cause.source();
        }
        let has = |words: &str| said.iter().any(|cause| cause.contains(words));
        if has("dns error") {
            return Self::Dns;
        }
        if has("tunnel") || has("proxy") {
            return Self::Proxy(said.pop().unwrap_or_default());
        }
        if error.is_timeout() {
            return Self::Timeout;
        }
        Self::Other(said.pop().unwrap_or_else(|| "no connection".to_owned()))
    }

    fn from_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Self> {
        use std::io::ErrorKind as Io;
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return Some(Self::of_tls(error));
        }
        let io = cause.downcast_ref::<std::io::Error>()?;
        // What an error of input and output wraps is not among its sources.
        if let Some(known) = io.get_ref().and_then(|inner| Self::from_cause(inner)) {
            return Some(known);
        }
        match io.kind() {
            Io::ConnectionRefused => Some(Self::Refused),
            Io::NetworkUnreachable | Io::HostUnreachable => Some(Self::Unreachable),
            Io::TimedOut => Some(Self::Timeout),
            _ => None,
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        use rustls::CertificateError as C;
        let rustls::Error::InvalidCertificate(why) = error else {
            return Self::Tls(error.to_string());
        };
        let said = why.to_string();
        match why {
            C::Expired
            | C::ExpiredContext { .. }
            | C::NotValidYet
            | C::NotValidYetContext { .. } => Self::CertificateTime(said),
            C::NotValidForName | C::NotValidForNameContext { .. } => Self::CertificateName(said),
            _ => Self::Certificate(said),
        }
    }
}
