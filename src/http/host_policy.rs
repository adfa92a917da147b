//! The outermost check, on every route: the request is meant for this server, comes from no foreign page, and its body
//! is small and arrives in time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

/// No request of the protocol needs more: a thousand ids are 40 KB.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// A body that takes longer is not waited for.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(15);

/// Which names a request may use for this server, and which pages may send one.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Host names besides those of this machine, with a port where only that port is meant.
    pub hosts: Vec<String>,
    /// Origins besides pages of this machine, such as `https://app.example.com`.
    pub origins: Vec<String>,
}

const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl Guard {
    /// A page elsewhere could point its own name at this machine and call the server through the visitor's browser; its
    /// name stands in `Host`.
    fn allows_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = without_port(&host);
        LOCAL.contains(&name)
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
        // A page of this machine. `null` and whatever is no address is foreign.
        let Ok(url) = Url::parse(origin) else {
            return false;
        };
        matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| LOCAL.contains(&host))
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

/// What a body is, as far as the way in has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageKind {
    /// The handshake that opens a session.
    Initialize,
    /// A request, to be answered.
    Request,
    /// An answer to the server or a notification: nothing comes of it but that somebody goes on.
    OneWay,
    /// No message.
    Other,
}

impl MessageKind {
    fn of(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Message {
            method: Option<String>,
            id: Option<IgnoredAny>,
        }
        match serde_json::from_slice::<Message>(body) {
            Ok(Message {
                method: Some(method),
                id: Some(_),
            }) if method == "initialize" => Self::Initialize,
            Ok(Message {
                method: Some(_),
                id: Some(_),
            }) => Self::Request,
            Ok(
                Message {
                    method: None,
                    id: Some(_),
                }
                | Message {
                    method: Some(_),
                    id: None,
                },
            ) => Self::OneWay,
            _ => Self::Other,
        }
    }
}

/// Why a request goes no further.
type Refused = (StatusCode, &'static str);

/// Lets in what is meant for this server, comes from no foreign page and has a small body.
pub(super) async fn enforce_host_policy(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    guard.check(&request)?;
    let request = with_small_body(request).await?;
    Ok(next.run(request).await)
}

impl Guard {
    /// Refuses what is meant for another host or comes from a foreign page.
    fn check(&self, request: &Request) -> Result<(), Refused> {
        // The request line can name a host as well, and there may be only one `Host`.
        let line = request.uri().authority().map(|host| Some(host.as_str()));
        let headers = request.headers().get_all(header::HOST);
        let one = headers.iter().count() <= 1;
        let named = headers.iter().map(|host| host.to_str().ok());
        let mut hosts = named.chain(line).peekable();
        let known = hosts.peek().is_some()
            && hosts.all(|host| host.is_some_and(|host| self.allows_host(host)));
        if !one || !known {
            return Err((
                StatusCode::FORBIDDEN,
                "This server does not answer to that host name (--allowed-hosts).\n",
            ));
        }
        let mut origins = request.headers().get_all(header::ORIGIN).iter();
        let welcome = origins.all(|origin| {
            origin
                .to_str()
                .is_ok_and(|origin| self.allows_origin(origin))
        });
        if !welcome {
            return Err((
                StatusCode::FORBIDDEN,
                "Pages of that origin may not call this server (--allowed-origins).\n",
            ));
        }
        Ok(())
    }
}

/// Reads the whole body before anybody works on it, so that a slow or endless one costs a buffer and nothing else.
async fn with_small_body(request: Request) -> Result<Request, Refused> {
    let (parts, body) = request.into_parts();
    match tokio::time::timeout(BODY_READ_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(body)) => {
            let kind = MessageKind::of(&body);
            let mut request = Request::from_parts(parts, Body::from(body));
            request.extensions_mut().insert(kind);
            Ok(request)
        }
        Ok(Err(_)) => Err((
            StatusCode::PAYLOAD_TOO_LARGE,
            "The request is too large or broke off.\n",
        )),
        Err(_) => Err((
            StatusCode::REQUEST_TIMEOUT,
            "The request did not arrive in time.\n",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_what_is_named_is_let_in() {
        let guard = Guard {
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
            assert!(guard.allows_host(host), "{host}");
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
            assert!(!guard.allows_host(host), "{host}");
        }
        for origin in [
            "http://localhost:3000",
            "https://127.0.0.1",
            "http://[::1]:9",
            "https://app.example.com",
        ] {
            assert!(guard.allows_origin(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://evil.example",
            "http://app.example.com",
            "http://localhost.evil.example",
            "file://localhost",
        ] {
            assert!(!guard.allows_origin(origin), "{origin}");
        }
    }
}
