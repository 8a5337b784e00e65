//! The broker in one thread: shards, the real mailboxes and bells between them, and a driver that
//! keeps to the shard's contract as the event loop does. It looks at a channel only when the shard,
//! the network or the clock gives it a reason to, so a wake-up that the shard forgets shows as
//! something that never happens.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use rand::rngs::SmallRng;
use weir::id::{ChannelId, WorkerId};
use weir::stream::Message;
use weir::time::{Instant, Now};
use weir::wire::Output;
use weir::worker::{
    Doorbell, Identity, Inbox, Limits, Outbox, Refused, Shard, ShardReport, Wake, mailbox,
};

use crate::network::{Conn, Read};

type Mail = (WorkerId, Message);

/// The connections by their number, which both sides use.
pub type Conns = BTreeMap<usize, Conn>;

const SETTLES_PER_TURN: usize = 4;

#[derive(Default)]
struct Flag(Arc<AtomicBool>);

impl Wake for Flag {
    fn wake(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

enum Stage {
    Open(ChannelId),
    Lingering { output: Output, is_shut: bool },
}

struct Session {
    stage: Stage,
    leftover: Vec<u8>,
    is_readable: bool,
    is_writable: bool,
    has_end: bool,
    is_broken: bool,
    is_queued: bool,
}

struct Neighbour {
    id: WorkerId,
    outbox: Outbox<Mail>,
    held: Option<Mail>,
}

/// One worker as its event loop would be.
pub struct Worker {
    id: WorkerId,
    pub shard: Shard,
    inbox: Inbox<Mail>,
    neighbours: Vec<Neighbour>,
    bell: Arc<Doorbell>,
    is_woken: Arc<AtomicBool>,
    sessions: BTreeMap<usize, Session>,
    by_channel: HashMap<ChannelId, usize>,
    queue: VecDeque<usize>,
    lingering: VecDeque<(Instant, usize)>,
    linger_timeout: Duration,
    is_resting: bool,
    /// How much of one thing is done in one turn.
    pub mail_per_turn: usize,
    pub bytes_per_read: usize,
}

/// All workers.
pub struct Broker {
    pub workers: Vec<Worker>,
    pub now: Now,
}

impl Broker {
    pub fn new(workers: u16, mail_max: usize, limits: &Limits) -> Broker {
        let identity = Arc::new(Identity {
            agent_id: "0583851d".to_owned(),
            name: "Weir".to_owned(),
            listens: Vec::new(),
        });
        let flags: Vec<_> = (0..workers).map(|_| Arc::<AtomicBool>::default()).collect();
        let bells: Vec<_> =
            flags.iter().map(|flag| Arc::new(Doorbell::new(Flag(Arc::clone(flag))))).collect();
        let mut neighbours: Vec<Vec<Neighbour>> = (0..workers).map(|_| Vec::new()).collect();
        let mut inboxes = Vec::new();
        for to in 0..usize::from(workers) {
            let others: Vec<_> = (0..usize::from(workers)).filter(|from| *from != to).collect();
            let senders: Vec<_> = others.iter().map(|from| Arc::clone(&bells[*from])).collect();
            let (outboxes, inbox) = mailbox(mail_max, &bells[to], &senders);
            inboxes.push(inbox);
            for (from, outbox) in others.into_iter().zip(outboxes) {
                neighbours[from].push(Neighbour { id: WorkerId(to as u16), outbox, held: None });
            }
        }
        let parts = inboxes.into_iter().zip(neighbours).zip(bells.into_iter().zip(flags));
        let make = |(me, ((inbox, neighbours), (bell, is_woken))): (usize, _)| Worker {
            id: WorkerId(me as u16),
            shard: Shard::new(WorkerId(me as u16), workers, limits.clone(), identity.clone()),
            inbox,
            neighbours,
            bell,
            is_woken,
            sessions: BTreeMap::new(),
            by_channel: HashMap::new(),
            queue: VecDeque::new(),
            lingering: VecDeque::new(),
            linger_timeout: limits.linger_timeout,
            is_resting: false,
            mail_per_turn: usize::MAX,
            bytes_per_read: usize::MAX,
        };
        let now = Now { instant: Instant(1), unix_ms: 5 };
        Broker { workers: parts.enumerate().map(make).collect(), now }
    }

    pub fn reports(&self) -> Vec<ShardReport> {
        self.workers.iter().map(|worker| worker.shard.report()).collect()
    }

    pub fn pass(&mut self, time: Duration) {
        self.now.instant = self.now.instant.plus(time);
    }

    /// The next moment at which a worker that sleeps would wake by itself.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.workers.iter().filter_map(Worker::next_deadline).min()
    }

    /// A turn of worker `index` where it has a reason to be awake; whether it had.
    pub fn turn(&mut self, index: usize, conns: &mut Conns, rng: &mut SmallRng) -> bool {
        let now = self.now;
        let worker = &mut self.workers[index];
        let is_due = worker.is_due(now, conns);
        if is_due {
            worker.turn(now, conns, rng);
        }
        is_due
    }
}

impl Worker {
    /// Takes a connection on; gives its channel.
    pub fn open(&mut self, now: Now, conn: usize) -> ChannelId {
        let channel = self.shard.open(now, format!("peer-{conn}").into());
        self.by_channel.insert(channel, conn);
        let session = Session {
            stage: Stage::Open(channel),
            leftover: Vec::new(),
            is_readable: false,
            is_writable: true,
            has_end: false,
            is_broken: false,
            is_queued: false,
        };
        self.sessions.insert(conn, session);
        self.is_resting = false;
        channel
    }

