//! The receiving half of a connection.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut, Read};
use std::sync::Arc;
use std::time::Duration;

use crate::client::link::Link;
use crate::client::reply::read_reply;
use crate::client::{CallError, CallId, ClientError, Reply};
use crate::wire::{
    Arguments, ErrorReport, Frame, Framer, Header, MessageWriter, Output, WireError, WireLimits,
};

/// Bytes asked of the socket at once.
const BUFFER_BYTES: usize = 256 << 10;
/// How long the report of a peer that has ended may take.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// A reply or an event, in the order in which they came.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// The answer to a command.
    Reply {
        /// Which call.
        call: CallId,
        /// The command, as `Service.name`.
        command: &'static str,
        /// What it brought.
        result: Result<Reply, CallError>,
    },
    /// An event of the Streams service.
    Event(Event),
}

/// An event of the Streams service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stream of a subscribed type; the channel is connected to it.
    Created {
        /// Its type.
        stream_type: String,
        /// Its ID.
        id: String,
        /// The context that it belongs to.
        context: Option<String>,
    },
    /// A stream is gone for this channel.
    Disposed {
        /// Its type.
        stream_type: String,
        /// Its ID.
        id: String,
    },
}

/// Takes in what the peer sends, and answers the peer's own commands.
#[derive(Debug)]
pub struct Receiver {
    link: Arc<Link>,
    framer: Framer,
    limits: WireLimits,
    buffer: Box<[u8]>,
    /// The bytes of `buffer` that came and are not decoded.
    filled: std::ops::Range<usize>,
    /// What came while a certain reply was waited for.
    backlog: VecDeque<Incoming>,
    /// How long the socket waits; `None` for ever.
    patience: Option<Duration>,
}

/// What one message came to.
enum Decoded {
    Incoming(Incoming),
    Hello(Vec<String>),
    Nothing,
}

impl Receiver {
    pub(super) fn new(link: Arc<Link>) -> Receiver {
        // A list of very many streams is one argument; the peer is one that we chose.
        let limits = WireLimits { argument_bytes_max: 32 << 20, ..WireLimits::default() };
        Receiver {
            link,
            framer: Framer::new(limits.clone()),
            limits,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            filled: 0..0,
            backlog: VecDeque::new(),
            patience: None,
        }
    }

    /// The next reply or event, waiting for it.
    pub fn receive(&mut self) -> Result<Incoming, ClientError> {
        loop {
            if let Some(incoming) = self.buffered()? {
                return Ok(incoming);
            }
            self.fill()?;
        }
    }

    /// The next reply or event that is here already. `None`: more bytes are needed, see
    /// [`Receiver::fill`]; the moment to send and flush what was put off.
    pub fn buffered(&mut self) -> Result<Option<Incoming>, ClientError> {
        if let Some(incoming) = self.backlog.pop_front() {
            return Ok(Some(incoming));
        }
        self.decode_incoming()
    }

    /// Waits for bytes of the peer.
    pub fn fill(&mut self) -> Result<(), ClientError> {
        self.set_patience(None)?;
        self.fill_now()
    }

    fn set_patience(&mut self, patience: Option<Duration>) -> Result<(), ClientError> {
        if self.patience != patience {
            self.link.socket.set_read_timeout(patience).map_err(ClientError::Disconnected)?;
            self.patience = patience;
        }
        Ok(())
    }

    fn fill_now(&mut self) -> Result<(), ClientError> {
        if !self.filled.is_empty() {
            return Ok(());
        }
        let mut socket = &self.link.socket;
        let read = loop {
            let result = match self.framer.direct() {
                Some(block) => {
                    let mut slices = [IoSliceMut::new(block), IoSliceMut::new(&mut self.buffer)];
                    socket.read_vectored(&mut slices)
                }
                None => socket.read(&mut self.buffer),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(ClientError::Disconnected)?,
            }
        };
        if read == 0 {
            return Err(ClientError::Disconnected(io::ErrorKind::UnexpectedEof.into()));
        }
        let direct = match self.framer.direct() {
            Some(block) => block.len().min(read),
            None => 0,
        };
        if direct > 0 {
            self.framer.filled(direct);
        }
        self.filled = 0..read - direct;
        Ok(())
    }

