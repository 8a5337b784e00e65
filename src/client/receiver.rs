//! The receiving half of a connection.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut, Read};
use std::sync::Arc;
use std::time::Duration;

use crate::client::incoming::Decoded;
use crate::client::joint::Joint;
use crate::client::{CallId, ClientError, Event, Incoming, Reply};
use crate::endpoint::{ClosingReport, Heard, Inbound};
use crate::wire::WireLimits;

/// Bytes asked of the socket at once.
const BUFFER_BYTES: usize = 256 << 10;
/// How long the report of a peer that has ended may take.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Takes in what the peer sends, and answers the peer's own commands.
#[derive(Debug)]
pub struct Receiver {
    joint: Arc<Joint>,
    inbound: Inbound,
    limits: WireLimits,
    buffer: Box<[u8]>,
    /// The bytes of `buffer` that came and are not decoded.
    filled: std::ops::Range<usize>,
    /// What came while a certain reply was waited for.
    backlog: VecDeque<Incoming>,
    /// How long the socket waits; `None` for ever.
    patience: Option<Duration>,
}

impl Receiver {
    pub(super) fn new(joint: Arc<Joint>, inbound: Inbound, limits: WireLimits) -> Receiver {
        Receiver {
            joint,
            inbound,
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
            self.joint.socket.set_read_timeout(patience).map_err(ClientError::Disconnected)?;
            self.patience = patience;
        }
        Ok(())
    }

    fn fill_now(&mut self) -> Result<(), ClientError> {
        if !self.filled.is_empty() {
            return Ok(());
        }
        let mut socket = &self.joint.socket;
        let read = loop {
            let result = match self.inbound.direct() {
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
        let direct = match self.inbound.direct() {
            Some(block) => block.len().min(read),
            None => 0,
        };
        if direct > 0 {
            self.inbound.filled(direct);
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
        let heard = self.inbound.receive(&self.limits, &mut input)?;
        let is_end = matches!(heard, Some(Heard::End));
        let is_command = matches!(heard, Some(Heard::Command { .. } | Heard::EarlyCommand { .. }));
        let decoded = heard.map(|heard| self.joint.interpret(heard)).transpose()?;
        self.filled.start = self.filled.end - input.len();
        if is_end {
            return Err(ClientError::Closed { report: self.closing_report() });
        }
        if is_command {
            // A broken socket shows at the next read.
            let _ = self.joint.flush_unless_busy();
        }
        Ok(decoded)
    }

    /// Reads the report behind the peer's end of stream. What goes wrong now matters no more.
    fn closing_report(&mut self) -> Option<String> {
        self.joint.socket.set_read_timeout(Some(REPORT_TIMEOUT)).ok()?;
        let mut report = ClosingReport::new(&self.limits);
        loop {
            if let Some(text) = report.receive(&self.buffer[self.filled.clone()]) {
                return text;
            }
            let read = (&self.joint.socket).read(&mut self.buffer).ok().filter(|&read| read > 0)?;
            self.filled = 0..read;
        }
    }
}
