//! The settings of `http`, validated.

use std::net::SocketAddr;

use secrecy::SecretString;
use url::Url;

use super::{ConfigError, STATE_KEY, names, read_auth_token, read_secret};
use crate::cli::HttpArgs;

/// The settings of `http`.
pub struct HttpConfig {
    /// Where to listen.
    pub bind: SocketAddr,
    /// The URL at which clients reach the server, unless it is the address that the server listens on.
    pub public_url: Option<String>,
    /// Host names to accept besides the loopback ones.
    pub allowed_hosts: Vec<String>,
    /// Origins to accept besides the loopback ones.
    pub allowed_origins: Vec<String>,
    /// Whether the legacy HTTP+SSE transport is served too.
    pub legacy_sse: bool,
    /// The URL of the Redis that processes share.
    pub redis: Option<String>,
    /// Requests per credential and minute.
    pub max_requests_per_minute: u64,
    /// Open sessions.
    pub max_sessions: usize,
    /// The token that guards the server's own PostHog key.
    pub auth_token: Option<SecretString>,
    /// The key that processes share for their confirmations.
    pub state_key: Option<SecretString>,
}

impl HttpConfig {
    /// Reads the settings: the arguments, and the two secrets that have no flag.
    ///
    /// # Errors
    /// With every secret that is too short, and every value that no request could match.
    pub fn new(http: HttpArgs) -> Result<Self, ConfigError> {
        let mut problems = ConfigError::default();
        let auth_token = problems.collect(read_auth_token()).flatten();
        let state_key = problems.collect(read_secret(STATE_KEY)).flatten();
        let allowed_hosts = problems.collect(hosts(&http.allowed_hosts));
        let allowed_origins = problems.collect(origins(&http.allowed_origins));
        problems.collect(http.public_url.as_deref().map_or(Ok(()), check_public_url));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            bind: http.bind,
            public_url: http.public_url,
            allowed_hosts: allowed_hosts.unwrap_or_default(),
            allowed_origins: allowed_origins.unwrap_or_default(),
            legacy_sse: !http.no_sse,
            redis: http.redis,
            max_requests_per_minute: http.max_requests_per_minute,
            max_sessions: http.max_sessions,
            auth_token,
            state_key,
        })
    }
}

/// Names of hosts, without what no `Host` header has.
fn hosts(given: &[String]) -> Result<Vec<String>, ConfigError> {
    let hosts = names("--allowed-hosts", given)?;
    if hosts.iter().any(|host| host.contains(['/', '@', ' '])) {
        return Err(ConfigError::new(
            "--allowed-hosts: a host is a name with or without a port, such as mcp.example.com",
        ));
    }
    Ok(hosts)
}

/// Origins, as a browser sends them.
fn origins(given: &[String]) -> Result<Vec<String>, ConfigError> {
    let origins = names("--allowed-origins", given)?;
    let is_origin = |origin: &String| {
        Url::parse(origin).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none()
        })
    };
    if !origins.iter().all(is_origin) {
        return Err(ConfigError::new(
            "--allowed-origins: an origin is a scheme and a host, such as https://app.example.com",
        ));
    }
    Ok(origins)
}

fn check_public_url(url: &str) -> Result<(), ConfigError> {
    let usable = Url::parse(url)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
    if usable {
        return Ok(());
    }
    Err(ConfigError::new(
        "--public-url is not a URL. It should look like https://mcp.example.com.",
    ))
}
