//! Streams over HTTP: watching one, writing one.
//!
//! Each request gets a TCF channel to a worker of its own (`inside`), so a viewer is a reader and
//! an upload a writer like any other, and no worker knows HTTP. `tail` reads a stream for a viewer,
//! `options` is what the viewer asks for, `form` how it gets that, `upload` writes one.

mod form;
mod options;
mod tail;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::{get, post, put};
use tokio::sync::{Semaphore, watch};

use crate::admin::Timeouts;
use crate::admin::answers::{bad_request, form_refused, no_stream, too_many};
use crate::admin::named::Named;
use crate::admin::serving::Peer;
use crate::id::StreamId;
use crate::inside::Workers;

use options::TailOptions;
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
    timeouts: watch::Receiver<Timeouts>,
}

/// The paths that reach into streams.
pub(crate) fn router(workers: Workers, timeouts: watch::Receiver<Timeouts>) -> Router {
    let state = Streams {
        workers,
        tails: Arc::new(Semaphore::new(TAILS_MAX)),
        uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
        timeouts,
    };
    Router::new()
        .route("/streams", post(handle_upload).put(handle_upload))
        .route("/streams/", put(handle_upload))
        .route("/streams/{id}", put(handle_named_upload))
        .route("/streams/{id}/tail", get(handle_tail))
        .with_state(state)
}

async fn handle_tail(
    State(state): State<Streams>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Named(id): Named,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(stream) = StreamId::parse(id.as_bytes()) else { return no_stream(&id) };
    let options = match TailOptions::parse(query.as_deref().unwrap_or_default(), &headers) {
        Ok(options) => options,
        Err(bad) => return bad_request(bad),
    };
    match state.tails.try_acquire_owned() {
        Ok(permit) => tail::tail(&state.workers, stream, options, &peer, permit).await,
        Err(_) => too_many("tails", TAILS_MAX),
    }
}

async fn handle_upload(
    State(state): State<Streams>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if is_form(&headers) {
        return form_refused();
    }
    take_upload(state, peer, query, None, body).await
}

/// Whether the body is a form with files in it, as `curl -F` sends it, not the bytes themselves.
fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/form-data"))
}

/// `curl -T FILE` puts the file's name behind a URL that ends in `/`; of standard input it is `-`.
async fn handle_named_upload(
    State(state): State<Streams>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Named(file): Named,
    RawQuery(query): RawQuery,
    body: Body,
) -> Response {
    take_upload(state, peer, query, Some(file).filter(|file| file != "-"), body).await
}

async fn take_upload(
    state: Streams,
    peer: Peer,
    query: Option<String>,
    file: Option<String>,
    body: Body,
) -> Response {
    let query = query.as_deref().unwrap_or_default();
    let options = match UploadOptions::parse(query, file.as_deref()) {
        Ok(options) => options,
        Err(bad) => return bad_request(bad),
    };
    let body_timeout = state.timeouts.borrow().body;
    match state.uploads.try_acquire() {
        Ok(_permit) => upload::upload(&state.workers, options, body, body_timeout, &peer).await,
        Err(_) => too_many("uploads", UPLOADS_MAX),
    }
}

/// What an HTTP client is called in `/stats` and in the log.
fn name(peer: &Peer) -> Arc<str> {
    format!("http {}", peer.address).into()
}
