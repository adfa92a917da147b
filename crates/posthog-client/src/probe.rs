//! A probe of a host without a key: whether it is reachable, through which proxy, and whether it is PostHog.

use std::error::Error as _;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{ACCEPT, DATE, LOCATION};
use serde_json::Value;
use url::Url;

use crate::connection::Connection;

/// Enough for PostHog's error about a missing key.
const MAX_REFUSAL_BYTES: usize = 16 * 1024;

/// What a reachable host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResult {
    /// What responds.
    pub host: Endpoint,
    /// Its clock.
    pub time: Option<DateTime<Utc>>,
}

/// What responds at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// PostHog's API.
    PostHog,
    /// A redirect, to this scheme, host and port.
    Redirect(Option<String>),
    /// Something other than the API, with this status.
    NotPostHog(u16),
    /// A server error with this status.
    ServerError(u16),
}

/// Why a host is not reachable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    /// DNS has no address for the name.
    #[error("the host name does not resolve")]
    Dns,
    /// Nothing listens at the port.
    #[error("connection refused")]
    Refused,
    /// There is no route to the host.
    #[error("the network is unreachable")]
    Unreachable,
    /// The certificate is not trusted.
    #[error("its certificate is not trusted: {0}")]
    Certificate(String),
    /// The certificate is not valid at the time of this machine's clock.
    #[error("its certificate is not valid at this time: {0}")]
    CertificateTime(String),
    /// The certificate is for another name.
    #[error("its certificate is for another name: {0}")]
    CertificateName(String),
    /// TLS failed for another reason.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The proxy rejected the connection.
    #[error("the proxy rejected the connection: {0}")]
    Proxy(String),
    /// No response in time.
    #[error("no response in time")]
    Timeout,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl Connection {
    /// Requests something that every PostHog rejects without a key.
    ///
    /// # Errors
    /// Why the host is not reachable.
    pub async fn probe(&self, timeout: Duration) -> Result<ProbeResult, ConnectFailure> {
        let address = self
            .address(&["api", "users", "@me"], true)
            .map_err(|error| ConnectFailure::Other(error.to_string()))?;
        let request = self
            .http()
            .get(address)
            .header(ACCEPT, "application/json")
            .timeout(timeout);
        let response = request
            .send()
            .await
            .map_err(|error| ConnectFailure::of(&error))?;
        let header = |name| response.headers().get(name)?.to_str().ok();
        let time = header(DATE)
            .and_then(|date| DateTime::parse_from_rfc2822(date).ok())
            .map(|date| date.to_utc());
        let target = header(LOCATION)
            .and_then(|location| response.url().join(location).ok())
            .map(|location| location.origin().ascii_serialization());
        let status = response.status();
        let body = self.read(response, Some(MAX_REFUSAL_BYTES), None).await;
        let host = match status.as_u16() {
            300..=399 => Endpoint::Redirect(target),
            _ if body.is_ok_and(|body| is_envelope(&body)) => Endpoint::PostHog,
            status @ 500.. => Endpoint::ServerError(status),
            status => Endpoint::NotPostHog(status),
        };
        Ok(ProbeResult { host, time })
    }

    /// Whether the capture host responds, with any status. Sends no event.
    ///
    /// # Errors
    /// Why it is not reachable.
    pub async fn probe_capture_host(&self, timeout: Duration) -> Result<(), ConnectFailure> {
        let capture = self.capture();
        let address = capture
            .address()
            .map_err(|error| ConnectFailure::Other(error.to_string()))?;
        let request = capture.http().get(address).timeout(timeout);
        let response = request.send().await;
        response
            .map(drop)
            .map_err(|error| ConnectFailure::of(&error))
    }

    /// The proxy that requests use, without its credentials.
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

/// Whether this is an error of PostHog, with any status.
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
        let mut causes = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            if let Some(known) = Self::from_cause(cause) {
                return known;
            }
            causes.push(cause.to_string());
            next = cause.source();
        }
        let has = |text: &str| causes.iter().any(|cause| cause.contains(text));
        if has("dns error") {
            return Self::Dns;
        }
        if has("tunnel") || has("proxy") {
            return Self::Proxy(causes.pop().unwrap_or_default());
        }
        if error.is_timeout() {
            return Self::Timeout;
        }
        Self::Other(causes.pop().unwrap_or_else(|| "no connection".to_owned()))
    }

    fn from_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Self> {
        use std::io::ErrorKind as Io;
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return Some(Self::of_tls(error));
        }
        let io = cause.downcast_ref::<std::io::Error>()?;
        // The inner error of an I/O error is not among its sources.
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
        let reason = why.to_string();
        match why {
            C::Expired
            | C::ExpiredContext { .. }
            | C::NotValidYet
            | C::NotValidYetContext { .. } => Self::CertificateTime(reason),
            C::NotValidForName | C::NotValidForNameContext { .. } => Self::CertificateName(reason),
            _ => Self::Certificate(reason),
        }
    }
}
