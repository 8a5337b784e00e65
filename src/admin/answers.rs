//! Answers that several paths give. Each error is one line of text that says what to do.

use axum::body::Body;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::admin::serving::CONNECTIONS_MAX;
use crate::client::CallError;
#[cfg(unix)]
use crate::inside::LinkError;
use crate::inside::Silent;

pub(crate) fn bad_request(what: impl ToString) -> Response {
    (StatusCode::BAD_REQUEST, what.to_string()).into_response()
}

pub(crate) fn no_stream(id: &str) -> Response {
    let text = format!("404: there is no stream {id}; GET /streams has those that there are\n");
    (StatusCode::NOT_FOUND, text).into_response()
}

impl IntoResponse for Silent {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, format!("503: {self}\n")).into_response()
    }
}

/// The answer to a form where bytes are to come.
#[cfg(unix)]
pub(crate) fn form_refused() -> Response {
    let text = "415: a form would go into the stream with its boundaries; send the bytes alone: \
                curl -T FILE, or curl --data-binary @FILE\n";
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response()
}

/// The answer to a method that a path does not have; `Allow` names those that it has.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Response {
    let text = format!("405: {} cannot be asked for with {method}; ", uri.path());
    let hint = "the Allow header has what can, GET /nothing all paths\n";
    (StatusCode::METHOD_NOT_ALLOWED, text + hint).into_response()
}

/// The answer to everything but `/healthz` where there is no room for a whole connection.
pub(crate) async fn busy() -> Response {
    let text = format!(
        "503: {CONNECTIONS_MAX} HTTP connections are at work, or the process has no file \
         descriptor left; only /healthz is answered\n"
    );
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// JSON that is of this moment only.
pub(crate) fn json(body: Body) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

/// What a channel's error means to who asked over HTTP.
#[cfg(unix)]
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
pub(crate) fn refused(error: &CallError) -> Response {
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
pub(crate) fn too_many(what: &str, most: usize) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    (status, format!("503: {most} {what} run already; end one of them\n")).into_response()
}
