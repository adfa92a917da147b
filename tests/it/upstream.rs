//! A PostHog that responds late or never, with an empty list of persons, and counts its requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::wire::TIMEOUT;

/// When it responds.
#[derive(Clone, Copy)]
pub enum ResponseTiming {
    After(Duration),
    Never,
}

/// The counts so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestCounts {
    pub connections: usize,
    pub requests: usize,
    pub waiting: usize,
    pub max_waiting: usize,
    /// Clients that closed their connection while waiting for the response.
    pub disconnected: usize,
}

pub struct Upstream {
    address: SocketAddr,
    counts: Arc<watch::Sender<RequestCounts>>,
}

impl Upstream {
    pub async fn start(timing: ResponseTiming) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(watch::Sender::new(RequestCounts::default()));
        let counting = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counting.send_modify(|counts| counts.connections += 1);
                tokio::spawn(serve(stream, timing, Arc::clone(&counting)));
            }
        });
        Self { address, counts }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn counts(&self) -> RequestCounts {
        *self.counts.borrow()
    }

    /// Waits until the counts satisfy the predicate.
    pub async fn wait_until(&self, condition: impl Fn(&RequestCounts) -> bool) {
        let mut counts = self.counts.subscribe();
        let reached = timeout(TIMEOUT, counts.wait_for(|counts| condition(counts)))
            .await
            .is_ok();
        assert!(reached, "{:?}", self.counts());
    }
}

async fn serve(
    mut stream: TcpStream,
    timing: ResponseTiming,
    counts: Arc<watch::Sender<RequestCounts>>,
) {
    const BODY: &str = r#"{"results": [], "next": null, "previous": null}"#;
    while head(&mut stream).await {
        counts.send_modify(|counts| {
            counts.requests += 1;
            counts.waiting += 1;
            counts.max_waiting = counts.max_waiting.max(counts.waiting);
        });
        match timing {
            ResponseTiming::After(time) => sleep(time).await,
            ResponseTiming::Never => {
                head(&mut stream).await;
                counts.send_modify(|counts| {
                    counts.waiting -= 1;
                    counts.disconnected += 1;
                });
                return;
            }
        }
        // Decremented before the response is sent, so that the client's next request is not counted beside this one.
        counts.send_modify(|counts| counts.waiting -= 1);
        let length = BODY.len();
        let response = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{BODY}"
        );
        if stream.write_all(response.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads the head of a request without a body; false if the client has disconnected.
pub(crate) async fn head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}
