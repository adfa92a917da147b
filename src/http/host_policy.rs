//! The outermost layer, on every route: checks `Host` and `Origin`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use url::Url;

/// Which hosts a request may name, and which origins may send one.
#[derive(Debug, Clone, Default)]
pub struct HostPolicy {
    /// Host names besides the loopback ones, with a port where only that port is allowed.
    pub hosts: Vec<String>,
    /// Origins besides the loopback ones, such as `https://app.example.com`.
    pub origins: Vec<String>,
}

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl HostPolicy {
    /// Prevents DNS rebinding: a foreign page that resolves its own name to this machine still sends that name as `Host`.
    fn allows_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = without_port(&host);
        LOOPBACK.contains(&name)
            || self.hosts.iter().any(|allowed| {
                let allowed = allowed.to_ascii_lowercase();
                allowed == host || allowed == name
            })
    }

    fn allows_origin(&self, origin: &str) -> bool {
        if self
            .origins
            .iter()
            .any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin))
        {
            return true;
        }
        // A loopback page. `null` and anything that is not a URL is foreign.
        let Ok(url) = Url::parse(origin) else {
            return false;
        };
        matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| LOOPBACK.contains(&host))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name
        }
        _ => host,
    }
}

/// A rejected request: the status and the body of the response.
type Rejected = (StatusCode, &'static str);

/// Passes requests whose host and origin are allowed.
pub(super) async fn enforce_host_policy(
    State(policy): State<Arc<HostPolicy>>,
    request: Request,
    next: Next,
) -> Result<Response, Rejected> {
    policy.check(&request)?;
    Ok(next.run(request).await)
}

impl HostPolicy {
    /// Rejects a request for another host or from a foreign origin.
    fn check(&self, request: &Request) -> Result<(), Rejected> {
        // The request line can name a host as well, and a second `Host` is ambiguous.
        let line = request.uri().authority().map(|host| Some(host.as_str()));
        let headers = request.headers().get_all(header::HOST);
        let single = headers.iter().count() <= 1;
        let named = headers.iter().map(|host| host.to_str().ok());
        let mut hosts = named.chain(line).peekable();
        let known = hosts.peek().is_some()
            && hosts.all(|host| host.is_some_and(|host| self.allows_host(host)));
        if !single || !known {
            return Err((
                StatusCode::FORBIDDEN,
                "Host not allowed (--allowed-hosts)\n",
            ));
        }
        let mut origins = request.headers().get_all(header::ORIGIN).iter();
        let allowed = origins.all(|origin| {
            origin
                .to_str()
                .is_ok_and(|origin| self.allows_origin(origin))
        });
        if !allowed {
            return Err((
                StatusCode::FORBIDDEN,
                "Origin not allowed (--allowed-origins)\n",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_configured_hosts_and_origins_are_allowed() {
        let policy = HostPolicy {
            hosts: vec!["mcp.example.com".into(), "other.example:8443".into()],
            origins: vec!["https://app.example.com".into()],
        };
        for host in [
            "localhost:8808",
            "127.0.0.1",
            "[::1]:1",
            "LOCALHOST",
            "mcp.example.com:443",
            "other.example:8443",
        ] {
            assert!(policy.allows_host(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "other.example",
            "other.example:1",
            "127.0.0.1.evil.example",
            "127.0.0.2",
        ] {
            assert!(!policy.allows_host(host), "{host}");
        }
        for origin in [
            "http://localhost:3000",
            "https://127.0.0.1",
            "http://[::1]:9",
            "https://app.example.com",
        ] {
            assert!(policy.allows_origin(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://evil.example",
            "http://app.example.com",
            "http://localhost.evil.example",
            "file://localhost",
        ] {
            assert!(!policy.allows_origin(origin), "{origin}");
        }
    }
}
