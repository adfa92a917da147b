//! A PostHog that is as quick as can be, in a process of its own: it answers a page, a person, or a page of 1 MB, from
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

/// Runs the upstream instead of the measurements.
pub const ARGUMENT: &str = "upstream";
/// Persons on a page of 1 MB.
pub const BIG: u64 = 930;
/// As many pages of 1 MB a key asks for at once; none is whole before all are nearly so.
const GATHERED: usize = 8;

/// What was sent gets so long to arrive, before the rest follows.
const ARRIVAL: Duration = Duration::from_millis(200);

const PATH: &str = "/api/projects/1/persons/";

/// The upstream as the measurements see it.
pub struct Upstream {
    pub url: String,
    /// Ends with this value.
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

    /// The address of the first persons.
    pub fn page(&self, persons: u64) -> String {
        format!("{}{PATH}?limit={persons}&offset=0", self.url)
    }

    /// The address of one person.
    pub fn person(&self) -> String {
        format!("{}{PATH}{}/", self.url, uuid(0))
    }
}

struct Answers {
    page: Bytes,
    big: Bytes,
    gathered: Arc<Barrier>,
}

#[derive(Deserialize)]
struct Asked {
    limit: u64,
}

/// Serves until standard input ends.
pub fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let answers = Arc::new(Answers {
        page: page(PAGE).into(),
        big: page(BIG).into(),
        gathered: Arc::new(Barrier::new(GATHERED)),
    });
    let one: Bytes = person(0).to_string().into();
    let app = Router::new()
        .route(PATH, get(list))
        .route(&format!("{PATH}{{id}}/"), get(|| async move { json(one) }))
        .with_state(answers);
    runtime.spawn(async move {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        writeln!(std::io::stdout(), "http://{address}").expect("a reader");
        // A failure to set it would only make the answers slower.
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

async fn list(State(answers): State<Arc<Answers>>, Query(asked): Query<Asked>) -> Response {
    if asked.limit != BIG {
        return json(answers.page.clone());
    }
    let mut start = answers.big.clone();
    let end = start.split_off(start.len() - 1);
    let gathered = Arc::clone(&answers.gathered);
    let end = async move {
        gathered.wait().await;
        tokio::time::sleep(ARRIVAL).await;
        end
    };
    let whole = stream::iter([start]).chain(stream::once(end));
    json(Body::from_stream(whole.map(Ok::<_, Infallible>)))
}
