//! `GET /streams/ID/tail`: a stream's bytes, as they come.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::mpsc::Sender;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;

use crate::admin::answers::refused;
use crate::admin::body::{Piece, growing};
use crate::admin::serving::Peer;
use crate::admin::streams::form::Form;
use crate::admin::streams::name;
use crate::admin::streams::options::TailOptions;
use crate::client::{AttachOptions, Attached, CallError, Position, ReadReply, Reply, StallTimeout};
use crate::id::{Door, StreamId};
use crate::inside::{Link, LinkError, Silent, Workers};

/// Reads that a viewer has under way, and bytes of each. A viewer whose connection takes nothing
/// holds these, two pieces on their way to it and what the HTTP library writes at once (some
/// 400 KiB); what comes then is lost to it.
const READS_MAX: usize = 2;
const READ_BYTES: u64 = 64 << 10;

/// How long the broker may take until the first byte could come.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// After so long without bytes an event stream gets a comment, so that no proxy takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const POSITION: HeaderName = HeaderName::from_static("weir-position");
const LOST: HeaderName = HeaderName::from_static("weir-lost");

/// Answers with a body that grows with the stream.
pub(crate) async fn tail(
    workers: &Workers,
    stream: StreamId,
    options: TailOptions,
    peer: &Peer,
    permit: OwnedSemaphorePermit,
) -> Response {
    let begun = timeout(BEGIN_TIMEOUT, begin(workers, stream, options, name(peer))).await;
    let (attached, relay) = match begun {
        Ok(Ok(Ok(begun))) => begun,
        Ok(Ok(Err(error))) => return refused(&error),
        Ok(Err(error)) => return error.into_response(),
        Err(_) => return LinkError::from(Silent(workers.home(stream))).into_response(),
    };
    let relay = match options.follow {
        true => Relay { half_close: watch(workers, stream, peer), ..relay },
        false => relay,
    };
    let (pieces, body) = growing();
    tokio::spawn(async move {
        relay.run(attached.lost, pieces).await;
        drop(permit);
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(options.form.content_type())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::TRAILER, HeaderValue::from_static("Weir-Position, Weir-Lost")),
        (POSITION, HeaderValue::from(attached.position)),
        (LOST, HeaderValue::from(attached.lost)),
    ];
    (headers, body).into_response()
}

/// Attaches a reader where the viewer wants it.
async fn begin(
    workers: &Workers,
    stream: StreamId,
    options: TailOptions,
    peer: Arc<str>,
) -> Result<Result<(Attached, Relay), CallError>, LinkError> {
    let mut link = Link::open(workers, Some(workers.home(stream)), Door::Http, peer).await?;
    let id = stream.to_string();
    match find(&mut link, &id, &options).await? {
        Ok((attached, until)) => {
            let (form, position) = (options.form, attached.position);
            let mut relay = Relay {
                link,
                id,
                form,
                position,
                lost: 0,
                until,
                half_close: None,
                under_way: 0,
                early: None,
            };
            match relay.begin().await? {
                Ok(()) => Ok(Ok((attached, relay))),
                Err(error) => {
                    tokio::spawn(relay.link.close());
                    Ok(Err(error))
                }
            }
        }
        Err(error) => {
            tokio::spawn(link.close());
            Ok(Err(error))
        }
    }
}

/// Watches for a viewer that closes its sending half (`nc -N`, or one who has left, which looks the
/// same): it gets what there is by then, and the tail ends.
fn watch(workers: &Workers, stream: StreamId, peer: &Peer) -> Option<oneshot::Receiver<u64>> {
    let (mut end, receiver) = oneshot::channel();
    let (workers, peer) = (workers.clone(), peer.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = peer.socket.half_closed() => {}
            () = end.closed() => return,
        }
        if let Ok(position) = end_of(&workers, stream, name(&peer)).await {
            let _ = end.send(position);
        }
    });
    Some(receiver)
}

/// What a watch says, once; `None` where there is no such stream any more.
async fn settled(watch: &mut Option<oneshot::Receiver<u64>>) -> Option<u64> {
    match watch {
        Some(receiver) => {
            let end = receiver.await.ok();
            *watch = None;
            end
        }
        None => std::future::pending().await,
    }
}

/// Where a stream ends now.
async fn end_of(workers: &Workers, stream: StreamId, peer: Arc<str>) -> Result<u64, LinkError> {
    let mut link = Link::open(workers, Some(workers.home(stream)), Door::Http, peer).await?;
    let never = Some(StallTimeout::AfterMs(0));
    let latest = AttachOptions {
        from: Some(Position::Latest),
        stall_timeout: never,
        ..AttachOptions::default()
    };
    let end = attach(&mut link, &stream.to_string(), &latest).await;
    tokio::spawn(link.close());
    end?.map(|attached| attached.position).map_err(|_| LinkError::Closed)
}

/// Attaches, and says where the viewer is and where it wants to end.
async fn find(
    link: &mut Link,
    id: &str,
    options: &TailOptions,
) -> Result<Result<(Attached, Option<u64>), CallError>, LinkError> {
    let stall_timeout = Some(options.stall_timeout);
    let mut until = None;
    if !options.follow {
        let latest = AttachOptions {
            from: Some(Position::Latest),
            stall_timeout,
            ..AttachOptions::default()
        };
        match attach(link, id, &latest).await? {
            Ok(attached) => until = Some(attached.position),
            Err(error) => return Ok(Err(error)),
        }
    }
    let from =
        AttachOptions { from: Some(options.from), stall_timeout, ..AttachOptions::default() };
    Ok(attach(link, id, &from).await?.map(|attached| (attached, until)))
}

