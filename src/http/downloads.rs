//! Exported files, for the caller that exported them. Admission comes first, as for every call.

use std::fs::File;
use std::io::{self, Read};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use uuid::Uuid;

use crate::export::{Download, Exports};
use crate::server::Caller;

/// Where files are.
pub(super) const PATH: &str = "/exports/";

/// What is read of a file at a time.
const BLOCK: usize = 64 * 1024;

pub(super) fn router(exports: Exports) -> Router {
    Router::new()
        .route(&format!("{PATH}{{id}}"), get(download))
        .with_state(exports)
}

/// What is not there, is over, or belongs to another caller is the same: nothing tells whether it exists.
async fn download(
    State(exports): State<Exports>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let id = Uuid::try_parse(&id).ok();
    let file = id.and_then(|id| exports.download(id, &caller.principal));
    match file.map(respond) {
        Some(Ok(response)) => response,
        Some(Err(error)) => {
            tracing::error!(%error, "exported file not readable");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        None => (
            StatusCode::NOT_FOUND,
            "No such export, or its link has expired\n",
        )
            .into_response(),
    }
}

fn respond(file: Download) -> io::Result<Response> {
    let content = File::open(&file.path)?;
    let headers = [
        (header::CONTENT_TYPE, file.media_type.to_owned()),
        (
            header::CONTENT_LENGTH,
            content.metadata()?.len().to_string(),
        ),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}\"", file.name),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    let blocks = futures::stream::unfold(Some(content), |content| async move {
        let block = tokio::task::spawn_blocking(move || read(content?)).await;
        match block {
            Ok(None) => None,
            Ok(Some((block, content))) => Some((block, content)),
            Err(error) => Some((Err(io::Error::other(error)), None)),
        }
    });
    Ok((headers, Body::from_stream(blocks)).into_response())
}

/// The next block, and the rest unless it is the last.
fn read(mut content: File) -> Option<(io::Result<Bytes>, Option<File>)> {
    let mut block = vec![0; BLOCK];
    match content.read(&mut block) {
        Ok(0) => None,
        Ok(read) => {
            block.truncate(read);
            Some((Ok(block.into()), Some(content)))
        }
        Err(error) => Some((Err(error), None)),
    }
}