    /// Ends all channels, at once and in the next turn.
    pub fn drain(&mut self, now: Now) {
        self.shard.drain(now);
        self.is_resting = false;
    }

    /// Whether the worker holds nothing of any connection.
    pub fn is_idle(&self) -> bool {
        self.sessions.is_empty()
            && self.inbox.is_empty()
            && self.neighbours.iter().all(|neighbour| neighbour.held.is_none())
    }

    fn next_deadline(&self) -> Option<Instant> {
        let linger = self.lingering.front().map(|(deadline, _)| *deadline);
        [self.shard.next_deadline(), linger].into_iter().flatten().min()
    }

    fn is_due(&self, now: Now, conns: &Conns) -> bool {
        let has_reason = !self.is_resting
            || self.is_woken.load(Ordering::SeqCst)
            || self.next_deadline().is_some_and(|deadline| deadline <= now.instant);
        has_reason || self.sessions.keys().any(|conn| conns[conn].readiness().is_some())
    }

    fn turn(&mut self, now: Now, conns: &mut Conns, rng: &mut SmallRng) {
        self.is_woken.store(false, Ordering::SeqCst);
        self.bell.begin_turn();
        for (&conn, session) in &mut self.sessions {
            let Some(state) = conns.get_mut(&conn) else { continue };
            let readiness = state.take_readiness();
            if !readiness.is_some() {
                continue;
            }
            session.is_writable |= readiness.writable;
            if readiness.end && !session.has_end {
                session.has_end = true;
                if let Stage::Open(channel) = session.stage {
                    self.shard.expect_end(now, channel);
                }
            }
            session.is_broken |= readiness.broken;
            session.is_readable |= readiness.readable || readiness.end || readiness.broken;
            if !std::mem::replace(&mut session.is_queued, true) {
                self.queue.push_back(conn);
            }
        }
        for _ in 0..self.mail_per_turn {
            let Some((from, message)) = self.inbox.try_receive() else { break };
            self.shard.handle_message(now, from, message);
        }
        self.inbox.release();
        for _ in 0..self.queue.len() {
            let Some(conn) = self.queue.pop_front() else { break };
            self.attend(now, conn, conns, rng);
        }
        if self.shard.next_deadline().is_some_and(|deadline| deadline <= now.instant) {
            self.shard.handle_timeout(now);
        }
        let has_settled = self.settle(now, conns);
        self.end_lingering(now, conns);
        let must_go_on = !has_settled || !self.inbox.is_empty() || !self.queue.is_empty();
        self.is_resting = !must_go_on && self.bell.may_rest();
    }

