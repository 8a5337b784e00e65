//! Starts and stops the whole: binds, spawns the named threads, waits for a signal, drains.
//!
//! Everything is bound before anything is spawned, so that a server which cannot start leaves
//! nothing behind. The room knows no stream. `start` wires the threads, `acceptor` is the one that
//! accepts, `refusals` what it does with those it cannot take, `signals` the one that listens to
//! the system; the workers are in `worker`, HTTP in `admin`.

mod acceptor;
mod bind;
mod fatal;
mod identity;
mod refusals;
mod signals;
mod start;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread::JoinHandle;
use tracing::{info, warn};

use crate::admin::Control;
use crate::config::{Address, Changes, Settings};
use crate::time::{Clock, Instant};
use crate::worker::{Doorbell, Phase, PhaseFlag, Placement, Tuning, Wake};

use signals::SignalWatch;

/// Why the server did not start. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program listens there.
    #[error(
        "{address} is taken: another program listens there (a TCF agent, another weir); {remedy}"
    )]
    Taken {
        /// Where.
        address: Address,
        /// What to do.
        remedy: String,
    },
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}{}", remedy(source))]
    Bind {
        /// Where.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// A thread or a poller is not to be had.
    #[error("cannot start {what}: {source}")]
    System {
        /// What is missing.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What to do where an address cannot be bound.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "; it is not an address of this machine: 127.0.0.1 always is"
        }
        io::ErrorKind::PermissionDenied => "; give a port above 1023, or the right to use this one",
        _ => "",
    }
}

/// Where the server really listens (a port 0 is replaced by the one that was free).
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// TCF, in the order of the settings; a host name may stand for several.
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

/// A running server. Dropped, it stops at once.
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    clock: Clock,
    /// What it runs with.
    settings: Settings,
    tuning: Arc<Tuning>,
    phase: Arc<PhaseFlag>,
    placement: Arc<Placement>,
    /// Of every thread that looks at the phase.
    bells: Vec<Arc<Doorbell>>,
    /// Our own.
    bell: Arc<Doorbell>,
    rung: Receiver<()>,
    threads: Vec<JoinHandle<()>>,
    control: Option<Control>,
    signals: Option<SignalWatch>,
}

/// Wakes whoever waits for the server, on whatever thread that is.
struct WakeServer(SyncSender<()>);

impl Wake for WakeServer {
    fn wake(&self) {
        // Full: the wake-up is on its way already. Closed: nobody waits.
        let _ = self.0.try_send(());
    }
}

impl Server {
    /// Binds all addresses, then starts the threads. When it returns, connections are accepted.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start(settings: Settings) -> Result<Server, StartError> {
        start::start(settings)
    }

    /// Where the server really listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Takes SIGTERM, SIGINT and SIGHUP over, so that one which comes before [`Server::wait`] is
    /// not missed. Call it before telling anybody that the server is up.
    ///
    /// # Errors
    /// What the system says.
    pub fn catch_signals(&mut self) -> io::Result<()> {
        if self.signals.is_none() {
            self.signals = Some(SignalWatch::start(Arc::clone(&self.bell))?);
        }
        Ok(())
    }

    /// Blocks until SIGTERM or SIGINT, then drains: accepts nothing more, ends every channel with
    /// what it has pending answered. A second signal, or the drain timeout, cuts it short. Calls
    /// `reload` after a SIGHUP, or after several that came at once.
    ///
    /// # Errors
    /// Signals cannot be caught.
    pub fn wait(mut self, mut reload: impl FnMut(&mut Server)) -> io::Result<Ended> {
        self.catch_signals()?;
        let mut reloads = 0;
        while self.signal_count() == 0 {
            let asked = self.signals.as_ref().map_or(0, SignalWatch::reloads);
            if asked != reloads {
                reloads = asked;
                reload(&mut self);
            }
            self.sleep(None);
        }
        Ok(self.stop())
    }

    /// Takes over from new settings what can change while the server runs, and says what that was.
    pub fn take_over(&mut self, settings: Settings) -> Changes {
        let changes = self.settings.take_over(settings);
        self.tuning.change(self.settings.worker_limits(), self.settings.limits.channels_max);
        for bell in &self.bells {
            bell.ring();
        }
        if let Some(control) = &self.control {
            control.change(self.settings.http_timeouts());
        }
        changes
    }

    /// Drains at once, and returns when all threads have ended.
    pub fn stop(self) -> Ended {
        let signals_before = self.signal_count();
        info!(channels = self.placement.total(), "draining");
        self.advance(Phase::Draining);
        let deadline = self.clock.now().instant.plus(self.settings.limits.drain_timeout);
        let ended = loop {
            if self.placement.total() == 0 {
                break Ended::Drained;
            }
            if self.signal_count() > signals_before || self.clock.now().instant >= deadline {
                warn!(channels = self.placement.total(), "drain cut short");
                break Ended::CutShort;
            }
            self.sleep(Some(deadline));
        };
        drop(self);
        info!("stopped");
        ended
    }

    fn advance(&self, phase: Phase) {
        self.phase.advance(phase);
        for bell in &self.bells {
            bell.ring();
        }
    }

    /// Waits until somebody rings, or the deadline is over.
    fn sleep(&self, deadline: Option<Instant>) {
        if self.bell.may_rest() {
            match deadline {
                None => {
                    let _ = self.rung.recv();
                }
                Some(deadline) => {
                    let timeout = deadline.since(self.clock.now().instant);
                    let _ = self.rung.recv_timeout(timeout);
                }
            }
        }
        self.bell.begin_turn();
    }

    fn signal_count(&self) -> usize {
        self.signals.as_ref().map_or(0, SignalWatch::count)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.advance(Phase::Stopping);
        if let Some(control) = self.control.take() {
            control.stop();
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has taken the process with it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