async fn attach(
    link: &mut Link,
    id: &str,
    options: &AttachOptions,
) -> Result<Result<Attached, CallError>, LinkError> {
    let call = link.attach(id, options);
    Ok(match link.wait(call).await? {
        Ok(Reply::Attached(attached)) => Ok(attached),
        Ok(other) => unreachable!("the reply was read in another form: {other:?}"),
        Err(error) => Err(error),
    })
}

/// Carries a stream's bytes from its channel to a body.
struct Relay {
    link: Link,
    id: String,
    form: Form,
    /// The offset behind what the body has got.
    position: u64,
    /// Bytes that it has not got.
    lost: u64,
    /// Where it ends, if that is not the stream's end.
    until: Option<u64>,
    /// Tells where the stream ends when the viewer closes its sending half.
    half_close: Option<oneshot::Receiver<u64>>,
    under_way: usize,
    /// What the first read brought, where that is known.
    early: Option<ReadReply>,
}

/// Why a relay goes on no more.
enum Over {
    /// Everything that was asked for is in the body.
    Complete,
    /// Nobody takes the body any more.
    Departed,
    /// The broker stops, or something is wrong.
    Broken,
}

/// What comes next from the channel.
enum Next {
    Reply(ReadReply),
    /// Nothing for some time.
    Silence,
    /// It is settled where the tail ends.
    Settled,
    /// An error: the broker stops.
    Refused,
}

impl Relay {
    /// Begins the first read. One that is refused, since the viewer may not read the stream, is
    /// refused before the answer to the command behind it.
    async fn begin(&mut self) -> Result<Result<(), CallError>, LinkError> {
        let read = self.link.read(&self.id, READ_BYTES);
        let sync = self.link.sync();
        self.link.flush().await?;
        self.under_way = 1;
        loop {
            let answer = self.link.receive().await?;
            match answer.result {
                Err(error) => return Ok(Err(error)),
                Ok(Reply::Read(reply)) if answer.call == read => self.early = Some(reply),
                Ok(_) if answer.call == sync => return Ok(Ok(())),
                Ok(_) => {}
            }
        }
    }

    async fn run(mut self, lost_before: u64, pieces: Sender<Piece>) {
        let over = tokio::select! {
            over = self.relay(lost_before, &pieces) => over.unwrap_or(Over::Broken),
            () = pieces.closed() => Over::Departed,
        };
        match over {
            Over::Complete => {
                let mut trailers = HeaderMap::new();
                trailers.insert(POSITION, self.position.into());
                trailers.insert(LOST, self.lost.into());
                let _ = pieces.send(Piece::End(trailers)).await;
            }
            // What is dropped without an end is cut off.
            Over::Broken | Over::Departed => {}
        }
        drop(pieces);
        self.link.close().await;
    }

    async fn relay(&mut self, lost_before: u64, pieces: &Sender<Piece>) -> Result<Over, LinkError> {
        if !self.tell_lost(lost_before, pieces).await {
            return Ok(Over::Departed);
        }
        loop {
            if self.until.is_some_and(|until| self.position >= until) {
                return Ok(Over::Complete);
            }
            while self.under_way < READS_MAX {
                self.link.read(&self.id, READ_BYTES);
                self.under_way += 1;
            }
            self.link.flush().await?;
            let mut read = match self.next_reply().await? {
                Next::Reply(read) => read,
                Next::Silence if put(pieces, self.form.keep_alive()).await => continue,
                Next::Silence => return Ok(Over::Departed),
                Next::Settled => continue,
                Next::Refused => return Ok(Over::Broken),
            };
            let lost = read.lost.unwrap_or_default();
            self.position += lost;
            if !self.tell_lost(lost, pieces).await {
                return Ok(Over::Departed);
            }
            if let Some(until) = self.until {
                let wanted = until.saturating_sub(self.position);
                read.data.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
            }
            self.position += read.data.len() as u64;
            if !read.data.is_empty() {
                let data = self.form.data(read.data, self.position);
                if !put(pieces, Some(data)).await {
                    return Ok(Over::Departed);
                }
            }
            if read.eos {
                put(pieces, self.form.end(self.position)).await;
                return Ok(Over::Complete);
            }
        }
    }

    async fn next_reply(&mut self) -> Result<Next, LinkError> {
        let reply = match self.early.take() {
            Some(reply) => reply,
            None => tokio::select! {
                answer = timeout(KEEP_ALIVE, self.link.receive()) => match answer {
                    Err(_) => return Ok(Next::Silence),
                    Ok(answer) => match answer?.result {
                        Ok(Reply::Read(reply)) => reply,
                        _ => return Ok(Next::Refused),
                    },
                },
                end = settled(&mut self.half_close) => {
                    // Where the stream is gone, there is nothing more than what came.
                    self.until = Some(end.unwrap_or(self.position));
                    return Ok(Next::Settled);
                }
            },
        };
        self.under_way -= 1;
        Ok(Next::Reply(reply))
    }

    /// Tells of a loss right before the position, if there is one. False: nobody listens.
    async fn tell_lost(&mut self, lost: u64, pieces: &Sender<Piece>) -> bool {
        if lost == 0 {
            return true;
        }
        self.lost += lost;
        put(pieces, self.form.lost(lost, self.position)).await
    }
}

/// False: nobody takes the body any more.
async fn put(pieces: &Sender<Piece>, bytes: Option<Bytes>) -> bool {
    match bytes {
        Some(bytes) => pieces.send(Piece::Bytes(bytes)).await.is_ok(),
        None => true,
    }
}
