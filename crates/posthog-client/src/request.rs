//! Requests to the API, independent of the client that sends them.

use reqwest::Method;
use serde_json::Value;

use crate::key_info::KeyKind;
use crate::rate_limit;
use crate::url::Query;

/// A request.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// Path segments after the host; each is percent-encoded.
    pub(crate) path: Vec<&'a str>,
    /// Whether the path ends with a slash, as all of the API's do.
    pub(crate) trailing_slash: bool,
    pub(crate) query: Query,
    pub(crate) body: Option<Value>,
    pub(crate) accept: &'static str,
    /// Whether it may be sent twice. `POST` reads are idempotent, writes never are.
    pub(crate) idempotent: bool,
    /// The rate limit that counts it.
    pub(crate) quota: rate_limit::Quota,
    /// The identifier that the caller gave, for "not found".
    pub(crate) subject: Option<String>,
    /// Reject a larger response, in bytes, where that is less than the connection allows.
    pub(crate) size_limit: Option<usize>,
    /// Read only this many bytes of the response.
    pub(crate) max_bytes: Option<usize>,
    /// Whether the body of a 5xx is a result all the same.
    pub(crate) is_result: fn(&[u8]) -> bool,
}

impl<'a> Request<'a> {
    pub(crate) fn get(path: Vec<&'a str>) -> Self {
        Self {
            method: Method::GET,
            path,
            trailing_slash: true,
            query: Query::new(),
            body: None,
            accept: "application/json",
            idempotent: true,
            quota: rate_limit::Quota::Other,
            subject: None,
            size_limit: None,
            max_bytes: None,
            is_result: |_| false,
        }
    }

    /// A `POST` that only reads: its arguments are too long for a URL.
    pub(crate) fn read_by_post(path: Vec<&'a str>, body: Value) -> Self {
        Self {
            method: Method::POST,
            body: Some(body),
            ..Self::get(path)
        }
    }

    /// Whether the response shows if PostHog accepts a key of this kind.
    pub(crate) fn shows_key(&self, kind: KeyKind) -> bool {
        match self.path.as_slice() {
            // Public on some instances.
            [.., "schema"] => false,
            // May pass on a rejection by the ingestion service.
            [.., "delete_property"] => false,
            // Not open to OAuth tokens, and rejects them as it would a wrong key.
            [.., "personal_api_keys", "@current"] => kind != KeyKind::OAuth,
            _ => true,
        }
    }

    pub(crate) fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    pub(crate) fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

/// The path of an endpoint below a project's persons.
pub(crate) fn persons<'a>(project: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["api", "projects", project, "persons"], rest].concat()
}
