//! The listener: started for the first question, closed after the last.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, sleep_until};

use super::approvals::Inner;
use super::routes;

/// Connections at the same time; a browser opens a few. Beyond that, the oldest gives way: a client that opens many and sends nothing
/// keeps nobody from the page.
const MAX_CONNECTIONS: usize = 64;
/// How long a browser may take to send the headers of a request.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a whole exchange may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// A pause after a failed accept.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Starts to listen; the address that it listens on.
pub(super) async fn start(inner: &Arc<Inner>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(inner.options.bind).await?;
    let bound = listener.local_addr()?;
    let inner = Arc::clone(inner);
    let router = routes::router(Arc::clone(&inner), bound);
    tokio::spawn(async move { serve(&inner, listener, router).await });
    Ok(bound)
}

/// Serves until there is nothing to serve. Open connections end with it.
async fn serve(inner: &Inner, listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let next = match inner.tidy() {
            Some(next) => next,
            None => {
                let mut listening = inner.listening.lock().await;
                // A question may have been opened in between.
                match inner.tidy() {
                    Some(next) => next,
                    None => {
                        *listening = None;
                        return;
                    }
                }
            }
        };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    open.retain(|connection| !connection.is_finished());
                    if open.len() >= MAX_CONNECTIONS
                        && let Some(oldest) = open.pop_front()
                    {
                        oldest.abort();
                    }
                    open.push_back(connections.spawn(exchange(stream, router.clone())));
                }
                Err(_) => sleep(ACCEPT_BACKOFF).await,
            },
            Some(_) = connections.join_next() => {}
            () = inner.changed.notified() => {}
            () = sleep_until(next) => {}
        }
    }
}

/// One request and its response: an idle connection would keep the listener from closing.
async fn exchange(stream: TcpStream, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .keep_alive(false);
    let exchange = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A browser that closes the connection is no error.
    let _ = tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await;
}
