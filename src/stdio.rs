//! The stdio transport.
//!
//! Invariant: handles protocol messages, knows no tools.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rmcp::model::{ClientNotification, ClientRequest, GetMeta, JsonRpcMessage, RequestId};
use rmcp::service::{RxJsonRpcMessage, ServerInitializeError, TxJsonRpcMessage};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::{Transport, stdio_pipes};
use rmcp::{RoleServer, ServiceExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::server::Server;
use crate::sync::lock;

/// Serves one client over standard input and output.
///
/// # Errors
/// If initialization fails. End of input before initialization is not an error.
pub async fn stdio(server: Server) -> Result<(), ServerInitializeError> {
    let (reader, writer) = stdio_pipes();
    serve(server, reader, writer).await
}

/// Serves one client until it closes the input and every request has a response.
///
/// # Errors
/// If initialization fails. End of input before initialization is not an error.
pub async fn serve<R, W>(server: Server, reader: R, writer: W) -> Result<(), ServerInitializeError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let closed = CancellationToken::new();
    let messages = AsyncRwTransport::<RoleServer, _, _>::new(reader, writer);
    let transport = BackpressureTransport::new(messages, closed.clone());
    match server.with_shutdown(closed).serve(transport).await {
        Ok(running) => {
            let reason = running.waiting().await;
            tracing::debug!(?reason, "session ended");
            // A cancelled call has no response, but the audit log entry of its write must be completed.
            server.drain_writes().await;
            Ok(())
        }
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Outgoing messages that the client has not read. At this limit the server stops reading from the client.
const MAX_UNREAD: usize = 256;

/// Requests without a response. At this limit the server stops reading from the client.
///
/// Far above what any client sends concurrently, because at the limit the server does not see cancellations and elicitation
/// results either. The timeouts of the calls bring the number below the limit again.
const MAX_UNANSWERED: usize = 16_384;

/// How long a client that has closed the input may leave a response unread before it is considered gone.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Timeout for closing the output, which waits for pending writes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bounds the number of unanswered requests and unread messages, and delays the end of the input until every request has a
/// response.
///
/// rmcp has no such bounds, and it stops shortly after the end of the input, which would abort calls to PostHog that take
/// longer.
struct BackpressureTransport<T> {
    inner: T,
    initialized: bool,
    ended: bool,
    /// Cancelled at the end of the input: the client can no longer respond to elicitations.
    closed: CancellationToken,
    open: Arc<Pending>,
}

/// Unanswered requests and unread messages.
#[derive(Default)]
struct Pending {
    counts: Mutex<PendingCounts>,
    changed: Notify,
}

#[derive(Default)]
struct PendingCounts {
    unanswered: HashSet<RequestId>,
    /// Messages being written, which the client has not read.
    unread: usize,
    /// Messages written so far.
    read: u64,
}

impl PendingCounts {
    /// The client's read progress, if messages are waiting for it.
    fn read_progress(&self) -> Option<u64> {
        (self.unread > 0).then_some(self.read)
    }
}

impl Pending {
    fn counts(&self) -> MutexGuard<'_, PendingCounts> {
        lock(&self.counts)
    }

    fn change(&self, change: impl FnOnce(&mut PendingCounts)) {
        change(&mut self.counts());
        self.changed.notify_waiters();
    }

    /// Waits until the predicate holds.
    async fn wait_until(&self, predicate: impl Fn(&PendingCounts) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the check, so that no change in between is missed.
            changed.as_mut().enable();
            if predicate(&self.counts()) {
                return;
            }
            changed.await;
        }
    }

    /// Waits until every request has a response, or the client has not read any message for [`READ_TIMEOUT`].
    async fn wait_idle(&self) {
        loop {
            let before = self.counts().read_progress();
            let changed = self.wait_until(|counts| {
                counts.unanswered.is_empty() || counts.read_progress() != before
            });
            if before.is_none() {
                changed.await;
            } else if timeout(READ_TIMEOUT, changed).await.is_err() {
                tracing::warn!("the client does not read responses; closing the session");
                return;
            }
            if self.counts().unanswered.is_empty() {
                return;
            }
        }
    }
}

