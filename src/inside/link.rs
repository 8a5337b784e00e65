//! A TCF channel to a worker in our own process, through a pair of sockets. To the worker it is a
//! channel like any other: the same accounts, bounds and rules.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use crate::client::{CallError, Reply, ReplyForm, read_reply};
use crate::id::{Door, WorkerId};
use crate::inside::workers::{ANSWER_TIMEOUT, Silent, Workers};
use crate::net;
use crate::wire::{Arguments, Frame, Framer, Header, MessageWriter, Output, WireError, WireLimits};
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

/// A command that waits for its reply.
#[derive(Debug)]
struct Pending {
    call: u64,
    command: &'static str,
    form: ReplyForm,
}

/// One channel. Commands are queued by the calls named after them, which give a number; `flush`
/// sends them, `receive` gives their answers.
#[derive(Debug)]
pub(crate) struct Link {
    worker: WorkerId,
    socket: UnixStream,
    framer: Framer,
    limits: WireLimits,
    buffer: Box<[u8]>,
    /// The bytes of `buffer` that came and are not decoded.
    filled: Range<usize>,
    output: Output,
    /// Bounded by what its user has under way.
    pending: VecDeque<Pending>,
    last_call: u64,
}

/// The answer to one command.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) call: u64,
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
        let mut output = Output::default();
        let services = Value::from(vec!["ZeroCopy", "Locator"]);
        MessageWriter::event(&mut output, false, "Locator", "Hello").json(&services).end();
        Ok(Link {
            worker,
            socket: ours,
            framer: Framer::new(limits.clone()),
            limits,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            filled: 0..0,
            output,
            pending: VecDeque::new(),
            last_call: 0,
        })
    }

    /// Queues a command, `Service.name`. The broker takes binary data as it is.
    fn command(
        &mut self,
        command: &'static str,
        form: ReplyForm,
        arguments: impl FnOnce(MessageWriter<'_>) -> MessageWriter<'_>,
    ) -> u64 {
        let (service, name) = command.split_once('.').expect("commands are Service.name");
        self.last_call += 1;
        let call = self.last_call;
        self.pending.push_back(Pending { call, command, form });
        let mut digits = itoa::Buffer::new();
        let token = digits.format(call).as_bytes();
        arguments(MessageWriter::command(&mut self.output, true, token, service, name)).end();
        call
    }

    pub(crate) fn attach(&mut self, stream: &str, options: &impl Serialize) -> u64 {
        let options = serde_json::to_value(options).expect("options make JSON");
        self.command("StreamBroker.attach", ReplyForm::Attached, |writer| {
            writer.string(stream).json(&options)
        })
    }

    pub(crate) fn create(&mut self, stream_type: &str, options: &impl Serialize) -> u64 {
        let options = serde_json::to_value(options).expect("options make JSON");
        self.command("StreamBroker.create", ReplyForm::Created, |writer| {
            writer.string(stream_type).json(&options)
        })
    }

    pub(crate) fn read(&mut self, stream: &str, size: u64) -> u64 {
        self.command("Streams.read", ReplyForm::Read, |writer| writer.string(stream).integer(size))
    }

    pub(crate) fn write(&mut self, stream: &str, data: Bytes) -> u64 {
        self.command("Streams.write", ReplyForm::Done, |writer| {
            writer.string(stream).integer(data.len() as u64).binary(&[data])
        })
    }

    pub(crate) fn eos(&mut self, stream: &str) -> u64 {
        self.command("Streams.eos", ReplyForm::Done, |writer| writer.string(stream))
    }

    pub(crate) fn sync(&mut self) -> u64 {
        self.command("Locator.sync", ReplyForm::Done, |writer| writer)
    }

    /// Sends what is queued, as fast as the worker takes it.
    ///
    /// # Errors
    /// The channel is over.
    pub(crate) async fn flush(&mut self) -> Result<(), LinkError> {
        while !self.output.is_empty() {
            self.socket.writable().await?;
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.output.fill_slices(&mut slices);
            match self.socket.try_write_vectored(&slices[..count]) {
                Ok(sent) => self.output.advance(sent),
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
            let (is_direct, slice) = match self.framer.direct() {
                Some(block) => (true, block),
                None => (false, &mut self.buffer[..]),
            };
            match self.socket.try_read(slice) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(count) if is_direct => self.framer.filled(count),
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
    pub(crate) async fn wait(&mut self, call: u64) -> Result<Result<Reply, CallError>, LinkError> {
        let silent = LinkError::Silent(Silent(self.worker));
        let answer = async {
            self.flush().await?;
            loop {
                let answer = self.receive().await?;
                if answer.call == call {
                    return Ok(answer.result);
                }
            }
        };
        timeout(ANSWER_TIMEOUT, answer).await.unwrap_or(Err(silent))
    }

    /// Ends the channel in good order, so that it does not count as broken. A worker that takes
    /// too long sees it broken after all.
    pub(crate) async fn close(mut self) {
        MessageWriter::end_of_stream(&mut self.output, None);
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
            let mut input = &self.buffer[self.filled.clone()];
            let decoded = match self.framer.decode(&mut input)? {
                None => None,
                Some(Frame::EndOfStream) => return Err(LinkError::Closed),
                Some(Frame::Message(body)) => {
                    let (header, arguments) = body.open(&self.limits)?;
                    Some(read_answer(&mut self.pending, &header, arguments)?)
                }
            };
            self.filled.start = self.filled.end - input.len();
            match decoded {
                None => return Ok(None),
                Some(Some(answer)) => return Ok(Some(answer)),
                // An event: the broker's Hello, or that the stream is gone, which the reads tell.
                Some(None) => {}
            }
        }
    }
}

fn read_answer(
    pending: &mut VecDeque<Pending>,
    header: &Header<'_>,
    arguments: Arguments<'_>,
) -> Result<Option<Answer>, WireError> {
    let token = match header {
        Header::Event { .. } => return Ok(None),
        Header::Reply { token } => token,
        _ => return Err(WireError::Protocol("neither a reply nor an event".to_owned())),
    };
    let call = std::str::from_utf8(token).ok().and_then(|text| text.parse().ok());
    let place = pending.iter().position(|pending| Some(pending.call) == call);
    let Some(pending) = place.and_then(|place| pending.remove(place)) else {
        return Err(WireError::Protocol("a reply to nothing".to_owned()));
    };
    let result = read_reply(pending.command, pending.form, arguments)?;
    Ok(Some(Answer { call: pending.call, result }))
}
