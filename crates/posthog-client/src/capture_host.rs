//! The host that captures events: another one than the API's on PostHog Cloud.
//!
//! Invariant: knows no API key.

use url::Url;

use crate::connection::{
    ConnectionError, ConnectionOptions, http_client, is_base_url, is_loopback,
};
use crate::url::{SegmentError, endpoint_url};

/// Where events are captured.
pub(crate) struct CaptureHost {
    http: reqwest::Client,
    base: Url,
    host: String,
}

impl CaptureHost {
    pub(crate) fn new(
        options: &ConnectionOptions,
        http: &reqwest::Client,
        loopback: bool,
    ) -> Result<Self, ConnectionError> {
        let base = match &options.capture_host {
            Some(given) => given.clone(),
            None => derived_capture_host(&options.host),
        };
        let host = base.origin().ascii_serialization();
        let refused = |why: &str| Err(ConnectionError::Capture(format!("{host} {why}")));
        if !is_base_url(&base) {
            return refused(
                "is not the base URL of a web server; expected, for example, https://eu.i.posthog.com",
            );
        }
        let is_local = is_loopback(&base);
        if base.scheme() == "http" && !is_local && !options.allow_insecure_http {
            return refused(
                "uses plain HTTP, which would expose the project's token; use https, or --allow-insecure-http on a trusted network",
            );
        }
        let http = match is_local == loopback {
            true => http.clone(),
            // Only one of the two is reached through a proxy.
            false => http_client(options, is_local)?,
        };
        Ok(Self { http, base, host })
    }

    /// The host, without path or credentials.
    pub(crate) fn name(&self) -> &str {
        &self.host
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The URL to which events are sent.
    pub(crate) fn address(&self) -> Result<Url, SegmentError> {
        endpoint_url(&self.base, &["i", "v0", "e"], true)
    }
}

/// PostHog Cloud has a capture host for each region; any other PostHog captures events itself.
fn derived_capture_host(base: &Url) -> Url {
    let host = match base.host_str() {
        Some("us.posthog.com" | "app.posthog.com") => "us.i.posthog.com",
        Some("eu.posthog.com") => "eu.i.posthog.com",
        _ => return base.clone(),
    };
    let mut capture = base.clone();
    // Fails only for URLs without a host.
    let _ = capture.set_host(Some(host));
    capture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Connection;

    #[test]
    fn capture_host_follows_from_the_host() {
        let capture_host = |host: &str, given: Option<&str>| {
            let mut options = ConnectionOptions::new(Url::parse(host).unwrap());
            options.capture_host = given.map(|given| Url::parse(given).unwrap());
            let connection = Connection::new(&options).map_err(|error| error.to_string())?;
            Ok::<_, String>(connection.capture().address().unwrap().to_string())
        };
        for (host, given, expected) in [
            (
                "https://us.posthog.com",
                None,
                "https://us.i.posthog.com/i/v0/e/",
            ),
            (
                "https://eu.posthog.com",
                None,
                "https://eu.i.posthog.com/i/v0/e/",
            ),
            (
                "https://ph.example:8443",
                None,
                "https://ph.example:8443/i/v0/e/",
            ),
            (
                "https://ph.example/posthog/",
                None,
                "https://ph.example/posthog/i/v0/e/",
            ),
            (
                "http://127.0.0.1:8000",
                None,
                "http://127.0.0.1:8000/i/v0/e/",
            ),
            (
                "https://ph.example",
                Some("https://events.example"),
                "https://events.example/i/v0/e/",
            ),
        ] {
            assert_eq!(capture_host(host, given).unwrap(), expected);
        }
        for refused in [
            "http://events.example",
            "https://user:secret@events.example",
            "ftp://x",
        ] {
            let error = capture_host("https://ph.example", Some(refused)).unwrap_err();
            assert!(error.starts_with("the capture host "), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
