//! What is answered under which path.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, Request};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;

use crate::admin::About;
use crate::admin::collect::Collector;
use crate::admin::guard::Guard;
use crate::admin::snapshot::{Selection, Snapshot};

/// What the answers are made from.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) collector: Collector,
    pub(crate) about: About,
}

const ENDPOINTS: &str = "404: nothing here. There are:
  GET /healthz  whether the server is up
  GET /stats    all numbers, as JSON
";

/// All paths, behind the guard.
pub(crate) fn router(state: State, guard: Guard) -> Router {
    let guard = Arc::new(guard);
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/stats", get(stats))
        .merge(crate::admin::page::router())
        .fallback(async || (StatusCode::NOT_FOUND, ENDPOINTS))
        .with_state(state)
        .layer(from_fn(move |request, next| check(Arc::clone(&guard), request, next)))
}

async fn check(guard: Arc<Guard>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let (host, origin) = (text(headers, header::HOST), text(headers, header::ORIGIN));
    match guard.check(host, origin) {
        Ok(()) => next.run(request).await,
        Err(denied) => (StatusCode::FORBIDDEN, denied.to_string()).into_response(),
    }
}

/// A header's text. One that is no text equals nothing, so it is refused as foreign.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("(not text)"))
}

async fn stats(
    axum::extract::State(state): axum::extract::State<State>,
    RawQuery(query): RawQuery,
) -> Response {
    let selection = match Selection::parse(query.as_deref().unwrap_or_default()) {
        Ok(selection) => selection,
        Err(bad) => return (StatusCode::BAD_REQUEST, bad.to_string()).into_response(),
    };
    let reports = match state.collector.collect().await {
        Ok(reports) => reports,
        Err(silent) => {
            let text = format!("503: {silent}\n");
            return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
        }
    };
    let mut snapshot = Snapshot::new(&state.about.name, state.about.clock.now(), reports);
    if !selection.apply(&mut snapshot)
        && let Some(stream) = selection.stream
    {
        let text = format!("404: there is no stream {stream}; /stats has all that there are\n");
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    // The numbers are of this moment only.
    ([(header::CACHE_CONTROL, "no-store")], Json(snapshot)).into_response()
}
