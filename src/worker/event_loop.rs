//! The loop of one worker.
//!
//! One turn: wait for readiness, mail or a deadline; read the clock once; note readiness; take
//! mail; read sockets; let time pass; settle; send mail and output; see to ends. Everything that
//! could not be finished is in the queue, and the worker does not sleep while something is there.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use crate::id::{ChannelId, Door, WorkerId};
use crate::time::{Instant, Now};
use crate::worker::budget::{ReceiveBudget, SETTLES_PER_TURN, TimeShare};
use crate::worker::load::Load;
use crate::worker::receive_buffers::ReceiveBuffers;
use crate::worker::running_clock::{RunningClock, SLEEP_MAX};
use crate::worker::session::{SessionKey, Sessions};
use crate::worker::{
    Counters, Doorbell, Favour, Identity, Inbox, Limits, Mail, Outbox, Phase, PhaseFlag, Placement,
    Poller, Ready, Refused, Shard, Tuning, TurnBudget,
};

/// What joins a worker to the system and to the other threads.
#[derive(Debug)]
pub struct Links<P: Poller> {
    /// What it waits in. The worker's bell wakes it.
    pub poller: P,
    /// Its bell.
    pub bell: Arc<Doorbell>,
    /// Its mail.
    pub inbox: Inbox<Mail<P::Socket>>,
    /// The other workers' mailboxes.
    pub outboxes: Vec<(WorkerId, Outbox<Mail<P::Socket>>)>,
    /// Where its count of connections is.
    pub placement: Arc<Placement>,
    /// The bounds that count now.
    pub tuning: Arc<Tuning>,
    /// Whose message may go on beyond the memory limit.
    pub favour: Arc<Favour>,
    /// Where the server is in its life.
    pub phase: Arc<PhaseFlag>,
    /// Who waits for the drain to come to its end.
    pub server_bell: Arc<Doorbell>,
}

/// One worker: a thread's whole state.
#[derive(Debug)]
pub struct Worker<P: Poller> {
    pub(super) id: WorkerId,
    clock: RunningClock,
    /// When the turn began, by `clock`.
    pub(super) now: Now,
    pub(super) links: Links<P>,
    neighbours: Vec<Neighbour<P>>,
    pub(super) shard: Shard,
    pub(super) sessions: Sessions<P::Transport>,
    /// What the poller has told and the turn has not noted yet.
    ready: Vec<Ready>,
    /// Sessions that have something to do.
    pub(super) queue: VecDeque<SessionKey>,
    /// Those of them that write. They come first: somebody waits for what they say.
    pub(super) writers: VecDeque<SessionKey>,
    /// Those of the others that had more to say than one turn takes in. They come last, so that who
    /// says little does not wait behind all who say much.
    pub(super) backlog: VecDeque<SessionKey>,
    /// Sessions whose channel is over, by deadline: the timeout is one, so the order is that of
    /// coming. One that has sent something meanwhile comes again.
    pub(super) lingering: VecDeque<(Instant, SessionKey)>,
    pub(super) linger_timeout: Duration,
    pub(super) buffers: ReceiveBuffers,
    pub(super) counters: Counters,
    pub(super) load: Load,
    pub(super) budget: TurnBudget,
    receive_budget: ReceiveBudget,
    /// The bounds' version that was taken over last.
    tuning_seen: u64,
    is_draining: bool,
}

/// Another worker's mailbox, and the message that found it full.
#[derive(Debug)]
struct Neighbour<P: Poller> {
    id: WorkerId,
    outbox: Outbox<Mail<P::Socket>>,
    held: Option<Mail<P::Socket>>,
}

impl<P: Poller> Worker<P> {
    /// Worker `id`, ready to run.
    pub fn new(
        id: WorkerId,
        limits: Limits,
        identity: Arc<Identity>,
        mut links: Links<P>,
    ) -> Worker<P> {
        let neighbours: Vec<Neighbour<P>> = std::mem::take(&mut links.outboxes)
            .into_iter()
            .map(|(id, outbox)| Neighbour { id, outbox, held: None })
            .collect();
        let workers = u16::try_from(neighbours.len() + 1).expect("workers are counted in 16 bits");
        let now = links.poller.now();
        let linger_timeout = limits.linger_timeout;
        let mut shard = Shard::new(id, workers, limits, identity);
        shard.share_favour(Arc::clone(&links.favour));
        Worker {
            id,
            clock: RunningClock::new(now),
            now,
            links,
            neighbours,
            linger_timeout,
            shard,
            sessions: Sessions::default(),
            ready: Vec::new(),
            queue: VecDeque::new(),
            writers: VecDeque::new(),
            backlog: VecDeque::new(),
            lingering: VecDeque::new(),
            buffers: ReceiveBuffers::default(),
            counters: Counters::default(),
            load: Load::default(),
            budget: TurnBudget::default(),
            receive_budget: ReceiveBudget::new(&TurnBudget::default()),
            tuning_seen: 0,
            is_draining: false,
        }
    }

