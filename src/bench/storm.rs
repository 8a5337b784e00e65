//! A storm of connections: open, Hello, close, again and again.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use memchr::memmem;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::Serialize;

use crate::bench::report::Times;
use crate::bench::tcf::{END, Setup, hello};
use crate::bench::{BenchError, Percentiles, ProcessSample, Span};
use crate::time::{Clock, Instant};

/// The end of a message, here of the peer's Hello.
const EOM: &[u8] = b"\x03\x01";
/// The most that a Hello may be.
const HELLO_BYTES_MAX: usize = 64 << 10;
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a storm of connections has shown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StormReport {
    /// Connections at once.
    pub at_once: usize,
    /// Time measured, in seconds.
    pub seconds: f64,
    /// Channels opened and closed in good order in that time.
    pub channels: u64,
    /// Channels a second.
    pub channels_per_second: f64,
    /// From connecting until the peer's Hello is there.
    pub hello: Percentiles,
    /// From connecting until the peer has ended the channel after us.
    pub life: Percentiles,
    /// Processor time of the peer for a channel, in microseconds, if its process was named.
    pub server_cpu_us_per_channel: Option<f64>,
    /// The most memory that the peer ever had, in bytes, likewise.
    pub server_peak_resident_bytes: Option<u64>,
}

/// Opens and closes channels, `at_once` at a time. [`Span::Writes`] counts channels.
///
/// # Errors
/// What went wrong.
pub fn storm(
    address: SocketAddr,
    at_once: usize,
    span: Span,
    pid: Option<u32>,
) -> Result<StormReport, BenchError> {
    // Who is no TCF peer is told so, where a storm would only be stuck.
    Setup::open(address, true)?.end();
    let mut storm = Storm {
        address,
        poll: Poll::new()?,
        clock: Clock::start(),
        visits: Vec::new(),
        left: match span {
            Span::Time { .. } => u64::MAX,
            Span::Writes(count) => count,
        },
        closed: 0,
        hello: Times::new(),
        life: Times::new(),
    };
    storm.go(at_once, span, pid)
}

struct Storm {
    address: SocketAddr,
    poll: Poll,
    clock: Clock,
    /// The connections by their number; a closed one leaves its place to the next.
    visits: Vec<Option<Visit>>,
    /// Channels to be opened yet.
    left: u64,
    closed: u64,
    hello: Times,
    life: Times,
}

/// One short connection.
struct Visit {
    socket: TcpStream,
    began: Instant,
    received: Vec<u8>,
    has_said_hello: bool,
    is_ending: bool,
}

impl Storm {
    fn go(
        &mut self,
        at_once: usize,
        span: Span,
        pid: Option<u32>,
    ) -> Result<StormReport, BenchError> {
        let mut now = self.clock.now().instant;
        for key in 0..at_once {
            self.visits.push(None);
            self.begin(key, now)?;
        }
        let (warm_up, measured) = match span {
            Span::Time { warm_up, measured } => (warm_up, measured),
            Span::Writes(_) => (Duration::ZERO, Duration::MAX),
        };
        let warm_at = now.plus(warm_up);
        let end_at = warm_at.plus(measured);
        let (mut from_at, mut from) = (now, pid.and_then(ProcessSample::take));
        let mut is_warm = warm_up.is_zero();
        let mut before = 0;
        let mut moved = (now, 0);
        let mut events = Events::with_capacity(1024);
        while now < end_at && self.visits.iter().any(Option::is_some) {
            let wait = if is_warm { end_at.since(now) } else { warm_at.since(now) };
            if let Err(error) = self.poll.poll(&mut events, Some(wait.min(PATIENCE)))
                && error.kind() != io::ErrorKind::Interrupted
            {
                return Err(error.into());
            }
            now = self.clock.now().instant;
            for event in &events {
                self.go_on(event.token().0, now)?;
            }
            if !is_warm && now >= warm_at {
                (is_warm, from_at, before) = (true, now, self.closed);
                from = pid.and_then(ProcessSample::take);
                self.hello.clear();
                self.life.clear();
            }
            if self.closed > moved.1 {
                moved = (now, self.closed);
            } else if now.since(moved.0) > PATIENCE {
                return Err(BenchError::Stuck("no channel was closed".to_owned()));
            }
        }
        let channels = self.closed - before;
        let seconds = now.since(from_at).as_secs_f64().max(1e-9);
        let to = pid.and_then(ProcessSample::take);
        let spent = from.zip(to).map(|(from, to)| to.cpu_seconds - from.cpu_seconds);
        Ok(StormReport {
            at_once,
            seconds,
            channels,
            channels_per_second: channels as f64 / seconds,
            hello: self.hello.percentiles(),
            life: self.life.percentiles(),
            server_cpu_us_per_channel: spent.map(|spent| spent * 1e6 / channels.max(1) as f64),
            server_peak_resident_bytes: to.map(|sample| sample.peak_bytes),
        })
    }

    fn begin(&mut self, key: usize, now: Instant) -> Result<(), BenchError> {
        if self.left == 0 {
            self.visits[key] = None;
            return Ok(());
        }
        self.left -= 1;
        let mut socket = TcpStream::connect(self.address).map_err(|error| self.refused(error))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut socket, Token(key), interest)?;
        self.visits[key] = Some(Visit {
            socket,
            began: now,
            received: Vec::new(),
            has_said_hello: false,
            is_ending: false,
        });
        Ok(())
    }

    fn refused(&self, error: io::Error) -> BenchError {
        BenchError::Unreachable { address: self.address.to_string(), error }
    }

    fn go_on(&mut self, key: usize, now: Instant) -> Result<(), BenchError> {
        let Some(visit) = &mut self.visits[key] else { return Ok(()) };
        if !visit.has_said_hello {
            if let Some(error) = visit.socket.take_error()? {
                return Err(self.refused(error));
            }
            match visit.socket.peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(self.refused(error)),
                Ok(_) => {}
            }
            visit.socket.set_nodelay(true)?;
            // A fresh socket has room for these few bytes.
            visit.socket.write_all(&hello(true))?;
            visit.has_said_hello = true;
        }
        let is_over = visit.read()?;
        if !visit.is_ending && memmem::find(&visit.received, EOM).is_some() {
            self.hello.record(now.since(visit.began));
            visit.is_ending = true;
            visit.socket.write_all(END)?;
            visit.socket.shutdown(Shutdown::Write)?;
        }
        if !is_over {
            return Ok(());
        }
        if !visit.is_ending {
            return Err(BenchError::Closed { report: None });
        }
        self.life.record(now.since(visit.began));
        self.closed += 1;
        // Both ends are said. A reset now leaves no port waiting, of which there are few.
        socket2::SockRef::from(&visit.socket).set_linger(Some(Duration::ZERO))?;
        self.begin(key, now)
    }
}

impl Visit {
    /// Receives what is there. `true`: the peer has ended the connection.
    fn read(&mut self) -> Result<bool, BenchError> {
        let mut buf = [0; 4096];
        loop {
            match self.socket.read(&mut buf) {
                Ok(0) => return Ok(true),
                Ok(count) if self.received.len() < HELLO_BYTES_MAX => {
                    self.received.extend_from_slice(&buf[..count]);
                }
                Ok(_) => return Err(BenchError::Misbehaved("a Hello without an end".to_owned())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
