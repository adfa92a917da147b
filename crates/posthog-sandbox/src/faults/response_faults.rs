//! Altered responses: with other values, too large, too slow.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response as HttpResponse;
use flate2::{Compress, Compression, Crc, FlushCompress};
use futures::stream::{self, StreamExt};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::http::{Content, JSON, Response};

/// How a response is altered before it is sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ResponseFault {
    /// Replaces the value of each field of this name, at any depth. The text is sent as it is: it may be nested deeper
    /// than JSON parsers allow, or not be JSON.
    ReplaceField { field: String, json: String },
    /// Puts this many spaces before the body, which remains valid JSON.
    Pad { bytes: usize },
    /// Puts this many mebibytes of spaces before the body, compressed: a small body that becomes huge when unpacked.
    GzipBomb { mebibytes: u32 },
    /// Sends the body in chunks of this many bytes, with a pause before each.
    Drip {
        bytes: usize,
        #[serde(deserialize_with = "seconds")]
        every: Duration,
    },
}

/// The size of the chunks in which spaces are sent.
const CHUNK: usize = 64 * 1024;
const MEBIBYTE: usize = 1024 * 1024;

impl ResponseFault {
    pub(crate) fn apply(self, response: Response) -> HttpResponse {
        match self {
            Self::ReplaceField { field, json } => {
                replace_field(response, &field, &json).into_response()
            }
            Self::Pad { bytes } => with_body(response, |body| {
                let chunk = Bytes::from(vec![b' '; CHUNK]);
                let chunks = std::iter::repeat_n(chunk, bytes / CHUNK);
                let spaces = stream::iter(chunks.chain([Bytes::from(vec![b' '; bytes % CHUNK])]));
                Body::from_stream(sent(spaces.chain(stream::iter([body]))))
            }),
            Self::GzipBomb { mebibytes } => {
                let mut response =
                    with_body(response, |body| Body::from(gzip_bomb(mebibytes, &body)));
                let gzip = HeaderValue::from_static("gzip");
                response
                    .headers_mut()
                    .insert(header::CONTENT_ENCODING, gzip);
                response
            }
            Self::Drip { bytes, every } => with_body(response, |body| {
                let chunks: Vec<Bytes> = body
                    .chunks(bytes.max(1))
                    .map(|chunk| body.slice_ref(chunk))
                    .collect();
                Body::from_stream(sent(stream::iter(chunks).then(move |chunk| async move {
                    tokio::time::sleep(every).await;
                    chunk
                })))
            }),
        }
    }
}

fn sent(
    chunks: impl StreamExt<Item = Bytes>,
) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    chunks.map(Ok)
}

/// Replaces the body by one made from it. A response without a body stays as it is.
fn with_body(response: Response, make: impl FnOnce(Bytes) -> Body) -> HttpResponse {
    let body = match &response.content {
        Content::Empty => return response.into_response(),
        Content::Json(value) => Bytes::from(value.to_string()),
        Content::Text { text, .. } => Bytes::from(text.clone()),
    };
    let mut response = response.into_response();
    *response.body_mut() = make(body);
    response
}

/// Serializes with a placeholder for the value and replaces that, so that the text need not be JSON.
fn replace_field(mut response: Response, field: &str, json: &str) -> Response {
    const PLACEHOLDER: &str = "e2a1c9b6-placeholder";
    if let Content::Json(value) = &mut response.content {
        put_placeholder(value, field, PLACEHOLDER);
        response.content = Content::Text {
            content_type: JSON.to_owned(),
            text: value
                .to_string()
                .replace(&format!("\"{PLACEHOLDER}\""), json),
        };
    }
    response
}

fn put_placeholder(value: &mut Value, field: &str, with: &str) {
    match value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| put_placeholder(item, field, with)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == field {
                    *value = Value::from(with);
                } else {
                    put_placeholder(value, field, with);
                }
            }
        }
        _ => {}
    }
}

/// Compresses one mebibyte of spaces and repeats the result, which after a full flush depends on nothing before it.
fn gzip_bomb(mebibytes: u32, body: &[u8]) -> Vec<u8> {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let spaces = vec![b' '; MEBIBYTE];
    let mut mebibyte = Vec::with_capacity(CHUNK);
    let mut end = Vec::with_capacity(body.len() + CHUNK);
    let mut deflate = Compress::new(Compression::default(), false);
    // Compression into memory does not fail, and both buffers are large enough.
    let _ = deflate.compress_vec(&spaces, &mut mebibyte, FlushCompress::Full);
    let _ = deflate.compress_vec(body, &mut end, FlushCompress::Finish);
    let mut space = Crc::new();
    space.update(&spaces);
    let mut checksum = Crc::new();
    let mut gzip = HEADER.to_vec();
    for _ in 0..mebibytes {
        gzip.extend_from_slice(&mebibyte);
        checksum.combine(&space);
    }
    gzip.extend_from_slice(&end);
    let mut rest = Crc::new();
    rest.update(body);
    checksum.combine(&rest);
    gzip.extend_from_slice(&checksum.sum().to_le_bytes());
    gzip.extend_from_slice(&checksum.amount().to_le_bytes());
    gzip
}

/// A duration as a number of seconds.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gzip_bomb_is_small() {
        assert!(gzip_bomb(110, b"{}").len() < 500_000);
    }
}
