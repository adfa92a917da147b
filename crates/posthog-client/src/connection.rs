//! The connection to one PostHog host: address, TLS, timeouts, limits. Shared by all clients of the process.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::OnceCell;
use url::{Host, Url};

use crate::capture_host::CaptureHost;
use crate::error::{Error, ErrorKind};
use crate::feature::KnownFeatures;
use crate::query::LastSeenSupport;
use crate::rate_limit::RateLimiters;
use crate::response_memory::{Body, ResponseMemory};
use crate::url::{SegmentError, endpoint_url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The default limit for the size of a response, in bytes.
pub const RESPONSE_BYTES: u32 = 32 * 1024 * 1024;

/// PostHog's own MCP server sends `posthog/mcp-server`; this is not it.
const USER_AGENT: &str = concat!("posthog-persons-mcp/", env!("CARGO_PKG_VERSION"));

/// The options of a [`Connection`].
pub struct ConnectionOptions {
    /// Scheme, host, port and the path below which PostHog is served, if any.
    pub host: Url,
    /// Where events are captured, if that is not derived from the host.
    pub capture_host: Option<Url>,
    /// Allow plain HTTP to a host that is not this machine.
    pub allow_insecure_http: bool,
    /// Additional CA certificates to trust, in PEM.
    pub ca_certificates: Option<Vec<u8>>,
    /// Larger responses, in bytes after decompression, are rejected.
    pub max_response_bytes: usize,
    /// The backoff before the first retry; it doubles each time.
    pub retry_pause: Duration,
    /// The timeout of a request, up to the last byte of its response.
    pub timeout: Duration,
    /// Take PostHog for current, whatever its schema says. PostHog Cloud always is.
    pub assume_current: bool,
}

impl ConnectionOptions {
    /// The default options for a host.
    #[must_use]
    pub fn new(host: Url) -> Self {
        Self {
            host,
            capture_host: None,
            allow_insecure_http: false,
            ca_certificates: None,
            max_response_bytes: RESPONSE_BYTES as usize,
            retry_pause: Duration::from_millis(500),
            timeout: REQUEST_TIMEOUT,
            assume_current: false,
        }
    }
}

/// Options that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The address is not the base URL of a web server. It is not quoted: it may contain a password.
    #[error(
        "not the base URL of a web server (its scheme is {0}); expected, for example, https://eu.posthog.com, without user, query or fragment"
    )]
    Address(String),
    /// A capture host, which only accepts events.
    #[error("{0} only accepts events; the API is at {1}")]
    CaptureHost(String, &'static str),
    /// Plain HTTP would expose the key.
    #[error(
        "{0} uses plain HTTP, which would expose the API key on the network; use https, or --allow-insecure-http on a trusted network"
    )]
    Insecure(String),
    /// The capture host cannot be used.
    #[error("the capture host {0}")]
    Capture(String),
    /// The extra certificates cannot be used.
    #[error("the file contains no usable PEM certificate: {0}")]
    Certificate(String),
    /// The HTTP client cannot be built.
    #[error("the HTTP client could not be set up: {0}")]
    Client(String),
}

/// An HTTP client bound to one PostHog host.
pub struct Connection {
    http: reqwest::Client,
    base: Url,
    host: String,
    capture: CaptureHost,
    max_response_bytes: usize,
    retry_pause: Duration,
    query_timeout: Duration,
    rate_limiters: RateLimiters,
    response_memory: ResponseMemory,
    is_current: bool,
    features: OnceCell<KnownFeatures>,
    last_seen: LastSeenSupport,
}

