//! Streams over HTTP: watching one, writing one.
//!
//! Each request gets a TCF channel to a worker of its own (`link`), so a viewer is a reader and an
//! upload a writer like any other, and no worker knows HTTP. `tail` reads a stream for a viewer,
//! `form` is how the viewer gets it, `upload` writes one.

mod body;
mod form;
mod link;
mod tail;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use crate::admin::Workers;
use crate::admin::bounded::Peer;
use crate::admin::routes::{bad_request, no_stream};
use crate::client::CallError;
use crate::id::StreamId;

use link::LinkError;
use tail::TailOptions;
use upload::UploadOptions;

/// Tails that run at once. With uploads they leave room below the bound on HTTP connections for
/// those who look at the numbers.
const TAILS_MAX: usize = 64;

/// Uploads that run at once.
const UPLOADS_MAX: usize = 32;

#[derive(Clone, Debug)]
struct Streams {
    workers: Workers,
    tails: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
}

/// The paths that reach into streams.
pub(crate) fn router(workers: Workers) -> Router {
    let state = Streams {
        workers,
        tails: Arc::new(Semaphore::new(TAILS_MAX)),
        uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
    };
    Router::new()
        .route("/streams", post(handle_upload))
        .route("/streams/{id}/tail", get(handle_tail))
        .with_state(state)
}

async fn handle_tail(
    State(state): State<Streams>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(stream) = StreamId::parse(id.as_bytes()) else { return no_stream(&id) };
    let options = match TailOptions::parse(query.as_deref().unwrap_or_default(), &headers) {
        Ok(options) => options,
        Err(bad) => return bad_request(bad),
    };
    match state.tails.try_acquire_owned() {
        Ok(permit) => tail::tail(&state.workers, stream, options, name(peer), permit).await,
        Err(_) => too_many("tails", TAILS_MAX),
    }
}

async fn handle_upload(
    State(state): State<Streams>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Response {
    let options = match UploadOptions::parse(query.as_deref().unwrap_or_default()) {
        Ok(options) => options,
        Err(bad) => return bad_request(bad),
    };
    match state.uploads.try_acquire() {
        Ok(_permit) => upload::upload(&state.workers, options, body, name(peer)).await,
        Err(_) => too_many("uploads", UPLOADS_MAX),
    }
}

/// What an HTTP client is called in `/stats` and in the log.
fn name(peer: std::net::SocketAddr) -> Arc<str> {
    format!("http {peer}").into()
}

/// What a channel's error means to who asked over HTTP.
impl IntoResponse for LinkError {
    fn into_response(self) -> Response {
        let status = match self {
            LinkError::TooMany(_) | LinkError::Silent(_) | LinkError::Closed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            LinkError::System(_) | LinkError::Nonsense(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, format!("{}: {self}\n", status.as_u16())).into_response()
    }
}

/// What an error in a reply means to who asked over HTTP. The core's own codes: `service` has them.
fn refused(error: &CallError) -> Response {
    let status = match error.code {
        CallError::LIMIT => StatusCode::SERVICE_UNAVAILABLE,
        CallError::END_OF_FILE | CallError::UNSUPPORTED => StatusCode::CONFLICT,
        CallError::INVALID_CONTEXT => StatusCode::NOT_FOUND,
        CallError::BAD_VALUE => StatusCode::BAD_REQUEST,
        CallError::CANCELLED => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let hint = match status {
        StatusCode::NOT_FOUND => "; GET /streams has those that there are",
        _ => "",
    };
    (status, format!("{}: {}{hint}\n", status.as_u16(), error.text)).into_response()
}

/// The answer to one request too many.
fn too_many(what: &str, most: usize) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    (status, format!("503: {most} {what} run already; end one of them\n")).into_response()
}
