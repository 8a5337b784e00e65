//! A TCF channel to a worker in our own process, through a pair of sockets. To the worker it is a
//! channel like any other: the same accounts, bounds and rules.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use crate::client::{
    AttachOptions, Call, CallError, CallId, CreateOptions, Decoded, Incoming, Reply, interpret,
};
use crate::endpoint::{Endpoint, Heard};
use crate::id::{Door, WorkerId};
use crate::inside::workers::{ANSWER_TIMEOUT, Silent, Workers};
use crate::net;
use crate::wire::{WireError, WireLimits};
use crate::worker::Mail;

/// Bytes read at once, of what is no large block: those go into memory of their own.
const BUFFER_BYTES: usize = 8 << 10;

/// Pieces handed to the system in one call.
const SLICES_MAX: usize = 16;

/// Why a channel cannot be had, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("limits.channels_max ({0}) is reached")]
    TooMany(usize),
    #[error(transparent)]
    Silent(#[from] Silent),
    #[error("the broker is stopping")]
    Closed,
    #[error("no connection within the broker: {0}")]
    System(#[from] io::Error),
    #[error("the broker answers nonsense: {0}")]
    Nonsense(#[from] WireError),
}

/// One channel. Commands are queued by the calls named after them, which give a number; `flush`
/// sends them, `receive` gives their answers.
#[derive(Debug)]
pub(crate) struct Link {
    worker: WorkerId,
    socket: UnixStream,
    endpoint: Endpoint<Call>,
    limits: WireLimits,
    buffer: Box<[u8]>,
    /// The bytes of `buffer` that came and are not decoded.
    filled: Range<usize>,
}

/// The answer to one command.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) call: CallId,
    pub(crate) result: Result<Reply, CallError>,
}

impl Link {
    /// Opens a channel on a worker, the least loaded one where none is named. `door` and `peer` say
    /// in `/stats` and in the log whose it is.
    ///
    /// # Errors
    /// There are too many channels, or the worker takes none.
    pub(crate) async fn open(
        workers: &Workers,
        worker: Option<WorkerId>,
        door: Door,
        peer: Arc<str>,
    ) -> Result<Link, LinkError> {
        let channels_max = workers.tuning.channels_max();
        if workers.placement.total() >= channels_max {
            return Err(LinkError::TooMany(channels_max));
        }
        let (socket, ours) = net::pair()?;
        let ours = UnixStream::from_std(ours)?;
        let worker = match worker {
            Some(worker) => workers.placement.assign_to(worker),
            None => workers.placement.assign(),
        };
        let mail = Mail::Connection { socket, door, peer };
        if let Err(silent) = workers.send(worker, mail, Instant::now() + ANSWER_TIMEOUT).await {
            workers.placement.release(worker);
            return Err(silent.into());
        }
        let limits = WireLimits::default();
        Ok(Link {
            worker,
            socket: ours,
            endpoint: Endpoint::open(&["ZeroCopy", "Locator"], &limits),
            limits,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            filled: 0..0,
        })
    }

    pub(crate) fn attach(&mut self, stream: &str, options: &AttachOptions) -> CallId {
        self.endpoint.outbound.attach(stream, options)
    }

    pub(crate) fn create(&mut self, stream_type: &str, options: &CreateOptions) -> CallId {
        self.endpoint.outbound.create(stream_type, options)
    }

    pub(crate) fn read(&mut self, stream: &str, size: u64) -> CallId {
        self.endpoint.outbound.read(stream, size)
    }

    pub(crate) fn write(&mut self, stream: &str, data: Bytes) -> CallId {
        self.endpoint.outbound.write(stream, data)
    }

    pub(crate) fn eos(&mut self, stream: &str) -> CallId {
        self.endpoint.outbound.eos(stream)
    }

    pub(crate) fn sync(&mut self) -> CallId {
        self.endpoint.outbound.sync()
    }

    /// Sends what is queued, as fast as the worker takes it.
    ///
    /// # Errors
    /// The channel is over.
    pub(crate) async fn flush(&mut self) -> Result<(), LinkError> {
        let output = &mut self.endpoint.outbound.output;
        while !output.is_empty() {
            self.socket.writable().await?;
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = output.fill_slices(&mut slices);
            match self.socket.try_write_vectored(&slices[..count]) {
                Ok(sent) => output.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Err(LinkError::Closed);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The next answer. Dropped before it is there, nothing is lost.
    ///
    /// # Errors
    /// The channel is over.
    pub(crate) async fn receive(&mut self) -> Result<Answer, LinkError> {
        loop {
            if let Some(answer) = self.decode()? {
                return Ok(answer);
            }
            self.socket.readable().await?;
            let (is_direct, slice) = match self.endpoint.inbound.direct() {
                Some(block) => (true, block),
                None => (false, &mut self.buffer[..]),
            };
            match self.socket.try_read(slice) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(count) if is_direct => self.endpoint.inbound.filled(count),
                Ok(count) => self.filled = 0..count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends what is queued and waits for the answer to `call`; those to others are dropped.
    ///
    /// # Errors
    /// The channel is over, or the answer does not come.
    pub(crate) async fn wait(
        &mut self,
        call: CallId,
    ) -> Result<Result<Reply, CallError>, LinkError> {
        let silent = LinkError::Silent(Silent(self.worker));
        timeout(ANSWER_TIMEOUT, self.answer_to(call)).await.unwrap_or(Err(silent))
    }

    /// Like [`Link::wait`], but for as long as it takes: for a command that others may hold up.
    ///
    /// # Errors
    /// The channel is over.
    pub(crate) async fn answer_to(
        &mut self,
        call: CallId,
    ) -> Result<Result<Reply, CallError>, LinkError> {
        self.flush().await?;
        loop {
            let answer = self.receive().await?;
            if answer.call == call {
                return Ok(answer.result);
            }
        }
    }

    /// Ends the channel in good order, so that it does not count as broken. A worker that takes
    /// too long sees it broken after all.
    pub(crate) async fn close(mut self) {
        self.endpoint.outbound.end(None);
        let end = async {
            let _ = self.flush().await;
            while self.receive().await.is_ok() {}
            while self.socket.readable().await.is_ok() {
                match self.socket.try_read(&mut self.buffer) {
                    Ok(1..) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Ok(0) | Err(_) => break,
                }
            }
        };
        let _ = timeout(ANSWER_TIMEOUT, end).await;
    }

    /// The next answer that is here already.
    fn decode(&mut self) -> Result<Option<Answer>, LinkError> {
        loop {
            let Endpoint { inbound, outbound, .. } = &mut self.endpoint;
            let mut input = &self.buffer[self.filled.clone()];
            let decoded = match inbound.receive(&self.limits, &mut input)? {
                None => None,
                Some(Heard::End) => return Err(LinkError::Closed),
                Some(heard) => Some(interpret(heard, outbound)?),
            };
            self.filled.start = self.filled.end - input.len();
            match decoded {
                None => return Ok(None),
                Some(Decoded::Incoming(Incoming::Reply { call, result, .. })) => {
                    return Ok(Some(Answer { call, result }));
                }
                // The broker's Hello, or that the stream is gone, which the reads tell.
                Some(_) => {}
            }
        }
    }
}
