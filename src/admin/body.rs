//! An answer's body that grows as long as somebody takes it in.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Pieces that wait for the HTTP connection to take them.
const PIECES_MAX: usize = 1;

/// What a body's writer puts in.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Bytes),
    /// The body is whole, with these trailers. One whose writer goes without this is cut off, so
    /// that nobody takes it for whole.
    End(HeaderMap),
}

impl Piece {
    /// The end, without trailers.
    pub(crate) fn end() -> Piece {
        Piece::End(HeaderMap::new())
    }
}

/// The error that cuts the connection.
#[derive(Debug, thiserror::Error)]
#[error("the stream broke off")]
struct BrokenOff;

struct Growing {
    pieces: Receiver<Piece>,
    /// Told when a piece is taken.
    taken: Option<Arc<Notify>>,
    is_over: bool,
}

impl http_body::Body for Growing {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let piece = std::task::ready!(self.pieces.poll_recv(context));
        if let Some(taken) = &self.taken {
            taken.notify_waiters();
        }
        Poll::Ready(match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End(trailers)) => {
                self.is_over = true;
                (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)))
            }
            None => {
                self.is_over = true;
                Some(Err(BrokenOff))
            }
        })
    }
}

/// A body and its writer's end. A send waits until the HTTP connection has taken what came before;
/// it fails once nobody takes any more.
pub(crate) fn growing() -> (Sender<Piece>, Body) {
    growing_noticed(None)
}

/// The same, where somebody is told each time that a piece is taken.
pub(crate) fn growing_noticed(taken: Option<Arc<Notify>>) -> (Sender<Piece>, Body) {
    let (sender, pieces) = channel(PIECES_MAX);
    (sender, Body::new(Growing { pieces, taken, is_over: false }))
}
