//! A request as it arrived: nothing decoded away, so that a test can see what a client really sent.

use axum::body::to_bytes;
use axum::extract::Request;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// More than any request of this API needs.
const LARGEST_BODY: usize = 32 * 1024 * 1024;

/// One request that the sandbox has received.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    pub method: String,
    /// As sent, still percent-encoded.
    pub path: String,
    /// As sent, without the question mark; empty when there was none.
    pub query: String,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The JSON that was sent, or the raw text where it was not JSON; null for no body.
    pub body: Value,
}

impl RecordedRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

pub(super) enum Body {
    Empty,
    Json(Value),
    Malformed,
}

pub(super) struct Incoming {
    pub(super) recorded: RecordedRequest,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) body: Body,
}

impl Incoming {
    /// `None` when the client went away while it was still sending.
    pub(super) async fn read(request: Request) -> Option<Self> {
        let (parts, body) = request.into_parts();
        let bytes = to_bytes(body, LARGEST_BODY).await.ok()?;
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

    pub(super) fn method(&self) -> &str {
        &self.recorded.method
    }

    pub(super) fn path(&self) -> &str {
        &self.recorded.path
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// By parameter, by suffix or by header. The header only counts when it asks for nothing else.
    pub(super) fn wants_csv(&self) -> bool {
        self.parameter("format") == Some("csv")
            || self.path().trim_end_matches('/').ends_with(".csv")
            || self.recorded.header("accept") == Some("text/csv")
    }

    /// The path and query as sent.
    pub(super) fn full_path(&self) -> String {
        if self.recorded.query.is_empty() {
            self.recorded.path.clone()
        } else {
            format!("{}?{}", self.recorded.path, self.recorded.query)
        }
    }

    /// The address as the server saw it, which is what `next` and `previous` are made from.
    pub(super) fn absolute_url(&self) -> String {
        let host = self.recorded.header("host").unwrap_or("localhost");
        format!("http://{host}{}", self.full_path())
    }

    /// The path in decoded segments, and whether it ended with a slash. A slash that came
    /// percent-encoded counts as a separator, as it does for the real router.
    pub(super) fn segments(&self) -> (Vec<String>, bool) {
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
