//! What is answered under which path.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, RawQuery, Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;

use crate::admin::answers::{bad_request, busy, json, no_stream, wrong_method};
use crate::admin::gather::Gather;
use crate::admin::guard::{Guard, Provenance};
use crate::admin::metrics::{self, Metrics, lags, plain};
use crate::admin::named::Named;
use crate::admin::pass::{Passes, Wanted};
use crate::admin::query::{BadQuery, Query};
use crate::admin::serving::{Peer, Routers};
use crate::admin::snapshot::Selection;
use crate::admin::{About, Timeouts};
use crate::id::StreamId;
use crate::inside::{Silent, Workers};
use crate::time::Instant;

/// What the answers are made from.
#[derive(Clone, Debug)]
pub(crate) struct State {
    gather: Gather,
    passes: Passes,
    about: Arc<About>,
    metrics: Metrics,
    timeouts: watch::Receiver<Timeouts>,
}

impl State {
    pub(crate) fn new(
        workers: Workers,
        about: About,
        timeouts: watch::Receiver<Timeouts>,
    ) -> State {
        let (gather, about) = (Gather::new(workers), Arc::new(about));
        let passes = Passes::new(gather.clone(), Arc::clone(&about));
        State { gather, passes, about, metrics: Metrics::default(), timeouts }
    }

    /// Whether there is such a stream.
    async fn has(&self, stream: StreamId) -> Result<bool, Silent> {
        let home = self.gather.workers().home(stream);
        let (_, rows, _) = self.gather.rows_of(home, vec![stream]).await?;
        Ok(!rows.is_empty())
    }

    /// An answer in JSON, written as its rows are gathered.
    async fn pass(&self, wanted: Wanted, peer: Peer) -> Response {
        match self.passes.take_part(wanted, peer).await {
            Ok(body) => json(body),
            Err(silent) => silent.into_response(),
        }
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
    let streams = {
        let workers = state.gather.workers().clone();
        crate::admin::streams::router(workers, state.timeouts.clone())
    };
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

async fn stats(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    RawQuery(query): RawQuery,
) -> Response {
    let selection = match Selection::parse(query.as_deref().unwrap_or_default()) {
        Ok(selection) => selection,
        Err(bad) => return bad_request(bad),
    };
    if let Some(stream) = selection.stream {
        match state.has(stream).await {
            Ok(true) => {}
            Ok(false) => return no_stream(&stream.to_string()),
            Err(silent) => return silent.into_response(),
        }
    }
    state.pass(Wanted::Stats(selection), peer).await
}

async fn metrics(Extract(state): Extract<State>, headers: HeaderMap) -> Response {
    let summary = match state.gather.summary().await {
        Ok(summary) => summary,
        Err(silent) => return silent.into_response(),
    };
    let lags = match lags::largest(&state.gather, &summary).await {
        Ok(lags) => lags,
        Err(silent) => return silent.into_response(),
    };
    let uptime = state.about.clock.now().instant.since(Instant::default());
    let text = state.metrics.text(&summary, &lags, uptime);
    let (kind, text) = match plain::is_wanted(&headers) {
        true => (plain::CONTENT_TYPE, plain::from_openmetrics(&text)),
        false => (metrics::CONTENT_TYPE, text),
    };
    ([(header::CONTENT_TYPE, kind), (header::VARY, "Accept")], text).into_response()
}

/// Checks that nobody takes an answer for what they asked for, as with `/streams?type=log`.
fn no_parameters(query: Option<String>) -> Result<(), BadQuery> {
    Query::parse(query.as_deref().unwrap_or_default())?.end(&[])
}

async fn list(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    RawQuery(query): RawQuery,
) -> Response {
    if let Err(bad) = no_parameters(query) {
        return bad_request(bad);
    }
    state.pass(Wanted::List, peer).await
}

async fn one(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Named(id): Named,
    RawQuery(query): RawQuery,
) -> Response {
    if let Err(bad) = no_parameters(query) {
        return bad_request(bad);
    }
    let Some(stream) = StreamId::parse(id.as_bytes()) else { return no_stream(&id) };
    match state.has(stream).await {
        Ok(true) => state.pass(Wanted::One(stream), peer).await,
        Ok(false) => no_stream(&id),
        Err(silent) => silent.into_response(),
    }
}
