//! What is answered under which path.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::admin::About;
use crate::admin::answers::{bad_request, busy, json, no_stream, wrong_method};
use crate::admin::collect::collect;
use crate::admin::guard::{Guard, Provenance};
use crate::admin::metrics::{self, Metrics, plain};
use crate::admin::serving::Routers;
use crate::admin::snapshot::{Selection, Snapshot};
use crate::id::StreamId;
use crate::inside::{Silent, Workers};

/// What the answers are made from.
#[derive(Clone, Debug)]
pub(crate) struct State {
    workers: Workers,
    about: About,
    metrics: Metrics,
}

impl State {
    pub(crate) fn new(workers: Workers, about: About) -> State {
        State { workers, about, metrics: Metrics::default() }
    }

    /// Every number there is, now.
    async fn snapshot(&self) -> Result<Snapshot, Silent> {
        let reports = collect(&self.workers).await?;
        Ok(Snapshot::new(&self.about.name, self.about.clock.now(), reports))
    }
}

/// The end of the one path that does more than answer.
const TAIL: &str = "/tail";

const ENDPOINTS: &str = "404: nothing here. There are:
  GET  /                    the dashboard
  GET  /healthz             whether the server is up
  GET  /stats               all numbers, as JSON
  GET  /metrics             numbers for Prometheus
  GET  /streams             the streams
  GET  /streams/ID          one stream and its readers
  GET  /streams/ID/tail     its bytes, as they come
  POST /streams?type=TYPE   the request's body becomes a stream; PUT, too
";

/// All paths, behind the guard.
pub(crate) fn routers(state: State, guard: Guard) -> Routers {
    let guard = Arc::new(guard);
    // Streams over HTTP need a pair of sockets, which Windows lacks.
    #[cfg(unix)]
    let streams = crate::admin::streams::router(state.workers.clone());
    #[cfg(not(unix))]
    let streams = Router::new();
    let full = Router::new()
        .route("/healthz", get(health))
        .route("/stats", get(stats))
        .route("/metrics", get(metrics))
        .merge(crate::admin::page::router())
        .route("/streams", get(list))
        .route("/streams/{id}", get(one))
        .with_state(state)
        .merge(streams)
        .fallback(async || (StatusCode::NOT_FOUND, ENDPOINTS))
        .method_not_allowed_fallback(wrong_method);
    let brief = Router::new().route("/healthz", get(health)).fallback(busy);
    let checked = |router: Router| {
        let guard = Arc::clone(&guard);
        router.layer(from_fn(move |request, next| check(Arc::clone(&guard), request, next)))
    };
    Routers { full: checked(full), brief: checked(brief) }
}

/// Whether the server is up.
async fn health() -> &'static str {
    "ok\n"
}

async fn check(guard: Arc<Guard>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let fetch_site = HeaderName::from_static("sec-fetch-site");
    let checked =
        [("Host", header::HOST), ("Origin", header::ORIGIN), ("Sec-Fetch-Site", fetch_site)];
    let is_twice = |(_, name): &&(_, HeaderName)| headers.get_all(name).iter().count() > 1;
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let mode = text(headers, &HeaderName::from_static("sec-fetch-mode"));
    let from = Provenance {
        host: text(headers, &checked[0].1),
        origin: text(headers, &checked[1].1),
        fetch_site: text(headers, &checked[2].1),
        is_navigation: is_read && mode == Some("navigate") && !request.uri().path().ends_with(TAIL),
        twice: checked.iter().find(is_twice).map(|(name, _)| *name),
        target: request.uri().authority().map(|authority| authority.as_str()),
    };
    match guard.check(from) {
        Ok(()) => next.run(request).await,
        Err(denied) => (StatusCode::FORBIDDEN, denied.to_string()).into_response(),
    }
}

/// A header's text. One that is no text equals nothing, so it is refused as foreign.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("(not text)"))
}

async fn stats(Extract(state): Extract<State>, RawQuery(query): RawQuery) -> Response {
    let selection = match Selection::parse(query.as_deref().unwrap_or_default()) {
        Ok(selection) => selection,
        Err(bad) => return bad_request(bad),
    };
    let mut snapshot = match state.snapshot().await {
        Ok(snapshot) => snapshot,
        Err(silent) => return silent.into_response(),
    };
    match selection.stream {
        Some(stream) if !selection.apply(&mut snapshot) => no_stream(&stream.to_string()),
        Some(_) => json(snapshot),
        None => {
            selection.apply(&mut snapshot);
            json(snapshot)
        }
    }
}

async fn metrics(Extract(state): Extract<State>, headers: HeaderMap) -> Response {
    let reports = match collect(&state.workers).await {
        Ok(reports) => reports,
        Err(silent) => return silent.into_response(),
    };
    let now = state.about.clock.now();
    let text =
        state.metrics.text(reports, |reports| Snapshot::new(&state.about.name, now, reports));
    let (kind, text) = match plain::is_wanted(&headers) {
        true => (plain::CONTENT_TYPE, plain::from_openmetrics(&text)),
        false => (metrics::CONTENT_TYPE, text),
    };
    ([(header::CONTENT_TYPE, kind), (header::VARY, "Accept")], text).into_response()
}

async fn list(Extract(state): Extract<State>) -> Response {
    match state.snapshot().await {
        Ok(snapshot) => json(snapshot.into_list()),
        Err(silent) => silent.into_response(),
    }
}

async fn one(Extract(state): Extract<State>, Path(id): Path<String>) -> Response {
    let Some(stream) = StreamId::parse(id.as_bytes()) else { return no_stream(&id) };
    match state.snapshot().await {
        Ok(snapshot) => match snapshot.into_one(stream) {
            Some(row) => json(row),
            None => no_stream(&id),
        },
        Err(silent) => silent.into_response(),
    }
}