impl Connection {
    /// Prepares a connection. No request is made.
    ///
    /// # Errors
    /// When the address or the certificates cannot be used.
    pub fn new(options: &ConnectionOptions) -> Result<Self, ConnectionError> {
        let base = &options.host;
        let shown = base.origin().ascii_serialization();
        if !is_base_url(base) {
            return Err(ConnectionError::Address(base.scheme().to_owned()));
        }
        match base.host_str() {
            Some("us.i.posthog.com") => {
                return Err(ConnectionError::CaptureHost(
                    shown,
                    "https://us.posthog.com",
                ));
            }
            Some("eu.i.posthog.com") => {
                return Err(ConnectionError::CaptureHost(
                    shown,
                    "https://eu.posthog.com",
                ));
            }
            _ => {}
        }
        let loopback = is_loopback(base);
        if base.scheme() == "http" && !loopback && !options.allow_insecure_http {
            return Err(ConnectionError::Insecure(shown));
        }
        let http = http_client(options, loopback)?;
        let capture = CaptureHost::new(options, &http, loopback)?;
        Ok(Self {
            http,
            base: base.clone(),
            host: shown,
            capture,
            max_response_bytes: options.max_response_bytes,
            retry_pause: options.retry_pause,
            // A query waits at PostHog for up to 30 s and runs for up to 60 s: 100 s by default.
            query_timeout: options.timeout * 5 / 3,
            rate_limiters: RateLimiters::new(is_cloud(base)),
            response_memory: ResponseMemory::new(options.max_response_bytes),
            is_current: options.assume_current || is_cloud(base),
            features: OnceCell::new(),
            last_seen: LastSeenSupport::default(),
        })
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The host, without path or credentials.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where events are captured.
    pub(crate) fn capture(&self) -> &CaptureHost {
        &self.capture
    }

    /// Whether PostHog responds, with any status. Sends no key.
    pub async fn reachable(&self) -> Result<(), Error> {
        let request = self.http.get(self.base.clone()).timeout(CONNECT_TIMEOUT);
        request
            .send()
            .await
            .map(drop)
            .map_err(Error::from_transport)
    }

    /// Whether the host is this machine, which needs no proxy.
    pub(crate) fn is_local(&self) -> bool {
        is_loopback(&self.base)
    }

    /// The rate limiters of all keys.
    pub(crate) fn rate_limiters(&self) -> &RateLimiters {
        &self.rate_limiters
    }

    /// The capture host, without path or credentials.
    #[must_use]
    pub fn capture_host(&self) -> &str {
        self.capture.name()
    }

    /// Whether PostHog is known to be current without being asked.
    pub(crate) fn is_current(&self) -> bool {
        self.is_current
    }

    /// What PostHog was found to know.
    pub(crate) fn features(&self) -> &OnceCell<KnownFeatures> {
        &self.features
    }

    /// Whether queries were seen to know when persons were last seen.
    pub(crate) fn last_seen(&self) -> &LastSeenSupport {
        &self.last_seen
    }

    /// The timeout of a query.
    pub(crate) fn query_timeout(&self) -> Duration {
        self.query_timeout
    }

    pub(crate) fn retry_pause(&self) -> Duration {
        self.retry_pause
    }

    /// The URL of a path below this host, each segment encoded.
    pub(crate) fn address(&self, path: &[&str], trailing_slash: bool) -> Result<Url, SegmentError> {
        endpoint_url(&self.base, path, trailing_slash)
    }

    /// Reads a body, up to the limit or a lower one, while there is memory for it. With `max_bytes`, only the first bytes
    /// are read.
    pub(crate) async fn read(
        &self,
        mut response: reqwest::Response,
        max_bytes: Option<usize>,
        size_limit: Option<usize>,
    ) -> Result<Body, Error> {
        /// Memory allocated for a `Content-Length` before any byte arrives.
        const MAX_PREALLOCATION: u64 = 1024 * 1024;
        let limit = size_limit
            .unwrap_or(usize::MAX)
            .min(self.max_response_bytes);
        let content_length = response.content_length().unwrap_or_default();
        let mut memory = self.response_memory.reserve();
        let capacity = content_length.min(MAX_PREALLOCATION) as usize;
        memory.grow(capacity.min(limit)).await;
        let mut body = Vec::with_capacity(capacity);
        while let Some(chunk) = response.chunk().await.map_err(Error::from_transport)? {
            if let Some(max) = max_bytes.filter(|max| body.len() + chunk.len() >= *max) {
                body.extend_from_slice(chunk.get(..max - body.len()).unwrap_or(&chunk));
                return Ok(Body::new(body, memory));
            }
            if body.len() + chunk.len() > limit {
                return Err(Error::new(ErrorKind::ResponseTooLarge { max_bytes: limit }));
            }
            memory.grow(body.len() + chunk.len()).await;
            body.extend_from_slice(&chunk);
        }
        Ok(Body::new(body, memory))
    }
}

/// Whether this can be the base URL of a web server, without anything that would be lost or leaked.
pub(crate) fn is_base_url(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

pub(crate) fn http_client(
    options: &ConnectionOptions,
    loopback: bool,
) -> Result<reqwest::Client, ConnectionError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(options.ca_certificates.as_deref())?)
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(options.timeout)
        // A redirect would send the key to an address that is not configured.
        .redirect(redirect::Policy::none())
        // Retries depend on what the request does; see `retry`.
        .retry(reqwest::retry::never());
    if loopback {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| ConnectionError::Client(error.to_string()))
}

/// Whether this is PostHog Cloud, which enforces its rate limits.
pub(crate) fn is_cloud(url: &Url) -> bool {
    url.host_str()
        .is_some_and(|host| host == "posthog.com" || host.ends_with(".posthog.com"))
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// TLS with bundled roots: loading the system root store dominates startup.
fn tls(extra: Option<&[u8]>) -> Result<rustls::ClientConfig, ConnectionError> {
    let mut roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(pem) = extra {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate
                .map_err(|_| ConnectionError::Certificate("a block is not PEM".to_owned()))?;
            roots
                .add(certificate)
                .map_err(|error| ConnectionError::Certificate(error.to_string()))?;
        }
        if roots.len() == before {
            return Err(ConnectionError::Certificate("it contains none".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectionError::Client(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(host: &str, allow_insecure_http: bool) -> Result<Connection, ConnectionError> {
        let mut options = ConnectionOptions::new(Url::parse(host).unwrap());
        options.allow_insecure_http = allow_insecure_http;
        Connection::new(&options)
    }

    #[test]
    fn plain_http_is_allowed_for_loopback_only() {
        for host in [
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "http://localhost:1",
            "https://x.example",
        ] {
            assert!(connect(host, false).is_ok(), "{host}");
        }
        for host in [
            "http://posthog.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
        ] {
            assert!(
                matches!(connect(host, false), Err(ConnectionError::Insecure(_))),
                "{host}"
            );
            assert!(connect(host, true).is_ok(), "{host}");
        }
    }

    #[test]
    fn address_with_credentials_and_capture_host_are_rejected() {
        for host in [
            "https://user:secret@x.example",
            "https://x.example/?a=1",
            "ftp://x.example",
        ] {
            let Err(error) = connect(host, false) else {
                panic!("{host} was accepted")
            };
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(matches!(
            connect("https://eu.i.posthog.com", false),
            Err(ConnectionError::CaptureHost(..))
        ));
    }
}
