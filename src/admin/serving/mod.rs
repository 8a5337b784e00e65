//! HTTP connections: which are taken in, how long they may be silent, and who gives way.
//!
//! `table` knows which connections are open and what they are about, `reserve` keeps a file
//! descriptor for when there is none left, `socket` is what a connection reads and writes.
//!
//! Whoever holds connections open, half-sent or idle, does not keep others out: the one that has
//! been idle longest is closed for a new one. Where all are at work, and where the process has no
//! descriptor left, a few more are taken in that get an answer to `/healthz` and nothing else.

mod reserve;
mod socket;
mod table;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::admin::Timeouts;
use crate::net::{self, AcceptError};

pub(crate) use socket::PeerSocket;
pub(crate) use table::CONNECTIONS_MAX;

use reserve::Reserve;
use socket::Socket;
use table::{Busy, Connections, Kind, Open, WeakOpen};

/// How long a connection that gets no more than an answer to `/healthz` may take.
const BRIEF_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait when no file descriptor is to be had at all.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(20);

/// What of a request's head, and of an answer, lies in memory of one connection.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) socket: PeerSocket,
    connection: WeakOpen,
}

impl Peer {
    /// Closes the connection at once, whatever is under way.
    pub(crate) fn cut(&self) {
        self.connection.close();
    }
}

/// What answers.
#[derive(Clone, Debug)]
pub(crate) struct Routers {
    /// All paths.
    pub(crate) full: Router,
    /// `/healthz` only.
    pub(crate) brief: Router,
}

/// The listening end.
pub(crate) struct Serving {
    listener: TcpListener,
    routers: Routers,
    timeouts: watch::Receiver<Timeouts>,
    connections: Arc<Connections>,
    reserve: Reserve,
}

impl Serving {
    pub(crate) fn new(
        listener: TcpListener,
        routers: Routers,
        timeouts: watch::Receiver<Timeouts>,
    ) -> Serving {
        let (connections, reserve) = (Arc::default(), Reserve::new());
        Serving { listener, routers, timeouts, connections, reserve }
    }

    /// Takes connections in, for ever.
    pub(crate) async fn run(mut self) {
        loop {
            let (stream, address, is_last) = self.accept().await;
            let open = match is_last {
                true => self.connections.take_in_last(),
                false => self.connections.take_in().await,
            };
            let reserve = is_last.then(|| self.reserve.clone());
            let connection = self.connection(stream, address, open.kind());
            let close = open.clone();
            let task = tokio::spawn(async move {
                connection(open).await;
                if let Some(reserve) = reserve {
                    reserve.refill();
                }
            });
            close.on_close(task.abort_handle());
        }
    }

    /// The next connection, and whether it took the last file descriptor.
    async fn accept(&mut self) -> (TcpStream, SocketAddr, bool) {
        loop {
            self.reserve.refill();
            let error = match self.listener.accept().await {
                Ok((stream, address)) => return (stream, address, false),
                Err(error) => error,
            };
            if !matches!(AcceptError::from(error), AcceptError::Exhausted(_)) {
                continue;
            }
            if self.reserve.release() {
                // The system asks for a descriptor before it looks whether somebody waits.
                let accept = poll_fn(|context| Poll::Ready(self.listener.poll_accept(context)));
                match accept.await {
                    Poll::Ready(Ok((stream, address))) => return (stream, address, true),
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => continue,
                }
            }
            sleep(EXHAUSTED_PAUSE).await;
        }
    }

    /// What serves one connection.
    fn connection(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        kind: Kind,
    ) -> impl FnOnce(Open) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + 'static {
        let (router, head_timeout) = match kind {
            Kind::Full => (self.routers.full.clone(), self.timeouts.borrow().head),
            Kind::Brief => (self.routers.brief.clone(), BRIEF_TIMEOUT),
        };
        move |open| {
            Box::pin(async move {
                let serve = serve(stream, address, router, head_timeout, &open);
                let outcome = match kind {
                    Kind::Full => serve.await,
                    Kind::Brief => timeout(BRIEF_TIMEOUT, serve).await.unwrap_or(Ok(())),
                };
                if let Err(error) = outcome {
                    debug!(peer = %address, %error, "HTTP connection");
                }
            })
        }
    }
}

/// Answers the requests of one connection. One that is half-closed is answered too.
async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    head_timeout: Duration,
    open: &Open,
) -> hyper::Result<()> {
    if let Err(error) = net::set_options(&stream) {
        debug!(peer = %address, %error, "HTTP connection without options");
    }
    let (socket, peer) = Socket::new(stream);
    let peer = Peer { address, socket: peer, connection: open.downgrade() };
    let inner = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let busy = open.busy();
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        let answer = inner.call(request);
        async move {
            let answer = answer.await?;
            Ok::<_, std::convert::Infallible>(answer.map(|body| Watched { body, _busy: busy }))
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .half_close(true)
        .keep_alive(open.kind() == Kind::Full)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service)
        .await
}

/// An answer's body; as long as it lasts, its connection is at work.
struct Watched {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use axum::routing::get;

    use super::*;

    #[test]
    fn a_head_that_does_not_come_and_an_idle_connection_are_not_waited_for_for_ever() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let router = Router::new().route("/", get(async || "ok"));
                let routers = Routers { full: router.clone(), brief: router };
                let listener = TcpListener::from_std(listener).unwrap();
                let head = Duration::from_millis(150);
                let (_keep, timeouts) = watch::channel(Timeouts { head, ..Timeouts::default() });
                tokio::spawn(Serving::new(listener, routers, timeouts).run());
                let _ = stopped.await;
            });
        });
        let whole = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for sent in ["", "GET / HT", whole] {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            client.write_all(sent.as_bytes()).unwrap();
            let mut answer = Vec::new();
            // Ends because the other side closes.
            client.read_to_end(&mut answer).unwrap();
            assert_eq!(answer.ends_with(b"ok"), sent == whole, "{sent:?}");
        }
        stop.send(()).unwrap();
        thread.join().unwrap();
    }
}