    fn settle(&mut self, now: Now, conns: &mut Conns) -> bool {
        for _ in 0..SETTLES_PER_TURN {
            self.shard.settle(now);
            self.send_mail();
            let mut has_sent = false;
            while let Some(channel) = self.shard.poll_ready() {
                if let Some(&conn) = self.by_channel.get(&channel) {
                    has_sent |= self.send(now, conn, conns);
                    self.queue_if_due(conn);
                }
            }
            while let Some((channel, output)) = self.shard.poll_closed() {
                if let Some(conn) = self.by_channel.remove(&channel) {
                    self.begin_linger(now, conn, output, conns);
                }
            }
            while let Some(channel) = self.shard.poll_abandoned() {
                if let Some(conn) = self.by_channel.remove(&channel) {
                    self.close(conn, conns);
                }
            }
            if !has_sent {
                return true;
            }
        }
        false
    }

    fn send_mail(&mut self) {
        for neighbour in &mut self.neighbours {
            loop {
                let mail = match neighbour.held.take() {
                    Some(held) => held,
                    None if !neighbour.outbox.has_room() => break,
                    None => match self.shard.poll_message(neighbour.id) {
                        Some(message) => (self.id, message),
                        None => break,
                    },
                };
                match neighbour.outbox.try_send(mail) {
                    Ok(()) => {}
                    Err(Refused::Full(mail)) => {
                        neighbour.held = Some(mail);
                        break;
                    }
                    Err(Refused::Closed(_)) => unreachable!("inboxes live as long as the broker"),
                }
            }
            neighbour.outbox.ring();
        }
    }

    fn enqueue(&mut self, conn: usize) {
        if let Some(session) = self.sessions.get_mut(&conn)
            && !std::mem::replace(&mut session.is_queued, true)
        {
            self.queue.push_back(conn);
        }
    }

    fn queue_if_due(&mut self, conn: usize) {
        let Some(session) = self.sessions.get(&conn) else { return };
        let Stage::Open(channel) = session.stage else { return };
        let has_input = session.is_readable || !session.leftover.is_empty();
        if session.is_broken || (has_input && self.shard.wants_input(channel)) {
            self.enqueue(conn);
        }
    }

    fn attend(&mut self, now: Now, conn: usize, conns: &mut Conns, rng: &mut SmallRng) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        session.is_queued = false;
        match session.stage {
            Stage::Open(channel) => {
                self.send(now, conn, conns);
                self.receive(now, conn, channel, conns, rng);
            }
            Stage::Lingering { .. } => self.linger(conn, conns),
        }
    }

    fn receive(
        &mut self,
        now: Now,
        conn: usize,
        channel: ChannelId,
        conns: &mut Conns,
        rng: &mut SmallRng,
    ) {
        for _ in 0..8 {
            let Some(session) = self.sessions.get_mut(&conn) else { return };
            if !self.shard.wants_input(channel) {
                if session.is_broken {
                    self.abort(now, conn, channel, conns);
                }
                return;
            }
            if !session.leftover.is_empty() {
                let mut input = session.leftover.as_slice();
                self.shard.receive(now, channel, &mut input);
                let taken = session.leftover.len() - input.len();
                session.leftover.drain(..taken);
                if !session.leftover.is_empty() {
                    return self.queue_if_due(conn);
                }
                continue;
            }
            if !session.is_readable {
                return;
            }
            let Some(state) = conns.get_mut(&conn) else { return };
            match state.broker_read(rng.random_range(1..=self.bytes_per_read.min(4096))) {
                Read::Bytes(bytes) => {
                    let buffer = Bytes::from(bytes);
                    let mut rest = &buffer[..];
                    if let Some(block) = self.shard.direct(channel) {
                        let count = block.len().min(rest.len());
                        block[..count].copy_from_slice(&rest[..count]);
                        rest = &rest[count..];
                        if count > 0 {
                            self.shard.filled(now, channel, count);
                        }
                    }
                    self.shard.receive_from(now, channel, &buffer, &mut rest);
                    session.leftover = rest.to_vec();
                    if !session.leftover.is_empty() {
                        return self.queue_if_due(conn);
                    }
                }
                Read::Nothing => {
                    session.is_readable = false;
                    return;
                }
                Read::End => {
                    session.has_end = true;
                    session.is_readable = false;
                    self.shard.receive_end(now, channel);
                    return;
                }
                Read::Broken => return self.abort(now, conn, channel, conns),
            }
        }
        self.enqueue(conn);
    }

