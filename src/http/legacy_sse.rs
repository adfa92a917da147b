//! HTTP+SSE, the transport of 2024-11-05, for clients that know no other: a stream from the server at `/sse`, messages to
//! it at `/messages`. The protocol library no longer has it.

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
use rmcp::model::{ClientJsonRpcMessage, GetExtensions, ServerJsonRpcMessage};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, PollSender};
use uuid::Uuid;

use crate::server::{Caller, Server};
use crate::sync::lock;

/// Messages that may wait in one direction.
const QUEUE: usize = 16;

/// What ends a stream.
#[derive(Clone)]
pub(super) struct Ends {
    /// The stream itself.
    pub(super) streams: CancellationToken,
    /// Waiting for a human, which comes first.
    pub(super) questions: CancellationToken,
}

/// The two routes.
pub(super) fn router(server: Server, ends: Ends, most: usize) -> Router {
    Router::new()
        .route("/sse", get(open))
        .route("/messages", post(receive))
        .with_state(Streams {
            server,
            ends,
            most,
            open: Arc::default(),
        })
}

#[derive(Clone)]
struct Streams {
    server: Server,
    ends: Ends,
    most: usize,
    open: Arc<Mutex<HashMap<String, Stream>>>,
}

#[derive(Clone)]
struct Stream {
    principal: Arc<str>,
    to_server: mpsc::Sender<ClientJsonRpcMessage>,
}

impl Streams {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Stream>> {
        lock(&self.open)
    }
}

/// Forgets a stream when its client is gone; the conversation then ends by itself.
struct Forget {
    id: String,
    streams: Streams,
}

impl Drop for Forget {
    fn drop(&mut self) {
        self.streams.open().remove(&self.id);
    }
}

async fn open(State(streams): State<Streams>, request: Request) -> Response {
    let Some(caller) = request.extensions().get::<Caller>() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let (to_server, from_client) = mpsc::channel(QUEUE);
    let (to_client, from_server) = mpsc::channel::<ServerJsonRpcMessage>(QUEUE);
    let id = Uuid::new_v4().to_string();
    {
        let mut open = streams.open();
        // One credential leaves some for the others.
        let own = open
            .values()
            .filter(|stream| stream.principal == caller.principal)
            .count();
        if open.len() >= streams.most || own >= streams.most - streams.most / 4 {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many streams are open.\n",
            )
                .into_response();
        }
        let principal = Arc::clone(&caller.principal);
        open.insert(
            id.clone(),
            Stream {
                principal,
                to_server,
            },
        );
    }
    let forget = Forget {
        id: id.clone(),
        streams: streams.clone(),
    };
    let closed = streams.ends.streams.child_token();
    let server = streams
        .server
        .with_shutdown(streams.ends.questions.child_token());
    tokio::spawn(async move {
        let transport = (PollSender::new(to_client), ReceiverStream::new(from_client));
        match server.serve_with_ct(transport, closed).await {
            Ok(running) => {
                let _ = running.waiting().await;
            }
            Err(_) => tracing::debug!("a stream ended before its conversation began"),
        }
    });
    let first = Event::default()
        .event("endpoint")
        .data(format!("/messages?sessionId={id}"));
    let messages = ReceiverStream::new(from_server).map(move |message| {
        let _kept = &forget;
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
struct Session {
    #[serde(rename = "sessionId")]
    id: String,
}

async fn receive(
    State(streams): State<Streams>,
    Query(session): Query<Session>,
    parts: Parts,
    body: Bytes,
) -> Response {
    let stream = streams.open().get(&session.id).cloned();
    let principal = parts
        .extensions
        .get::<Caller>()
        .map(|caller| &caller.principal);
    let Some(stream) = stream.filter(|stream| principal == Some(&stream.principal)) else {
        return (StatusCode::NOT_FOUND, "There is no such session.\n").into_response();
    };
    let Ok(mut message) = serde_json::from_slice::<ClientJsonRpcMessage>(&body) else {
        return (
            StatusCode::BAD_REQUEST,
            "This is not a message of the protocol.\n",
        )
            .into_response();
    };
    match &mut message {
        ClientJsonRpcMessage::Request(request) => {
            request.request.extensions_mut().insert(parts);
        }
        ClientJsonRpcMessage::Notification(notification) => {
            notification.notification.extensions_mut().insert(parts);
        }
        _ => {}
    }
    match stream.to_server.send(message).await {
        Ok(()) => (StatusCode::ACCEPTED, "Accepted\n").into_response(),
        Err(_) => (StatusCode::GONE, "The session has ended.\n").into_response(),
    }
}
