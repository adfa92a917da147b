//! How messages get in and out: standard input and output, until the input ends.
//!
//! Knows the protocol's messages, not the tools.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{ClientNotification, JsonRpcMessage, RequestId};
use rmcp::service::{RxJsonRpcMessage, ServerInitializeError, TxJsonRpcMessage};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::{Transport, stdio_pipes};
use rmcp::{RoleServer, ServiceExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::server::Server;

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
    let transport = Draining::new(messages, closed.clone());
    match server.until(closed).serve(transport).await {
        Ok(running) => {
            let reason = running.waiting().await;
            tracing::debug!(?reason, "the conversation ended");
            // A write whose call was cancelled is nobody's answer, but its line in the audit log has to be completed.
            server.written().await;
            Ok(())
        }
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Holds back the end of the input until every request has its answer.
///
/// The protocol library ends soon after the input does, and what is still running is lost; a call to PostHog may take
/// longer than its patience.
struct Draining<T> {
    inner: T,
    ended: bool,
    /// Told when the input ends: no question to the client is answered any more.
    closed: CancellationToken,
    unanswered: Arc<Unanswered>,
}

#[derive(Default)]
struct Unanswered {
    ids: Mutex<HashSet<RequestId>>,
    settled: Notify,
}

impl Unanswered {
    fn add(&self, id: RequestId) {
        self.ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id);
    }

    fn remove(&self, id: &RequestId) {
        self.ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        self.settled.notify_waiters();
    }

    async fn none_left(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            // Registered before looking, so that an answer in between is not missed.
            settled.as_mut().enable();
            if self
                .ids
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_empty()
            {
                return;
            }
            settled.await;
        }
    }
}

impl<T> Draining<T> {
    fn new(inner: T, closed: CancellationToken) -> Self {
        Self {
            inner,
            ended: false,
            closed,
            unanswered: Arc::default(),
        }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Draining<T> {
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
        let unanswered = Arc::clone(&self.unanswered);
        async move {
            let sent = sending.await;
            if let Some(id) = answered {
                unanswered.remove(&id);
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        if !self.ended {
            if let Some(message) = self.inner.receive().await {
                match &message {
                    JsonRpcMessage::Request(request) => self.unanswered.add(request.id.clone()),
                    JsonRpcMessage::Notification(notification) => {
                        // A cancelled request is never answered.
                        if let ClientNotification::CancelledNotification(cancelled) =
                            &notification.notification
                            && let Some(id) = &cancelled.params.request_id
                        {
                            self.unanswered.remove(id);
                        }
                    }
                    _ => {}
                }
                return Some(message);
            }
            self.ended = true;
            self.closed.cancel();
        }
        self.unanswered.none_left().await;
        None
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}