impl<T> BackpressureTransport<T> {
    fn new(inner: T, closed: CancellationToken) -> Self {
        Self {
            inner,
            initialized: false,
            ended: false,
            closed,
            open: Arc::default(),
        }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for BackpressureTransport<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let response_id = match &message {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            JsonRpcMessage::Error(error) => error.id.clone(),
            _ => None,
        };
        let sending = self.inner.send(message);
        let open = Arc::clone(&self.open);
        open.change(|counts| counts.unread += 1);
        async move {
            let sent = sending.await;
            open.change(|counts| {
                counts.unread -= 1;
                counts.read += 1;
                if let Some(id) = response_id {
                    counts.unanswered.remove(&id);
                }
            });
            sent
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        if !self.ended {
            let room = |counts: &PendingCounts| {
                counts.unread < MAX_UNREAD && counts.unanswered.len() < MAX_UNANSWERED
            };
            self.open.wait_until(room).await;
            // One read may contain many messages; yield so that their requests are processed in between.
            consume_budget().await;
            while let Some(message) = self.inner.receive().await {
                match &message {
                    JsonRpcMessage::Request(request) => {
                        self.initialized = self.initialized || starts_session(&request.request);
                        let id = request.id.clone();
                        self.open.change(|counts| {
                            counts.unanswered.insert(id);
                        });
                    }
                    // rmcp treats any other first message as an error and would exit.
                    _ if !self.initialized => {
                        consume_budget().await;
                        continue;
                    }
                    JsonRpcMessage::Notification(notification) => {
                        // A cancelled request gets no response.
                        if let ClientNotification::CancelledNotification(cancelled) =
                            &notification.notification
                            && let Some(id) = &cancelled.params.request_id
                        {
                            self.open.change(|counts| {
                                counts.unanswered.remove(id);
                            });
                        }
                    }
                    _ => {}
                }
                return Some(message);
            }
            self.ended = true;
            self.closed.cancel();
        }
        self.open.wait_idle().await;
        None
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        // Writes never complete if the client does not read.
        timeout(CLOSE_TIMEOUT, self.inner.close())
            .await
            .unwrap_or(Ok(()))
    }
}

/// Whether a request starts the session: `initialize`, or any request with a protocol version except `ping` and
/// `server/discover`.
fn starts_session(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        other => other.get_meta().protocol_version().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::pending;

    use rmcp::ErrorData;
    use serde_json::json;

    use super::*;

    /// A client that sends requests, closes the input and reads nothing.
    struct UnresponsiveClient(VecDeque<RxJsonRpcMessage<RoleServer>>);

    impl UnresponsiveClient {
        fn with_requests(count: usize) -> Self {
            let request = |id| json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"});
            let messages = (0..count).map(|id| serde_json::from_value(request(id)).unwrap());
            Self(messages.collect())
        }
    }

    impl Transport<RoleServer> for UnresponsiveClient {
        type Error = std::io::Error;

        fn send(
            &mut self,
            _: TxJsonRpcMessage<RoleServer>,
        ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
            pending()
        }

        async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
            self.0.pop_front()
        }

        async fn close(&mut self) -> Result<(), Self::Error> {
            pending().await
        }
    }

    fn response_to(message: &RxJsonRpcMessage<RoleServer>) -> TxJsonRpcMessage<RoleServer> {
        let JsonRpcMessage::Request(request) = message else {
            panic!("{message:?}")
        };
        let error = ErrorData::internal_error("no", None);
        JsonRpcMessage::error(error, Some(request.id.clone()))
    }

    /// Longer than every timeout; time is paused.
    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn stops_reading_at_the_limit_of_unread_messages() {
        let mut transport = BackpressureTransport::new(
            UnresponsiveClient::with_requests(1000),
            CancellationToken::new(),
        );
        let mut sending = Vec::new();
        for _ in 0..MAX_UNREAD {
            let message = transport.receive().await.unwrap();
            sending.push(transport.send(response_to(&message)));
        }
        assert!(timeout(LONG, transport.receive()).await.is_err());
        assert_eq!(transport.inner.0.len(), 1000 - MAX_UNREAD);
    }

    #[tokio::test(start_paused = true)]
    async fn stops_reading_at_the_limit_of_unanswered_requests() {
        let client = UnresponsiveClient::with_requests(MAX_UNANSWERED + 1);
        let mut transport = BackpressureTransport::new(client, CancellationToken::new());
        for _ in 0..MAX_UNANSWERED {
            assert!(transport.receive().await.is_some());
        }
        assert!(timeout(LONG, transport.receive()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn ends_if_a_closed_client_does_not_read() {
        let mut transport = BackpressureTransport::new(
            UnresponsiveClient::with_requests(1),
            CancellationToken::new(),
        );
        let message = transport.receive().await.unwrap();
        let _sending = transport.send(response_to(&message));
        assert!(timeout(LONG, transport.receive()).await.unwrap().is_none());
        timeout(LONG, transport.close()).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_calls_in_flight_after_the_end_of_input() {
        let mut transport = BackpressureTransport::new(
            UnresponsiveClient::with_requests(1),
            CancellationToken::new(),
        );
        transport.receive().await.unwrap();
        assert!(timeout(LONG, transport.receive()).await.is_err());
    }
}
