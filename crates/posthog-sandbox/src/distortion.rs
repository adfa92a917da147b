//! True answers that arrive changed: of another shape, too large, too slow. Knows bytes and JSON, no
//! endpoint.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use flate2::{Compress, Compression, Crc, FlushCompress};
use futures::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{Answer, Content, JSON};
use super::faults::seconds;

/// What becomes of an answer on its way out.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ResponseFault {
    /// Each field of this name, at any depth, holds this text instead. It is sent as it is: it may
    /// be nested more deeply than a reader of JSON goes, or be no JSON at all.
    ReplaceField { field: String, json: String },
    /// So many blanks stand before the answer, which remains valid JSON.
    Pad { bytes: usize },
    /// So much of it, compressed: a small body that becomes a huge one where it is read.
    GzipBomb { mebibytes: u32 },
    /// The body comes in pieces of so many bytes, with a pause before each.
    Drip {
        bytes: usize,
        #[serde(deserialize_with = "seconds")]
        every: Duration,
    },
}

/// Blanks are sent in pieces of this size.
const PIECE: usize = 64 * 1024;
const MEBIBYTE: usize = 1024 * 1024;

impl ResponseFault {
    pub(super) fn response(self, answer: Answer) -> Response {
        match self {
            Self::ReplaceField { field, json } => replaced(answer, &field, &json).into_response(),
            Self::Pad { bytes } => with_body(answer, |body| {
                let piece = Bytes::from(vec![b' '; PIECE]);
                let pieces = std::iter::repeat_n(piece, bytes / PIECE);
                let blanks = stream::iter(pieces.chain([Bytes::from(vec![b' '; bytes % PIECE])]));
                Body::from_stream(sent(blanks.chain(stream::iter([body]))))
            }),
            Self::GzipBomb { mebibytes } => {
                let mut response = with_body(answer, |body| Body::from(bomb(mebibytes, &body)));
                let gzip = HeaderValue::from_static("gzip");
                response
                    .headers_mut()
                    .insert(header::CONTENT_ENCODING, gzip);
                response
            }
            Self::Drip { bytes, every } => with_body(answer, |body| {
                let pieces: Vec<Bytes> = body
                    .chunks(bytes.max(1))
                    .map(|piece| body.slice_ref(piece))
                    .collect();
                Body::from_stream(sent(stream::iter(pieces).then(move |piece| async move {
                    tokio::time::sleep(every).await;
                    piece
                })))
            }),
        }
    }
}

fn sent(
    pieces: impl StreamExt<Item = Bytes>,
) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    pieces.map(Ok)
}

/// The answer with a body made of its own. An answer without a body stays as it is.
fn with_body(answer: Answer, make: impl FnOnce(Bytes) -> Body) -> Response {
    let body = match &answer.content {
        Content::Empty => return answer.into_response(),
        Content::Json(value) => Bytes::from(value.to_string()),
        Content::Text { text, .. } => Bytes::from(text.clone()),
    };
    let mut response = answer.into_response();
    *response.body_mut() = make(body);
    response
}

/// Serialized with a mark in place of the field's value, so that the text need not be JSON.
fn replaced(mut answer: Answer, field: &str, json: &str) -> Answer {
    const MARK: &str = "e2a1c9b6-this-stands-for-another-text";
    if let Content::Json(value) = &mut answer.content {
        mark(value, field, MARK);
        answer.content = Content::Text {
            content_type: JSON.to_owned(),
            text: value.to_string().replace(&format!("\"{MARK}\""), json),
        };
    }
    answer
}

fn mark(value: &mut Value, field: &str, with: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mark(item, field, with)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == field {
                    *value = Value::from(with);
                } else {
                    mark(value, field, with);
                }
            }
        }
        _ => {}
    }
}

/// One stretch of blanks is compressed, and stands there as often as it takes: after a full flush it
/// depends on nothing before it.
fn bomb(mebibytes: u32, body: &[u8]) -> Vec<u8> {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let blanks = vec![b' '; MEBIBYTE];
    let mut stretch = Vec::with_capacity(PIECE);
    let mut end = Vec::with_capacity(body.len() + PIECE);
    let mut deflate = Compress::new(Compression::default(), false);
    // Writing into memory does not fail, and the room is more than both need.
    let _ = deflate.compress_vec(&blanks, &mut stretch, FlushCompress::Full);
    let _ = deflate.compress_vec(body, &mut end, FlushCompress::Finish);
    let mut blank = Crc::new();
    blank.update(&blanks);
    let mut checksum = Crc::new();
    let mut gzip = HEADER.to_vec();
    for _ in 0..mebibytes {
        gzip.extend_from_slice(&stretch);
        checksum.combine(&blank);
    }
    gzip.extend_from_slice(&end);
    let mut rest = Crc::new();
    rest.update(body);
    checksum.combine(&rest);
    gzip.extend_from_slice(&checksum.sum().to_le_bytes());
    gzip.extend_from_slice(&checksum.amount().to_le_bytes());
    gzip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_small() {
        assert!(bomb(110, b"{}").len() < 500_000);
    }
}
