//! The socket of a connection. Knows when a response has been written, and ends a connection whose client stops reading.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::admission::Admission;
use crate::sync::lock;

/// The state of a connection, shared by its socket and its responses.
pub(super) struct ConnectionState {
    /// Requests that were received and whose responses are not written.
    busy: AtomicUsize,
    idle_since: Mutex<Instant>,
    /// What is released once everything is written; none after the socket is closed.
    unwritten: Mutex<Option<Vec<InProgress>>>,
}

impl ConnectionState {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            busy: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
            unwritten: Mutex::new(Some(Vec::new())),
        })
    }

    /// Releases what is written.
    fn written(&self) {
        let mut unwritten = lock(&self.unwritten);
        let written = unwritten.as_mut().map(std::mem::take);
        // Its destructors lock other things.
        drop(unwritten);
        drop(written);
    }

    /// Since when nothing is under way; none if something is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.busy.load(Ordering::Relaxed) == 0).then(|| *lock(&self.idle_since))
    }

    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> InProgress {
        self.busy.fetch_add(1, Ordering::Relaxed);
        InProgress {
            connection: Arc::clone(self),
            admission: None,
        }
    }
}

/// A request under way on a connection, until its response is written.
pub(super) struct InProgress {
    connection: Arc<ConnectionState>,
    admission: Option<Arc<Admission>>,
}

impl InProgress {
    /// The response, whose body takes this along.
    pub(super) fn respond(mut self, mut response: Response) -> Response {
        self.admission = response.extensions_mut().remove::<Arc<Admission>>();
        response.map(|body| {
            Body::new(TrackedBody {
                body,
                in_progress: Some(self),
            })
        })
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        *lock(&self.connection.idle_since) = Instant::now();
        self.connection.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body whose end is not yet the end of its response: the connection has still to write it.
struct TrackedBody {
    body: Body,
    in_progress: Option<InProgress>,
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        if let Some(in_progress) = self.in_progress.take() {
            let connection = Arc::clone(&in_progress.connection);
            if let Some(unwritten) = &mut *lock(&connection.unwritten) {
                unwritten.push(in_progress);
            }
        }
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// The socket.
pub(super) struct ClientStream {
    stream: TcpStream,
    state: Arc<ConnectionState>,
    /// How long the client may read nothing of a response.
    timeout: Duration,
    /// Runs while the client reads nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    pub(super) fn new(stream: TcpStream, state: Arc<ConnectionState>, timeout: Duration) -> Self {
        Self {
            stream,
            state,
            timeout,
            stalled: None,
        }
    }

    fn within_timeout(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        stalled
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        let unwritten = lock(&self.state.unwritten).take();
        drop(unwritten);
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within_timeout(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.within_timeout(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when everything before was handed to the system.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.state.written();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
