//! A stand-in for PostHog that is as fast as possible, in a separate process: serves a page, a person or a page of 1 MB from
//! memory.

use std::convert::Infallible;
use std::io::{BufRead, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use futures::{StreamExt, stream};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use crate::page::{PAGE, page, person, uuid};
use crate::process::Process;

/// With this argument the benchmark program runs the upstream.
pub const ARGUMENT: &str = "upstream";
/// Persons on a page of 1 MB.
pub const LARGE_PAGE: u64 = 930;
/// Concurrent requests of one key for pages of 1 MB; no response completes before all are nearly complete.
const CONCURRENT_REQUESTS: usize = 8;

/// Delay before the last byte, so that the server has received the rest.
const LAST_BYTE_DELAY: Duration = Duration::from_millis(200);

const PATH: &str = "/api/projects/1/persons/";

/// A running upstream process.
pub struct Upstream {
    pub url: String,
    /// Killed on drop.
    _process: Process,
}

impl Upstream {
    pub fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("an own path"));
        command.arg(ARGUMENT).stderr(Stdio::inherit());
        let (process, mut output) = Process::start(&mut command);
        let mut url = String::new();
        output.read_line(&mut url).expect("an address");
        let url = url.trim().to_owned();
        Self {
            url,
            _process: process,
        }
    }

    /// The URL of the first page with this number of persons.
    pub fn page(&self, persons: u64) -> String {
        format!("{}{PATH}?limit={persons}&offset=0", self.url)
    }

    /// The URL of one person.
    pub fn person(&self) -> String {
        format!("{}{PATH}{}/", self.url, uuid(0))
    }
}

struct Responses {
    page: Bytes,
    large_page: Bytes,
    barrier: Arc<Barrier>,
}

#[derive(Deserialize)]
struct ListQuery {
    limit: u64,
}

/// Serves until standard input is closed.
pub fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let responses = Arc::new(Responses {
        page: page(PAGE).into(),
        large_page: page(LARGE_PAGE).into(),
        barrier: Arc::new(Barrier::new(CONCURRENT_REQUESTS)),
    });
    let one: Bytes = person(0).to_string().into();
    let app = Router::new()
        .route(PATH, get(list))
        .route(&format!("{PATH}{{id}}/"), get(|| async move { json(one) }))
        .with_state(responses);
    runtime.spawn(async move {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        writeln!(std::io::stdout(), "http://{address}").expect("standard output is open");
        // Failing to set the option only makes responses slower.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        axum::serve(listener, app).await.expect("serving");
    });
    runtime.block_on(async {
        let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        end.await.expect("an end").expect("standard input");
    });
}

fn json(body: impl Into<Body>) -> Response {
    ([(CONTENT_TYPE, "application/json")], body.into()).into_response()
}

async fn list(State(responses): State<Arc<Responses>>, Query(query): Query<ListQuery>) -> Response {
    if query.limit != LARGE_PAGE {
        return json(responses.page.clone());
    }
    let mut start = responses.large_page.clone();
    let end = start.split_off(start.len() - 1);
    let barrier = Arc::clone(&responses.barrier);
    let end = async move {
        barrier.wait().await;
        tokio::time::sleep(LAST_BYTE_DELAY).await;
        end
    };
    let body = stream::iter([start]).chain(stream::once(end));
    json(Body::from_stream(body.map(Ok::<_, Infallible>)))
}