    fn abort(&mut self, now: Now, conn: usize, channel: ChannelId, conns: &mut Conns) {
        self.shard.abort(now, channel);
        self.by_channel.remove(&channel);
        self.close(conn, conns);
    }

    fn close(&mut self, conn: usize, conns: &mut Conns) {
        self.sessions.remove(&conn);
        if let Some(state) = conns.get_mut(&conn) {
            state.broker_close();
        }
    }

    fn send(&mut self, now: Now, conn: usize, conns: &mut Conns) -> bool {
        let Some(session) = self.sessions.get_mut(&conn) else { return false };
        let (Stage::Open(channel), true) = (&session.stage, session.is_writable) else {
            return false;
        };
        let channel = *channel;
        let state = conns.get_mut(&conn).expect("a session has a connection");
        let output = self.shard.output(channel);
        let (count, outcome) = write(state, output, &mut session.is_writable);
        if outcome.is_err() {
            session.is_broken = true;
            session.is_readable = true;
            self.enqueue(conn);
        }
        if count > 0 {
            self.shard.sent(now, channel);
        }
        count > 0
    }

    fn begin_linger(&mut self, now: Now, conn: usize, output: Output, conns: &mut Conns) {
        let deadline = now.instant.plus(self.linger_timeout);
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        session.leftover = Vec::new();
        session.stage = Stage::Lingering { output, is_shut: false };
        self.lingering.push_back((deadline, conn));
        self.linger(conn, conns);
    }

    fn linger(&mut self, conn: usize, conns: &mut Conns) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        let Stage::Lingering { output, is_shut } = &mut session.stage else { return };
        let state = conns.get_mut(&conn).expect("a session has a connection");
        let (_, outcome) = write(state, output, &mut session.is_writable);
        let mut is_over = outcome.is_err();
        if output.is_empty() && !*is_shut {
            *is_shut = true;
            state.broker_shut();
        }
        while !is_over && session.is_readable {
            match state.broker_read(4096) {
                Read::Bytes(_) => {}
                Read::Nothing => session.is_readable = false,
                Read::End => {
                    session.has_end = true;
                    session.is_readable = false;
                }
                Read::Broken => is_over = true,
            }
        }
        if is_over || (session.has_end && *is_shut) {
            self.close(conn, conns);
        }
    }

    fn end_lingering(&mut self, now: Now, conns: &mut Conns) {
        while let Some(&(deadline, conn)) = self.lingering.front() {
            let is_there = self.sessions.contains_key(&conn);
            if is_there && deadline > now.instant {
                break;
            }
            self.lingering.pop_front();
            if is_there {
                self.close(conn, conns);
            }
        }
    }
}

fn write(conn: &mut Conn, output: &mut Output, is_writable: &mut bool) -> (usize, Result<(), ()>) {
    let mut total = 0;
    while *is_writable && !output.is_empty() {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = output.fill_slices(&mut slices);
        let bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
        match conn.broker_write(&bytes) {
            Ok(count) => {
                *is_writable = count == bytes.len();
                output.advance(count);
                total += count;
            }
            Err(()) => {
                *is_writable = false;
                return (total, Err(()));
            }
        }
    }
    (total, Ok(()))
}
