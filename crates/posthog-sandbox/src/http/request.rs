//! A request as received. Path and query stay encoded, so that tests see what a client sent.

use axum::body::to_bytes;
use axum::extract::Request as HttpRequest;
use percent_encoding::percent_decode_str;
use serde_json::Value;

const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// A request that the sandbox received.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    pub method: String,
    /// As sent, still percent-encoded.
    pub path: String,
    /// As sent, without the question mark; empty when there was none.
    pub query: String,
    /// Names in lower case, in order of arrival.
    pub headers: Vec<(String, String)>,
    /// The JSON of the body, or its text if it is not JSON; null for an empty body.
    pub body: Value,
}

impl RecordedRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

pub(crate) enum Body {
    Empty,
    Json(Value),
    Malformed,
}

pub(crate) struct Request {
    pub(crate) recorded: RecordedRequest,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) body: Body,
}

impl Request {
    /// `None` if the client disconnects before the body is complete.
    pub(crate) async fn read(request: HttpRequest) -> Option<Self> {
        let (parts, body) = request.into_parts();
        let bytes = to_bytes(body, MAX_BODY_BYTES).await.ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let (body, recorded_body) = if bytes.is_empty() {
            (Body::Empty, Value::Null)
        } else {
            match serde_json::from_str::<Value>(&text) {
                Ok(value) => (Body::Json(value.clone()), value),
                Err(_) => (Body::Malformed, Value::from(text.as_ref())),
            }
        };
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        };
        Some(Self {
            parameters: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            recorded: RecordedRequest {
                method: parts.method.to_string(),
                path: parts.uri.path().to_owned(),
                query,
                headers: parts.headers.iter().map(header).collect(),
                body: recorded_body,
            },
            body,
        })
    }

    pub(crate) fn method(&self) -> &str {
        &self.recorded.method
    }

    pub(crate) fn path(&self) -> &str {
        &self.recorded.path
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// By parameter, by suffix or by header. The header counts only if it accepts nothing else.
    pub(crate) fn wants_csv(&self) -> bool {
        self.parameter("format") == Some("csv")
            || self.path().trim_end_matches('/').ends_with(".csv")
            || self.recorded.header("accept") == Some("text/csv")
    }

    /// The path and query as sent.
    pub(crate) fn full_path(&self) -> String {
        if self.recorded.query.is_empty() {
            self.recorded.path.clone()
        } else {
            format!("{}?{}", self.recorded.path, self.recorded.query)
        }
    }

    /// The URL as the server sees it, from which `next` and `previous` are made.
    pub(crate) fn absolute_url(&self) -> String {
        let host = self.recorded.header("host").unwrap_or("localhost");
        format!("http://{host}{}", self.full_path())
    }

    /// The decoded segments of the path, and whether it ends with a slash. A percent-encoded slash is a separator, as in
    /// PostHog's router.
    pub(crate) fn segments(&self) -> (Vec<String>, bool) {
        let decoded = percent_decode_str(self.path()).decode_utf8_lossy();
        let trailing_slash = decoded.ends_with('/');
        let inner = decoded.trim_start_matches('/');
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        (
            inner.split('/').map(str::to_owned).collect(),
            trailing_slash,
        )
    }
}