    /// Has turns do as much as `budget` says.
    pub fn set_budget(&mut self, budget: TurnBudget) {
        self.budget = budget;
        self.receive_budget = ReceiveBudget::new(&budget);
    }

    /// Works until the server's phase is [`Phase::Stopping`].
    ///
    /// # Errors
    /// The system's poller fails.
    pub fn run(mut self) -> io::Result<()> {
        let mut timeout = Some(Duration::ZERO);
        while self.links.phase.phase() != Phase::Stopping {
            timeout = self.step(timeout)?;
        }
        Ok(())
    }

    /// Waits for at most `timeout` and does one turn. Says how long the next may wait.
    ///
    /// # Errors
    /// The system's poller fails.
    pub fn step(&mut self, timeout: Option<Duration>) -> io::Result<Option<Duration>> {
        self.links.poller.poll(timeout, &mut self.ready)?;
        self.links.bell.begin_turn();
        self.now = self.clock.begin_turn(self.links.poller.now(), timeout);
        let must_go_on = self.turn();
        Ok(self.rest_allowed(must_go_on))
    }

    /// How long the next poll may wait. Ends the accounting of the turn behind it.
    fn rest_allowed(&mut self, must_go_on: bool) -> Option<Duration> {
        let (end, busy) = self.clock.end_turn(self.links.poller.now().instant);
        self.counters.late = self.clock.late();
        self.counters.busy += busy;
        self.receive_budget.note_turn(busy);
        self.counters.turn_time.0.record(busy.as_nanos() as u64);
        if must_go_on
            || !self.queue.is_empty()
            || !self.writers.is_empty()
            || !self.backlog.is_empty()
            || !self.links.bell.may_rest()
        {
            return Some(Duration::ZERO);
        }
        let linger = self.lingering.front().map(|(deadline, _)| *deadline);
        let deadline = [self.shard.next_deadline(), linger].into_iter().flatten().min()?;
        Some(deadline.since(end).min(SLEEP_MAX))
    }

    /// One pass. True when there is more to do at once.
    fn turn(&mut self) -> bool {
        self.counters.turns += 1;
        self.load.note(self.now.instant, self.counters.busy);
        let mut ready = std::mem::take(&mut self.ready);
        for ready in ready.drain(..) {
            self.note(ready);
        }
        self.ready = ready;
        if let Some(limits) = self.links.tuning.news(&mut self.tuning_seen) {
            self.linger_timeout = limits.linger_timeout;
            self.shard.set_limits(limits);
        }
        self.drain_if_asked();
        self.take_mail();
        let has_others = !self.queue.is_empty() || !self.backlog.is_empty();
        if self.attend_writers() && has_others {
            self.settle();
        }
        self.attend_others();
        if self.shard.next_deadline().is_some_and(|deadline| deadline <= self.now.instant) {
            self.shard.handle_timeout(self.now);
        }
        let has_settled = self.settle();
        self.end_lingering();
        if self.is_draining && self.links.placement.load(self.id) == 0 {
            self.links.server_bell.ring();
        }
        !has_settled || !self.links.inbox.is_empty()
    }

    /// Reads those that write. True if there was one.
    fn attend_writers(&mut self) -> bool {
        let writers = self.writers.len();
        if writers == 0 {
            return false;
        }
        let budget = self.receive_budget.share(writers);
        let mut time = TimeShare::new(self.budget.writers_time);
        for attended in 0..writers {
            if attended > 0 && time.is_over(&self.links.poller) {
                break;
            }
            let Some(key) = self.writers.pop_front() else { break };
            self.attend(key, budget);
        }
        true
    }

    /// Reads a few of the others, and those last that had more to say. Few, so that what they ask
    /// for and what writers bring is still in the processor's cache when they meet; where one has
    /// waited for long, as many more as fit in a time as long as the turn has taken.
    fn attend_others(&mut self) {
        let few = self.budget.others_min;
        let mut time = TimeShare::new(self.budget.others_time);
        let fresh = self.queue.len().min(few);
        if !self.attend_each(fresh, false, &mut time) {
            return;
        }
        let behind = self.backlog.len().min(few.saturating_sub(fresh).max(1));
        if !self.attend_each(behind, true, &mut time) || !self.is_late_for_others() {
            return;
        }
        let taken = self.clock.turn_time(self.links.poller.now().instant);
        let mut time = TimeShare::new(taken.min(self.budget.others_time));
        let fresh = self.queue.len();
        if self.attend_each(fresh, false, &mut time) {
            let behind = self.backlog.len();
            self.attend_each(behind, true, &mut time);
        }
    }

    /// Reads so many of the others, or of those that had more to say, one at least. False when the
    /// time is over.
    fn attend_each(&mut self, count: usize, is_behind: bool, time: &mut TimeShare) -> bool {
        for attended in 0..count {
            if attended > 0 && time.seems_over(&self.links.poller) {
                return false;
            }
            let (queue, bytes) = match is_behind {
                true => (&mut self.backlog, self.budget.receive_bytes_min),
                false => (&mut self.queue, self.budget.others_bytes),
            };
            let Some(key) = queue.pop_front() else { break };
            self.attend(key, bytes);
        }
        true
    }

