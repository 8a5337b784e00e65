//! The thread that accepts connections and hands each to the least loaded worker.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::id::{Door, WorkerId};
use crate::net::{AcceptError, Listener, Socket};
use crate::server::refusals::Refusals;
use crate::time::{Clock, Instant};
use crate::worker::{Doorbell, Mail, Outbox, Phase, PhaseFlag, Placement, Refused, Tuning, WAKE};

/// How long to wait when the process or the machine has no file descriptor left, nor one set aside.
/// The connections that wait stay in the kernel's backlog.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Connections accepted from one listener before the others are looked at.
const ACCEPTS_PER_TURN: usize = 64;

/// What the acceptor works with.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pub(crate) clock: Clock,
    pub(crate) poll: mio::Poll,
    pub(crate) bell: Arc<Doorbell>,
    pub(crate) listeners: Vec<Listener>,
    /// By worker.
    pub(crate) outboxes: Vec<Outbox<Mail>>,
    pub(crate) placement: Arc<Placement>,
    pub(crate) phase: Arc<PhaseFlag>,
    /// Where the bound on open connections is.
    pub(crate) tuning: Arc<Tuning>,
}

/// What it remembers from one turn to the next.
#[derive(Debug)]
struct Progress {
    /// By listener: whether connections may wait. Readiness is edge-triggered.
    is_ready: Vec<bool>,
    /// A connection whose worker's mailbox was full. Nothing is accepted until it is handed over.
    held: Option<(WorkerId, Mail)>,
    /// When to try again after file descriptors ran out.
    retry_at: Option<Instant>,
    /// How often they did.
    exhausted: u64,
    /// Connections refused because there were too many.
    refused: u64,
    /// Refused ones that are not closed yet.
    refusals: Refusals,
}

impl Acceptor {
    /// Accepts until the server drains.
    ///
    /// # Errors
    /// The system's poller fails.
    pub(crate) fn run(mut self) -> io::Result<()> {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            listener.register(self.poll.registry(), mio::Token(index))?;
        }
        let mut progress = Progress {
            is_ready: vec![true; self.listeners.len()],
            held: None,
            retry_at: None,
            exhausted: 0,
            refused: 0,
            refusals: Refusals::new(self.listeners.len()),
        };
        let mut readiness = mio::Events::with_capacity(16);
        while self.phase.phase() == Phase::Serving {
            let timeout = self.rest_allowed(&progress);
            match self.poll.poll(&mut readiness, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => readiness.clear(),
                outcome => outcome?,
            }
            self.bell.begin_turn();
            for readiness in readiness.iter().filter(|readiness| readiness.token() != WAKE) {
                match progress.is_ready.get_mut(readiness.token().0) {
                    Some(is_ready) => *is_ready = true,
                    None => progress.refusals.discard(readiness.token().0),
                }
            }
            self.turn(&mut progress);
        }
        if let Some((worker, _)) = progress.held {
            self.placement.release(worker);
        }
        Ok(())
    }

    fn rest_allowed(&self, progress: &Progress) -> Option<Duration> {
        let can_accept = progress.held.is_none() && progress.retry_at.is_none();
        let has_work = can_accept && progress.is_ready.contains(&true);
        if has_work || !self.bell.may_rest() {
            return Some(Duration::ZERO);
        }
        let deadlines = [progress.retry_at, progress.refusals.next_deadline()];
        let deadline = deadlines.into_iter().flatten().min()?;
        Some(deadline.since(self.clock.now().instant))
    }

    fn turn(&mut self, progress: &mut Progress) {
        if let Some((worker, mail)) = progress.held.take() {
            self.hand_over(worker, mail, progress);
        }
        let now = self.clock.now().instant;
        progress.refusals.expire(now);
        if progress.retry_at.is_some_and(|retry_at| retry_at <= now) {
            progress.retry_at = None;
            progress.refusals.refill_reserve();
        }
        for index in 0..self.listeners.len() {
            for _ in 0..ACCEPTS_PER_TURN {
                let may = progress.held.is_none() && progress.retry_at.is_none();
                if !may || !progress.is_ready[index] || self.phase.phase() != Phase::Serving {
                    break;
                }
                self.accept(index, progress);
            }
        }
        for outbox in &mut self.outboxes {
            outbox.ring();
        }
    }

    fn accept(&mut self, index: usize, progress: &mut Progress) {
        let listener = &self.listeners[index];
        match listener.accept() {
            Ok((socket, peer)) => {
                if std::mem::take(&mut progress.exhausted) > 0 {
                    info!("accepting again");
                }
                let channels_max = self.tuning.channels_max();
                if self.placement.total() >= channels_max {
                    progress.refused += 1;
                    // Each doubling, so that a flood of connections is not a flood of lines.
                    if progress.refused.is_power_of_two() {
                        let refused = progress.refused;
                        let knob = "limits.channels_max";
                        warn!(%peer, refused, channels_max, knob, "connection refused: too many are open");
                    }
                    let why = format!("Too many connections: the broker takes {channels_max}");
                    let registry = self.poll.registry();
                    progress.refusals.refuse(self.clock.now(), registry, socket, &why);
                    return;
                }
                let worker = self.placement.assign();
                let (socket, peer) = (Socket::Tcp(socket), peer.to_string().into());
                let mail = Mail::Connection { socket, door: Door::Tcf, peer };
                self.hand_over(worker, mail, progress);
            }
            Err(AcceptError::WouldBlock) => {
                progress.is_ready[index] = false;
            }
            Err(AcceptError::Gone(_)) => {}
            Err(AcceptError::Exhausted(error)) => {
                progress.exhausted += 1;
                if progress.exhausted.is_power_of_two() {
                    let (times, address) = (progress.exhausted, listener.address());
                    warn!(%address, %error, times, "cannot accept; trying again");
                }
                if !progress.refusals.release_descriptor() {
                    progress.retry_at = Some(self.clock.now().instant.plus(EXHAUSTED_PAUSE));
                    return;
                }
                // With a descriptor that was set aside for it, one that waits is told.
                match listener.accept() {
                    Ok((socket, _)) => {
                        let why = "The broker has no file descriptor left";
                        let registry = self.poll.registry();
                        progress.refusals.refuse(self.clock.now(), registry, socket, why);
                    }
                    // The kernel wants a descriptor before it looks whether anybody waits.
                    Err(AcceptError::WouldBlock) => progress.is_ready[index] = false,
                    Err(AcceptError::Gone(_) | AcceptError::Exhausted(_)) => {}
                }
                progress.refusals.refill_reserve();
            }
        }
    }

    fn hand_over(&mut self, worker: WorkerId, mail: Mail, progress: &mut Progress) {
        match self.outboxes[worker.index()].try_send(mail) {
            Ok(()) => {}
            Err(Refused::Full(mail)) => progress.held = Some((worker, mail)),
            Err(Refused::Closed(_)) => self.placement.release(worker),
        }
    }
}
