//! The socket of an HTTP connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::sleep;

/// How long to wait before a socket is looked at again that has bytes nobody reads yet: the next
/// request, sent before the answer to this one.
const PIPELINED_PAUSE: Duration = Duration::from_secs(1);

/// What a connection reads from and writes to.
#[derive(Debug)]
pub(super) struct Socket {
    read: Arc<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

/// Tells whether the client has closed its sending half. The HTTP library does not look while it
/// answers, since such a client is to be answered too; but of a silent tail it is all that is ever
/// heard of a viewer who has left.
#[derive(Clone, Debug)]
pub(crate) struct PeerSocket(Arc<OwnedReadHalf>);

impl Socket {
    pub(super) fn new(stream: TcpStream) -> (Socket, PeerSocket) {
        let (read, write) = stream.into_split();
        let read = Arc::new(read);
        (Socket { read: Arc::clone(&read), write }, PeerSocket(read))
    }
}

impl PeerSocket {
    /// Returns once the client sends no more, or the connection is broken.
    pub(crate) async fn half_closed(&self) {
        loop {
            match self.0.ready(Interest::READABLE).await {
                Ok(ready) if !ready.is_read_closed() => sleep(PIPELINED_PAUSE).await,
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Returns once the connection is broken: reset, or its keep-alive without an answer. Only
    /// Linux tells.
    pub(crate) async fn broken(&self) {
        #[cfg(target_os = "linux")]
        let _ = self.0.ready(Interest::ERROR).await;
        #[cfg(not(target_os = "linux"))]
        std::future::pending::<()>().await;
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream: &TcpStream = (*self.read).as_ref();
        loop {
            ready!(stream.poll_read_ready(context))?;
            match stream.try_read_buf(buf) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }
}
