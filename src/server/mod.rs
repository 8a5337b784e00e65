//! Starts and stops the whole: binds, spawns the named threads, waits for a signal, drains.
//!
//! Everything is bound before anything is spawned, so that a server which cannot start leaves nothing
//! behind. The room knows no message and no stream.

use std::io;
use std::net::SocketAddr;

use crate::config::{Address, Settings};

/// Why the server did not start. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program listens there.
    #[error(
        "{address} is taken: another program listens there (a TCF agent or another weir?); {remedy}"
    )]
    Taken {
        /// Where.
        address: Address,
        /// What to do.
        remedy: String,
    },
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// A thread, a poller or a signal handler is not to be had.
    #[error("cannot start {what}: {source}")]
    System {
        /// What is missing.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Where the server really listens (a port 0 is replaced by the one that was free).
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// TCF, in the order of the settings.
    pub tcf: Vec<SocketAddr>,
    /// HTTP, unless it is off.
    pub http: Option<SocketAddr>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every channel was closed in good order.
    Drained,
    /// The drain timeout was over, or a second signal came, before all were.
    CutShort,
}

/// A running server.
#[derive(Debug)]
pub struct Server {}

impl Server {
    /// Binds all addresses, then starts the threads. When it returns, connections are accepted.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start(settings: Settings) -> Result<Server, StartError> {
        let _ = settings;
        unimplemented!()
    }

    /// Where the server really listens.
    pub fn addresses(&self) -> &Addresses {
        unimplemented!()
    }

    /// Takes SIGTERM and SIGINT over, so that one which comes before [`Server::wait`] is not missed. Call
    /// it before telling anybody that the server is up.
    ///
    /// # Errors
    /// What the system says.
    pub fn catch_signals(&mut self) -> io::Result<()> {
        unimplemented!()
    }

    /// Blocks until SIGTERM or SIGINT, then drains: accepts nothing more, ends every channel with what it
    /// has pending answered. A second signal, or the drain timeout, cuts it short.
    ///
    /// # Errors
    /// Signals cannot be caught.
    pub fn wait(self) -> io::Result<Ended> {
        unimplemented!()
    }

    /// Drains at once, and returns when all threads have ended.
    pub fn stop(self) -> Ended {
        unimplemented!()
    }
}