    /// Whether one of the others has waited for long.
    fn is_late_for_others(&mut self) -> bool {
        let [queue, backlog] = [self.queue.front(), self.backlog.front()].map(Option::<&_>::copied);
        let (now, wait) = (self.now.instant, self.budget.others_wait);
        [queue, backlog].into_iter().flatten().any(|key| {
            let session = self.sessions.get_mut(key);
            session.is_none_or(|session| now.since(session.queued_at) >= wait)
        })
    }

    /// Carries out what the turn made possible. True when nothing more follows from it.
    fn settle(&mut self) -> bool {
        let mut time = TimeShare::new(self.budget.settle_time);
        for _ in 0..SETTLES_PER_TURN {
            self.shard.settle(self.now);
            self.send_mail();
            let mut has_sent = false;
            while let Some(channel) = self.shard.poll_ready() {
                if let Some(key) = self.sessions.key_of(channel) {
                    has_sent |= self.send(key);
                    self.queue_if_due(key);
                }
                if time.seems_over(&self.links.poller) {
                    return false;
                }
            }
            while let Some((channel, output)) = self.shard.poll_closed() {
                if let Some(key) = self.sessions.key_of(channel) {
                    self.begin_linger(key, output);
                }
                if time.seems_over(&self.links.poller) {
                    return false;
                }
            }
            while let Some(channel) = self.shard.poll_abandoned() {
                if let Some(key) = self.sessions.key_of(channel) {
                    self.counters.broken += 1;
                    self.remove(key);
                }
            }
            // What left may have resumed a channel, whose reads are served by settling again.
            if !has_sent {
                return true;
            }
        }
        false
    }

    /// Begins the drain once the server has asked for it.
    fn drain_if_asked(&mut self) {
        if !self.is_draining && self.links.phase.phase() >= Phase::Draining {
            self.is_draining = true;
            self.shard.drain(self.now);
        }
    }

    /// Takes mail, in order. Never left out, whatever else waits: that is what rules out deadlock.
    fn take_mail(&mut self) {
        let mut time = TimeShare::new(self.budget.mail_time);
        for _ in 0..self.budget.mail_max {
            let Some(mail) = self.links.inbox.try_receive() else { break };
            // Mail of a worker that drains already must not find this one serving: the readers that
            // left there would let writes in here whose bytes nobody will read.
            self.drain_if_asked();
            match mail {
                Mail::Core { from, message } => {
                    self.shard.handle_message(self.now, from, message);
                }
                Mail::Connection { socket, door, peer } => {
                    self.open(socket, door, peer);
                }
                Mail::Report(inquiry) => self.answer(inquiry),
            }
            if time.seems_over(&self.links.poller) {
                break;
            }
        }
        self.links.inbox.release();
    }

    /// Sends the core's messages, as far as there is room. The rest stays with the core, which
    /// gathers it.
    fn send_mail(&mut self) {
        for neighbour in &mut self.neighbours {
            loop {
                let mail = match neighbour.held.take() {
                    Some(held) => held,
                    None if !neighbour.outbox.has_room() => break,
                    None => match self.shard.poll_message(neighbour.id) {
                        Some(message) => Mail::Core { from: self.id, message },
                        None => break,
                    },
                };
                match neighbour.outbox.try_send(mail) {
                    Ok(()) => {}
                    // Others send there too, and were quicker.
                    Err(Refused::Full(mail)) => {
                        neighbour.held = Some(mail);
                        break;
                    }
                    // The server stops.
                    Err(Refused::Closed(_)) => {}
                }
            }
            neighbour.outbox.ring();
        }
    }

    /// Takes a new connection on, which counts in the placement already. Says its channel, unless
    /// the peer is gone already.
    pub fn open(&mut self, socket: P::Socket, door: Door, peer: Arc<str>) -> Option<ChannelId> {
        let key = self.sessions.next_key();
        match self.links.poller.open(socket, key.0) {
            Ok(transport) => {
                self.counters.connections += 1;
                let channel = self.shard.open_through(self.now, door, Arc::clone(&peer));
                debug!(worker = %self.id, %channel, %peer, "channel opened");
                self.sessions.insert(transport, channel);
                Some(channel)
            }
            Err(error) => {
                debug!(worker = %self.id, %peer, %error, "connection not taken on");
                self.links.placement.release(self.id);
                None
            }
        }
    }

    /// Forgets a session; its socket is closed.
    pub(super) fn remove(&mut self, key: SessionKey) {
        self.sessions.remove(key);
        self.links.placement.release(self.id);
    }

    /// What is a worker without its sockets.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Whether it holds nothing of any connection, and no mail.
    pub fn is_idle(&self) -> bool {
        self.sessions.len() == 0
            && self.links.inbox.is_empty()
            && self.neighbours.iter().all(|neighbour| neighbour.held.is_none())
    }
}
