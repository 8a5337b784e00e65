//! What a worker waits in, and what it reads the time from.

use std::io;
use std::time::Duration;

use crate::net::{Conn, Socket};
use crate::time::{Clock, Now};
use crate::transport::{Plain, Readiness, Transport};
use crate::worker::budget::READINESS_PER_TURN;

/// The token of the worker's waker; no session's key is ever this.
pub const WAKE: mio::Token = mio::Token(usize::MAX);

/// Readiness of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The key that it was opened under.
    pub key: usize,
    /// What has come about.
    pub readiness: Readiness,
}

/// What lies outside of a worker, but for the mailboxes: the system, or a simulation of it.
pub trait Poller {
    /// What a new connection comes as.
    type Socket: std::fmt::Debug;
    /// What carries its bytes.
    type Transport: Transport + std::fmt::Debug;

    /// Reads the clock.
    fn now(&self) -> Now;

    /// Waits until a connection is ready, the worker's bell rings, or `timeout` is over (`None`:
    /// never), and adds to `ready` what has come about since the last time.
    ///
    /// # Errors
    /// The system's poller fails.
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;

    /// Takes a new connection on, whose readiness is told under `key` as long as its transport
    /// lives.
    ///
    /// # Errors
    /// What the system says (the peer may be gone already).
    fn open(&mut self, socket: Self::Socket, key: usize) -> io::Result<Self::Transport>;
}

/// The system.
#[derive(Debug)]
pub struct SystemPoller {
    poll: mio::Poll,
    events: mio::Events,
    clock: Clock,
}

impl SystemPoller {
    /// Waits in `poll`, whose waker is under [`WAKE`].
    pub fn new(poll: mio::Poll, clock: Clock) -> SystemPoller {
        SystemPoller { poll, events: mio::Events::with_capacity(READINESS_PER_TURN), clock }
    }
}

impl Poller for SystemPoller {
    type Socket = Socket;
    type Transport = Plain;

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            outcome => outcome?,
        }
        let events = self.events.iter().filter(|event| event.token() != WAKE);
        ready.extend(events.map(|event| Ready {
            key: event.token().0,
            readiness: Readiness {
                readable: event.is_readable(),
                writable: event.is_writable(),
                end: event.is_read_closed(),
                broken: event.is_error(),
                urgent: event.is_priority(),
            },
        }));
        Ok(())
    }

    fn open(&mut self, socket: Socket, key: usize) -> io::Result<Plain> {
        let mut conn = Conn::new(socket)?;
        conn.register(self.poll.registry(), mio::Token(key))?;
        Ok(Plain::new(conn))
    }
}
