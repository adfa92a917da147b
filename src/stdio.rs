//! How messages get in and out: standard input and output, until the input ends.
//!
//! Knows the protocol's messages, not the tools.

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
/// When the conversation could not begin. That the input ended before it did is no error.
pub async fn stdio(server: Server) -> Result<(), ServerInitializeError> {
    let (reader, writer) = stdio_pipes();
    serve(server, reader, writer).await
}

/// Serves one client until it closes its side and everything it asked is answered.
///
/// # Errors
/// When the conversation could not begin. That the input ended before it did is no error.
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
            tracing::debug!(?reason, "the conversation ended");
            // A write whose call was cancelled is nobody's answer, but its line in the audit log has to be completed.
            server.drain_writes().await;
            Ok(())
        }
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Answers that may wait for the client to read them. While there are more, nothing more is read from the client.
const MAX_UNREAD: usize = 256;

/// Requests that may wait for their answers. While there are more, nothing more is read either.
///
/// Far more than any client asks for at once: until there are fewer, a cancellation or the answer to a question is not
/// heard. Each call has its time-outs, so that there are fewer in time.
const MAX_UNANSWERED: usize = 16_384;

/// How long a client that has closed its side may leave an answer unread, before it counts as gone.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the end of the writing may take, which waits for what is being written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Keeps what a client may pile up here within bounds, and holds back the end of the input until every request has its
/// answer.
///
/// The protocol library takes whatever comes, and keeps answers that nobody reads. And it ends soon after the input
/// does, when what is still running is lost; a call to PostHog may take longer than its patience.
struct BackpressureTransport<T> {
    inner: T,
    begun: bool,
    ended: bool,
    /// Told when the input ends: no question to the client is answered any more.
    closed: CancellationToken,
    open: Arc<Pending>,
}

/// What the client has asked and not read yet.
#[derive(Default)]
struct Pending {
    counts: Mutex<PendingCounts>,
    settled: Notify,
}

#[derive(Default)]
struct PendingCounts {
    unanswered: HashSet<RequestId>,
    /// Messages on their way out.
    unread: usize,
    /// How many of them have gone.
    read: u64,
}

impl PendingCounts {
    /// How far the client has read, while something waits for it.
    fn reading(&self) -> Option<u64> {
        (self.unread > 0).then_some(self.read)
    }
}

impl Pending {
    fn counts(&self) -> MutexGuard<'_, PendingCounts> {
        lock(&self.counts)
    }

    fn change(&self, change: impl FnOnce(&mut PendingCounts)) {
        change(&mut self.counts());
        self.settled.notify_waiters();
    }

    /// Waits until the counts are so.
    async fn wait_until(&self, so: impl Fn(&PendingCounts) -> bool) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            // Registered before looking, so that a change in between is not missed.
            settled.as_mut().enable();
            if so(&self.counts()) {
                return;
            }
            settled.await;
        }
    }

    /// Waits until nothing is open any more, or the client has not read for too long what waits for it.
    async fn wait_idle(&self) {
        loop {
            let before = self.counts().reading();
            let changed = self
                .wait_until(|counts| counts.unanswered.is_empty() || counts.reading() != before);
            if before.is_none() {
                changed.await;
            } else if timeout(READ_TIMEOUT, changed).await.is_err() {
                tracing::warn!("the client does not read its answers");
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
            begun: false,
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
        let answered = match &message {
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
                if let Some(id) = answered {
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
            // Many messages come with one read: what they ask for has its turn before all of them are taken.
            consume_budget().await;
            while let Some(message) = self.inner.receive().await {
                match &message {
                    JsonRpcMessage::Request(request) => {
                        self.begun = self.begun || begins(&request.request);
                        let id = request.id.clone();
                        self.open.change(|counts| {
                            counts.unanswered.insert(id);
                        });
                    }
                    // To the protocol library this would be a wrong beginning, which ends the process.
                    _ if !self.begun => {
                        consume_budget().await;
                        continue;
                    }
                    JsonRpcMessage::Notification(notification) => {
                        // A cancelled request is never answered.
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
        // What nobody reads is being written for ever.
        timeout(CLOSE_TIMEOUT, self.inner.close())
            .await
            .unwrap_or(Ok(()))
    }
}

/// Whether a request begins the conversation: a handshake, or any that says its version, but no mere look at who is there.
fn begins(request: &ClientRequest) -> bool {
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

    /// A client that asks all this, closes its side and reads nothing.
    struct Deaf(VecDeque<RxJsonRpcMessage<RoleServer>>);

    impl Deaf {
        fn asking(count: usize) -> Self {
            let ask = |id| json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"});
            let messages = (0..count).map(|id| serde_json::from_value(ask(id)).unwrap());
            Self(messages.collect())
        }
    }

    impl Transport<RoleServer> for Deaf {
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

    fn answer(message: &RxJsonRpcMessage<RoleServer>) -> TxJsonRpcMessage<RoleServer> {
        let JsonRpcMessage::Request(request) = message else {
            panic!("{message:?}")
        };
        let error = ErrorData::internal_error("no", None);
        JsonRpcMessage::error(error, Some(request.id.clone()))
    }

    /// Longer than anything here waits for; the clock is turned on by hand.
    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_not_read_any_further() {
        let mut transport =
            BackpressureTransport::new(Deaf::asking(1000), CancellationToken::new());
        let mut sending = Vec::new();
        for _ in 0..MAX_UNREAD {
            let message = transport.receive().await.unwrap();
            sending.push(transport.send(answer(&message)));
        }
        assert!(timeout(LONG, transport.receive()).await.is_err());
        assert_eq!(transport.inner.0.len(), 1000 - MAX_UNREAD);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_unread_where_too_many_wait_for_answers() {
        let asked = Deaf::asking(MAX_UNANSWERED + 1);
        let mut transport = BackpressureTransport::new(asked, CancellationToken::new());
        for _ in 0..MAX_UNANSWERED {
            assert!(transport.receive().await.is_some());
        }
        assert!(timeout(LONG, transport.receive()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_for_a_client_that_closed_its_side_and_reads_nothing() {
        let mut transport = BackpressureTransport::new(Deaf::asking(1), CancellationToken::new());
        let message = transport.receive().await.unwrap();
        let _sending = transport.send(answer(&message));
        assert!(timeout(LONG, transport.receive()).await.unwrap().is_none());
        timeout(LONG, transport.close()).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_its_time_is_waited_for() {
        let mut transport = BackpressureTransport::new(Deaf::asking(1), CancellationToken::new());
        transport.receive().await.unwrap();
        assert!(timeout(LONG, transport.receive()).await.is_err());
    }
}
