//! The requests of a browser: the page, its style and script, and the answer.
//!
//! Only a POST answers. It must come from the page itself: the right `Host`, the page's own `Origin`, and the token of its
//! form.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tokio::time::timeout;

use super::approvals::Inner;
use super::entry::State as EntryState;
use super::page;

/// The form has two short fields.
const MAX_BODY: usize = 4096;
/// How long a page waits to show what became of an approval.
const OUTCOME_WAIT: Duration = Duration::from_secs(4);

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every request is checked against.
struct Origins(Vec<String>);

pub(super) fn router(inner: Arc<Inner>, bound: SocketAddr) -> Router {
    let origins = Arc::new(Origins(inner.origins(bound)));
    Router::new()
        .route("/style.css", get(async || asset("text/css", page::STYLE)))
        .route(
            "/script.js",
            get(async || asset("text/javascript", page::SCRIPT)),
        )
        .route("/{path}", get(show).post(answer))
        .fallback(async || not_found())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(origins, guard))
        .with_state(inner)
}

/// Rejects what does not come from the page or its address, and adds the headers of every response.
async fn guard(State(origins): State<Arc<Origins>>, request: Request, next: Next) -> Response {
    let allowed = origins.allow(request.method(), request.headers());
    let mut response = match allowed {
        Ok(()) => next.run(request).await,
        Err(reason) => (StatusCode::FORBIDDEN, reason).into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Origins {
    /// A foreign page that resolves its own name to this machine still sends that name as `Host`, and a form on a foreign
    /// page has that page's `Origin`.
    fn allow(&self, method: &Method, headers: &HeaderMap) -> Result<(), &'static str> {
        let one = |name| {
            let mut values = headers.get_all(name).iter();
            let value = values.next();
            (value.is_none(), value.filter(|_| values.next().is_none()))
        };
        let (_, host) = one(header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let is_host = |origin: &String| {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
        };
        if !self.0.iter().any(is_host) {
            return Err("Host not allowed: open the page at the address that the assistant gave\n");
        }
        let (absent, origin) = one(header::ORIGIN);
        let origin = origin
            .and_then(|origin| origin.to_str().ok())
            .unwrap_or_default();
        let own = self.0.iter().any(|own| own.eq_ignore_ascii_case(origin));
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if own || (absent && reads) {
            Ok(())
        } else {
            Err("Origin not allowed\n")
        }
    }
}

/// Shows the question, or what became of it. Changes nothing.
async fn show(State(inner): State<Arc<Inner>>, Path(path): Path<String>) -> Response {
    let Some(entry) = inner.at(&path) else {
        return not_found();
    };
    // If the assistant waits for this answer, the outcome is known in a moment.
    let _ = timeout(OUTCOME_WAIT, entry.settled()).await;
    Html(page::render(&entry)).into_response()
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    Path(path): Path<String>,
    body: Bytes,
) -> Response {
    let Some(entry) = inner.at(&path) else {
        return not_found();
    };
    let fields: HashMap<_, _> = url::form_urlencoded::parse(&body).collect();
    let field = |name: &str| fields.get(name).map(|value| value.as_ref());
    if !field("form").is_some_and(|token| entry.is_form_token(token)) {
        let reason = "The form is not from this page; load the page again and answer there\n";
        return (StatusCode::FORBIDDEN, reason).into_response();
    }
    let next = match field("answer") {
        Some("approve") => EntryState::Approved,
        Some("decline") => EntryState::Declined,
        _ => return (StatusCode::BAD_REQUEST, "No answer\n").into_response(),
    };
    // The first answer counts; another answer shows what became of it.
    entry.set(next, |state| state == EntryState::Open);
    inner.changed.notify_one();
    let location = format!("/{}", entry.path);
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let kind = format!("{kind}; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Html(page::not_found())).into_response()
}
