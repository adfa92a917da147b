//! Accepts connections until the server stops, each with a timeout for request headers.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

/// How long a client may take to send the headers of a request.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(15);
/// A pause after a failed accept, so that running out of file descriptors does not become a busy loop.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// The connections of one listener.
pub(super) struct Connections {
    listener: TcpListener,
    app: Router,
    open: GracefulShutdown,
}

impl Connections {
    pub(super) fn new(listener: TcpListener, app: Router) -> Self {
        Self {
            listener,
            app,
            open: GracefulShutdown::new(),
        }
    }

    /// Accepts connections until `stop` completes.
    pub(super) async fn serve(&self, stop: impl Future<Output = ()>) -> io::Result<()> {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.connect(stream, peer),
                    Err(error) => {
                        tracing::warn!(%error, "accept error");
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                    }
                },
                () = &mut stop => return Ok(()),
            }
        }
    }

    fn connect(&self, stream: TcpStream, peer: SocketAddr) {
        // Responses are small and latency matters.
        let _ = stream.set_nodelay(true);
        let service = service(self.app.clone(), peer);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = self.open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection error");
            }
        });
    }

    /// Lets every connection finish what it is sending, within the grace period.
    pub(super) async fn shutdown(self, grace_period: Duration) {
        if tokio::time::timeout(grace_period, self.open.shutdown())
            .await
            .is_err()
        {
            tracing::debug!("grace period over; closing open connections");
        }
    }
}

/// The routes as one connection calls them, with its peer address as an extension.
fn service(
    app: Router,
    peer: SocketAddr,
) -> impl hyper::service::Service<
    hyper::Request<Incoming>,
    Response = axum::response::Response,
    Error = Infallible,
    Future: Send,
> {
    let service = TowerToHyperService::new(app.into_service());
    service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        service.call(request)
    })
}
