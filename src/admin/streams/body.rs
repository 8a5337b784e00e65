//! An answer's body that grows as long as somebody takes it in.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Pieces that wait for the HTTP connection to take them.
const PIECES_MAX: usize = 1;

/// What a body's writer puts in.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    /// The last thing that a body has.
    Trailers(HeaderMap),
    /// The body ends without being whole: the connection is cut, so that nobody takes it for its
    /// end.
    Broken,
}

/// The error that cuts the connection.
#[derive(Debug, thiserror::Error)]
#[error("the stream broke off")]
struct BrokenOff;

struct Growing(Receiver<Piece>);

impl http_body::Body for Growing {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.0.poll_recv(context).map(|piece| {
            Some(match piece? {
                Piece::Bytes(bytes) => Ok(Frame::data(bytes)),
                Piece::Trailers(headers) => Ok(Frame::trailers(headers)),
                Piece::Broken => Err(BrokenOff),
            })
        })
    }
}

/// A body and its writer's end. A send waits until the HTTP connection has taken what came before;
/// it fails once nobody takes any more.
pub(super) fn growing() -> (Sender<Piece>, Body) {
    let (sender, receiver) = channel(PIECES_MAX);
    (sender, Body::new(Growing(receiver)))
}
