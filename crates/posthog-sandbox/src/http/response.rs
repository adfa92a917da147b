//! Responses and their error envelopes (Persons API, Errors).

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response as HttpResponse;
use serde_json::{Value, json};

pub(crate) const JSON: &str = "application/json";
pub(crate) const CSV: &str = "text/csv; charset=utf-8";
pub(crate) const HTML: &str = "text/html; charset=utf-8";

#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Empty,
    Json(Value),
    Text { content_type: String, text: String },
}

impl Response {
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content: Content::Empty,
        }
    }

    pub(crate) fn json(status: u16, value: Value) -> Self {
        Self {
            content: Content::Json(value),
            ..Self::empty(status)
        }
    }

    pub(crate) fn text(status: u16, content_type: &str, text: String) -> Self {
        let content_type = content_type.to_owned();
        Self {
            content: Content::Text { content_type, text },
            ..Self::empty(status)
        }
    }

    pub(crate) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a field to a JSON object.
    pub(crate) fn with_field(mut self, name: &str, value: Value) -> Self {
        if let Content::Json(Value::Object(fields)) = &mut self.content {
            fields.insert(name.to_owned(), value);
        }
        self
    }

    /// The sentence of an error.
    pub(crate) fn detail(&self) -> Value {
        match &self.content {
            Content::Json(error) => error.get("detail").cloned().unwrap_or_default(),
            Content::Empty | Content::Text { .. } => Value::Null,
        }
    }

    /// The envelope of errors.
    pub(crate) fn error(
        status: u16,
        kind: &str,
        code: &str,
        detail: impl Into<String>,
        attr: Option<&str>,
    ) -> Self {
        let detail: String = detail.into();
        Self::json(
            status,
            json!({"type": kind, "code": code, "detail": detail, "attr": attr}),
        )
    }

    pub(crate) fn invalid(detail: impl Into<String>, attr: Option<&str>) -> Self {
        Self::error(400, "validation_error", "invalid_input", detail, attr)
    }

    /// PATCH and `update_property` swap code and detail when a field is missing (Persons API, Errors).
    pub(crate) fn missing_field(attr: &str, sentence: &str) -> Self {
        Self::error(400, "validation_error", sentence, "required", Some(attr))
    }

    pub(crate) fn not_authenticated() -> Self {
        let detail = "Authentication credentials were not provided.";
        Self::error(
            401,
            "authentication_error",
            "not_authenticated",
            detail,
            None,
        )
    }

    pub(crate) fn authentication_failed(detail: &str) -> Self {
        Self::error(
            401,
            "authentication_error",
            "authentication_failed",
            detail,
            None,
        )
    }

    pub(crate) fn permission_denied(detail: impl Into<String>) -> Self {
        Self::error(
            403,
            "authentication_error",
            "permission_denied",
            detail,
            None,
        )
    }

    pub(crate) fn not_found(detail: &str) -> Self {
        Self::error(404, "invalid_request", "not_found", detail, None)
    }

    pub(crate) fn method_not_allowed(method: &str) -> Self {
        let detail = format!("Method \"{method}\" not allowed.");
        Self::error(405, "invalid_request", "method_not_allowed", detail, None)
    }

    pub(crate) fn throttled(retry_after: u64) -> Self {
        let detail = format!("Request was throttled. Expected available in {retry_after} seconds.");
        Self::error(429, "throttled_error", "throttled", detail, None)
            .with_header("retry-after", retry_after.to_string())
    }

    pub(crate) fn concurrency_limit() -> Self {
        let detail = "Exceeded maximum concurrency limit: 3 for this project.";
        Self::error(429, "throttled_error", "throttled", detail, None)
    }

    pub(crate) fn server_error(status: u16) -> Self {
        let detail = match status {
            503 => "ClickHouse is at capacity. Please try again later.",
            504 => "Query has hit the max execution time or memory limit.",
            512 => "Query has been estimated to take too long.",
            _ => "A server error occurred.",
        };
        Self::error(status, "server_error", "error", detail, None)
    }

    /// Outside the API every path leads to the login page.
    pub(crate) fn login(path: &str) -> Self {
        Self::text(302, HTML, String::new()).with_header("location", format!("/login?next={path}"))
    }

    pub(crate) fn into_response(self) -> HttpResponse {
        let (content_type, body) = match self.content {
            Content::Empty => (None, Body::empty()),
            Content::Json(value) => (Some(JSON.to_owned()), Body::from(value.to_string())),
            Content::Text { content_type, text } => (Some(content_type), Body::from(text)),
        };
        let mut response = HttpResponse::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = content_type.map(|value| (header::CONTENT_TYPE.to_string(), value));
        for (name, value) in self.headers.into_iter().chain(content_type) {
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(&value),
            ) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