    /// Waits for bytes of the peer, but no longer than `patience` (not zero). Whether some came.
    pub fn fill_within(&mut self, patience: Duration) -> Result<bool, ClientError> {
        self.set_patience(Some(patience))?;
        match self.fill_now() {
            Err(ClientError::Disconnected(error))
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                Ok(false)
            }
            result => result.map(|()| true),
        }
    }

    /// Waits for the reply to `call`; what comes before it is kept for [`Receiver::receive`].
    pub fn wait(&mut self, call: CallId) -> Result<Reply, ClientError> {
        let is_it =
            |incoming: &Incoming| matches!(incoming, Incoming::Reply { call: c, .. } if *c == call);
        if let Some(place) = self.backlog.iter().position(is_it)
            && let Some(Incoming::Reply { result, .. }) = self.backlog.remove(place)
        {
            return Ok(result?);
        }
        loop {
            match self.decode_incoming()? {
                Some(Incoming::Reply { call: c, result, .. }) if c == call => return Ok(result?),
                Some(other) => self.backlog.push_back(other),
                None => self.fill()?,
            }
        }
    }

    /// Waits for an event; replies that come before it are kept for [`Receiver::receive`].
    pub fn wait_event(&mut self) -> Result<Event, ClientError> {
        let is_event = |incoming: &Incoming| matches!(incoming, Incoming::Event(_));
        if let Some(place) = self.backlog.iter().position(is_event)
            && let Some(Incoming::Event(event)) = self.backlog.remove(place)
        {
            return Ok(event);
        }
        loop {
            match self.decode_incoming()? {
                Some(Incoming::Event(event)) => return Ok(event),
                Some(other) => self.backlog.push_back(other),
                None => self.fill()?,
            }
        }
    }

    /// Discards what the peer sends until it has ended too, or has been silent for `patience`. The
    /// last thing to do with a channel after [`Sender::end`](crate::client::Sender::end).
    pub fn drain(mut self, patience: Duration) -> Result<(), ClientError> {
        self.backlog.clear();
        loop {
            let step = match self.decode_incoming() {
                Ok(Some(_)) => Ok(true),
                Ok(None) => self.fill_within(patience),
                Err(error) => Err(error),
            };
            match step {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(ClientError::Closed { report: None } | ClientError::Disconnected(_)) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the peer's Hello and gives the names of its services.
    pub(super) fn receive_hello(&mut self) -> Result<Vec<String>, ClientError> {
        loop {
            match self.decode()? {
                Some(Decoded::Hello(services)) => return Ok(services),
                Some(Decoded::Incoming(incoming)) => self.backlog.push_back(incoming),
                Some(Decoded::Nothing) => {}
                None => self.fill()?,
            }
        }
    }

    fn decode_incoming(&mut self) -> Result<Option<Incoming>, ClientError> {
        loop {
            match self.decode()? {
                Some(Decoded::Incoming(incoming)) => return Ok(Some(incoming)),
                // A second Hello changes nothing without a redirect, which we never ask for.
                Some(Decoded::Hello(_) | Decoded::Nothing) => {}
                None => return Ok(None),
            }
        }
    }

    fn decode(&mut self) -> Result<Option<Decoded>, ClientError> {
        let mut input = &self.buffer[self.filled.clone()];
        let decoded = match self.framer.decode(&mut input)? {
            Some(Frame::Message(body)) => {
                let (header, arguments) = body.open(&self.limits)?;
                Some(interpret(&self.link, header, arguments)?)
            }
            Some(Frame::EndOfStream) => {
                let rest = input.to_vec();
                return Err(ClientError::Closed { report: self.closing_report(&rest) });
            }
            None => None,
        };
        self.filled.start = self.filled.end - input.len();
        Ok(decoded)
    }

    /// Reads the report behind the peer's end of stream, of which `rest` is here. What goes wrong
    /// now matters no more.
    fn closing_report(&mut self, rest: &[u8]) -> Option<String> {
        self.link.socket.set_read_timeout(Some(REPORT_TIMEOUT)).ok()?;
        // The report has no header; with one of an event it can be read as a message.
        let mut bytes = b"E\0Locator\0closed\0".to_vec();
        bytes.extend_from_slice(rest);
        let mut framer = Framer::new(self.limits.clone());
        loop {
            if let Some(Frame::Message(body)) = framer.decode(&mut &bytes[..]).ok()? {
                let (_, mut arguments) = body.open(&self.limits).ok()?;
                return ErrorReport::describe(&arguments.json().ok()?);
            }
            bytes.resize(4096, 0);
            let read = (&self.link.socket).read(&mut bytes).ok().filter(|&read| read > 0)?;
            bytes.truncate(read);
        }
    }
}

fn interpret(
    link: &Link,
    header: Header<'_>,
    arguments: Arguments<'_>,
) -> Result<Decoded, WireError> {
    match header {
        Header::Reply { token } => {
            let (id, call) = link.take_call(&token).ok_or_else(|| unknown_token(&token))?;
            let result = read_reply(call.command, call.form, arguments)?;
            Ok(Decoded::Incoming(Incoming::Reply { call: id, command: call.command, result }))
        }
        Header::NotRecognized { token } => {
            let (id, call) = link.take_call(&token).ok_or_else(|| unknown_token(&token))?;
            let error = CallError {
                command: call.command,
                code: CallError::NOT_RECOGNIZED,
                text: "the peer does not know this command".to_owned(),
            };
            Ok(Decoded::Incoming(Incoming::Reply {
                call: id,
                command: call.command,
                result: Err(error),
            }))
        }
        Header::Event { service, name } => interpret_event(&service, &name, arguments),
        Header::Command { token, service, name } => {
            link.queue(|output, zero_copy| answer(output, zero_copy, &token, &service, &name));
            // A broken socket shows at the next read.
            let _ = link.flush_unless_busy();
            Ok(Decoded::Nothing)
        }
        Header::Progress { .. } | Header::FlowControl { .. } => Ok(Decoded::Nothing),
    }
}

fn interpret_event(
    service: &[u8],
    name: &[u8],
    mut arguments: Arguments<'_>,
) -> Result<Decoded, WireError> {
    let event = match (service, name) {
        (b"Locator", b"Hello") => {
            let services = arguments.json()?;
            let names = services.as_array().map(Vec::as_slice).unwrap_or_default();
            let names = names.iter().filter_map(|name| name.as_str().map(str::to_owned));
            return Ok(Decoded::Hello(names.collect()));
        }
        (b"Streams", b"created") => {
            let stream_type = arguments.string()?.into_owned();
            let id = arguments.string()?.into_owned();
            // The first version of the service had no context.
            let context = match arguments.is_empty() {
                true => None,
                false => arguments.optional_string()?.map(|context| context.into_owned()),
            };
            Event::Created { stream_type, id, context }
        }
        (b"Streams", b"disposed") => {
            let stream_type = arguments.string()?.into_owned();
            Event::Disposed { stream_type, id: arguments.string()?.into_owned() }
        }
        _ => return Ok(Decoded::Nothing),
    };
    Ok(Decoded::Incoming(Incoming::Event(event)))
}

/// Answers a command of the peer: `Locator.sync`, which every peer must know, and nothing else.
fn answer(output: &mut Output, zero_copy: bool, token: &[u8], service: &[u8], name: &[u8]) {
    if (service, name) == (b"Locator", b"sync") {
        MessageWriter::reply(output, zero_copy, token).error(None).end();
    } else {
        MessageWriter::not_recognized(output, token);
    }
}

fn unknown_token(token: &[u8]) -> WireError {
    WireError::Protocol(format!("a reply to no command, token {}", token.escape_ascii()))
}
