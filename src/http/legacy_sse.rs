//! HTTP+SSE, the transport of 2024-11-05, for clients without Streamable HTTP: a stream from the server at `/sse`, messages
//! to it at `/messages`. rmcp no longer has it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::{StreamExt, stream};
use rmcp::ServiceExt;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, GetExtensions, RequestId, ServerJsonRpcMessage,
};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, PollSender};
use uuid::Uuid;

use super::admission::Admission;
use crate::server::{Caller, Server};
use crate::sync::lock;

/// Messages that may wait in one direction.
const CHANNEL_CAPACITY: usize = 16;

/// What ends a stream on shutdown.
#[derive(Clone)]
pub(super) struct ShutdownTokens {
    /// The stream itself.
    pub(super) streams: CancellationToken,
    /// Its open elicitations, which end first.
    pub(super) elicitations: CancellationToken,
}

/// The two routes.
pub(super) fn router(server: Server, shutdown: ShutdownTokens) -> Router {
    Router::new()
        .route("/sse", get(open))
        .route("/messages", post(receive))
        .with_state(Streams {
            server,
            shutdown,
            open: Arc::default(),
        })
}

#[derive(Clone)]
struct Streams {
    server: Server,
    shutdown: ShutdownTokens,
    open: Arc<Mutex<HashMap<String, Stream>>>,
}

#[derive(Clone)]
struct Stream {
    principal: Arc<str>,
    to_server: mpsc::Sender<ClientJsonRpcMessage>,
    unanswered: Unanswered,
}

/// The places of the requests whose responses were not yet handed to the connection: a client that sends and never reads
/// runs out of places.
type Unanswered = Arc<Mutex<HashMap<RequestId, Arc<Admission>>>>;

impl Streams {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Stream>> {
        lock(&self.open)
    }
}

/// Removes a stream when its client disconnects, which ends the MCP session.
struct StreamGuard {
    id: String,
    streams: Streams,
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.streams.open().remove(&self.id);
    }
}

async fn open(State(streams): State<Streams>, request: Request) -> Response {
    let Some(caller) = request.extensions().get::<Caller>() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let (to_server, from_client) = mpsc::channel(CHANNEL_CAPACITY);
    let (to_client, from_server) = mpsc::channel::<ServerJsonRpcMessage>(CHANNEL_CAPACITY);
    let id = Uuid::new_v4().to_string();
    let unanswered = Unanswered::default();
    let stream = Stream {
        principal: Arc::clone(&caller.principal),
        to_server,
        unanswered: Arc::clone(&unanswered),
    };
    streams.open().insert(id.clone(), stream);
    let guard = StreamGuard {
        id: id.clone(),
        streams: streams.clone(),
    };
    let closed = streams.shutdown.streams.child_token();
    let server = streams
        .server
        .with_shutdown(streams.shutdown.elicitations.child_token());
    tokio::spawn(async move {
        let transport = (PollSender::new(to_client), ReceiverStream::new(from_client));
        match server.serve_with_ct(transport, closed).await {
            Ok(running) => {
                let _ = running.waiting().await;
            }
            Err(_) => tracing::debug!("stream closed before initialization"),
        }
    });
    let first = Event::default()
        .event("endpoint")
        .data(format!("/messages?sessionId={id}"));
    let messages = ReceiverStream::new(from_server).map(move |message| {
        let _open = &guard;
        let answered = match &message {
            ServerJsonRpcMessage::Response(response) => Some(&response.id),
            ServerJsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        if let Some(id) = answered {
            lock(&unanswered).remove(id);
        }
        Event::default()
            .event("message")
            .json_data(&message)
            .unwrap_or_default()
    });
    Sse::new(
        stream::iter([first])
            .chain(messages)
            .map(Ok::<_, Infallible>),
    )
    .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
    .into_response()
}

#[derive(Deserialize)]
struct MessagesQuery {
    #[serde(rename = "sessionId")]
    id: String,
}

async fn receive(
    State(streams): State<Streams>,
    Query(query): Query<MessagesQuery>,
    parts: Parts,
    body: Bytes,
) -> Response {
    let stream = streams.open().get(&query.id).cloned();
    let principal = parts
        .extensions
        .get::<Caller>()
        .map(|caller| &caller.principal);
    let Some(stream) = stream.filter(|stream| principal == Some(&stream.principal)) else {
        return (StatusCode::NOT_FOUND, "Session not found\n").into_response();
    };
    let Ok(mut message) = serde_json::from_slice::<ClientJsonRpcMessage>(&body) else {
        return (StatusCode::BAD_REQUEST, "Not a valid MCP message\n").into_response();
    };
    match &mut message {
        ClientJsonRpcMessage::Request(request) => {
            if let Some(admission) = parts.extensions.get::<Arc<Admission>>() {
                lock(&stream.unanswered).insert(request.id.clone(), Arc::clone(admission));
            }
            request.request.extensions_mut().insert(parts);
        }
        ClientJsonRpcMessage::Notification(notification) => {
            // A cancelled request gets no response. While it still runs, it holds its place itself.
            if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                && let Some(id) = &cancelled.params.request_id
            {
                lock(&stream.unanswered).remove(id);
            }
            notification.notification.extensions_mut().insert(parts);
        }
        _ => {}
    }
    match stream.to_server.send(message).await {
        Ok(()) => (StatusCode::ACCEPTED, "Accepted\n").into_response(),
        Err(_) => (StatusCode::GONE, "Session closed\n").into_response(),
    }
}
