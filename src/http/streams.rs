//! The streams that clients hold open: their number is limited, and divided fairly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::response::Response;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::limits::Rejection;
use crate::sync::lock;

/// The open streams.
pub(super) struct Streams {
    max: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    last_id: u64,
    streams: HashMap<u64, OpenStream>,
}

struct OpenStream {
    principal: Arc<str>,
    closed: CancellationToken,
}

impl Streams {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            open: Mutex::default(),
        })
    }

    /// Opens a stream. If all are taken, the oldest of the credential that holds the most gives way, unless that is no
    /// more than the caller would hold.
    pub(super) fn open(self: &Arc<Self>, principal: &Arc<str>) -> Result<StreamPermit, Rejection> {
        let mut open = lock(&self.open);
        let mut held: HashMap<&Arc<str>, usize> = HashMap::new();
        for stream in open.streams.values() {
            *held.entry(&stream.principal).or_default() += 1;
        }
        let own = held.get(principal).copied().unwrap_or_default();
        // No credential may take all of them, even while no other asks.
        if own >= self.max - self.max / 4 {
            return Err(Rejection::Streams);
        }
        if open.streams.len() >= self.max {
            let greediest = held.into_iter().max_by_key(|(_, count)| *count);
            let Some((greediest, _)) = greediest.filter(|(_, count)| *count > own + 1) else {
                return Err(Rejection::Streams);
            };
            let of_greediest = open
                .streams
                .iter()
                .filter(|(_, stream)| stream.principal == *greediest);
            if let Some(oldest) = of_greediest.map(|(id, _)| *id).min()
                && let Some(stream) = open.streams.remove(&oldest)
            {
                stream.closed.cancel();
            }
        }
        open.last_id += 1;
        let id = open.last_id;
        let closed = CancellationToken::new();
        let stream = OpenStream {
            principal: Arc::clone(principal),
            closed: closed.clone(),
        };
        open.streams.insert(id, stream);
        Ok(StreamPermit {
            id,
            closed,
            streams: Arc::clone(self),
        })
    }
}

impl Streams {
    /// Closes the streams of a credential.
    pub(super) fn close_all(&self, principal: &Arc<str>) {
        let open = lock(&self.open);
        let own = open
            .streams
            .values()
            .filter(|stream| stream.principal == *principal);
        own.for_each(|stream| stream.closed.cancel());
    }
}

/// The place of an open stream.
pub(super) struct StreamPermit {
    id: u64,
    closed: CancellationToken,
    streams: Arc<Streams>,
}

impl StreamPermit {
    /// The response, which ends when the stream has to give way to another.
    pub(super) fn limit(&self, response: Response) -> Response {
        let closed = self.closed.clone().cancelled_owned();
        response.map(|body| Body::from_stream(body.into_data_stream().take_until(closed)))
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        lock(&self.streams.open).streams.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_divided_fairly() {
        let streams = Streams::new(8);
        let [one, two, three] = ["1", "2", "3"].map(Arc::from);
        let mut held: Vec<_> = (0..6).map(|_| streams.open(&one).unwrap()).collect();
        assert!(streams.open(&one).is_err());
        held.extend((0..2).map(|_| streams.open(&two).unwrap()));
        let own = [streams.open(&three).unwrap(), streams.open(&three).unwrap()];
        // The two oldest of the first gave way.
        let closed = held.iter().map(|stream| stream.closed.is_cancelled());
        let closed: Vec<bool> = closed.collect();
        assert_eq!(
            closed,
            [true, true, false, false, false, false, false, false]
        );
        assert!(own.iter().all(|stream| !stream.closed.is_cancelled()));
        let _third = streams.open(&three).unwrap();
        // Each holds about as many as the others.
        assert!(streams.open(&three).is_err() && streams.open(&one).is_err());
        drop(held);
        assert!(streams.open(&one).is_ok());
    }
}
