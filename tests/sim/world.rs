//! One run: a broker, its network, its peers, and time.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use weir::id::ChannelId;
use weir::time::Instant;
use weir::worker::Limits;

use crate::asked::Asked;
use crate::broker::{Broker, Conns};
use crate::habits::Scale;
use crate::hostile::Habit;
use crate::model::{Complaint, Key, Model};
use crate::network::Conn;
use crate::peer::{Heard, Leaving, Link, Peer, Role};
use crate::poller::Carrying;

/// Records carry their channel's number in one byte.
const CONNS_MAX: usize = 200;

/// The most bytes that a hostile peer says at once.
const HOSTILE_BYTES: usize = 20_000;

/// How much of a sleep a worker with a deadline counts at most, however long it was: a tenth of a
/// second, and its slack.
const SLEEP_COUNTED_MAX: Duration = Duration::from_millis(110);

pub struct World {
    pub broker: Broker,
    pub conns: Conns,
    pub model: Model,
    pub peers: Vec<Peer>,
    pub rng: SmallRng,
    pub limits: Limits,
    pub scale: Scale,
    /// Channels of connections that are not forgotten.
    pub channels: BTreeMap<usize, ChannelId>,
    /// Commands that each channel had handed in when the drain began, by connection.
    pub drained: HashMap<usize, u64>,
    pub is_draining: bool,
    opened: usize,
}

fn limits(scale: Scale) -> Limits {
    let bytes = scale.bytes as usize;
    let mut limits = Limits {
        unsent_bytes_pause: 5 * bytes,
        unsent_bytes_resume: bytes,
        commands_per_turn: 5,
        hello_timeout: Duration::from_secs(1000),
        linger_timeout: Duration::from_secs(30),
        ..Limits::default()
    };
    limits.stream.parked_bytes_pause = 3 * scale.bytes / 2;
    limits.stream.parked_bytes_max = 6 * scale.bytes;
    limits.stream.pending_per_channel_max = 40;
    limits.stream.served_bytes_per_turn = bytes;
    limits.wire.kept_bytes_min = 64;
    limits.wire.argument_bytes_max = scale.name_bytes;
    limits.stream.outgoing_messages_pause = 6;
    limits
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = SmallRng::seed_from_u64(seed);
        let is_tight = rng.random_bool(0.2);
        let scale = Scale {
            bytes: if seed % 6 == 5 { 6000 } else { 300 },
            name_bytes: if is_tight { 20_000 } else { 3000 },
        };
        let mut limits = limits(scale);
        if is_tight {
            let most = [60_000, 200_000, 600_000][rng.random_range(0..3)];
            limits.stream.memory_bytes_max = rng.random_range(30_000..most);
        }
        let workers = 1 + (seed % 4) as u16;
        let mail_max = rng.random_range(1..5);
        let broker = Broker::new(workers, mail_max, &limits, &mut rng);
        let roles = [(3, Role::Agent), (5, Role::Host), (1, Role::Vandal)];
        let roles = roles.into_iter().flat_map(|(count, role)| std::iter::repeat_n(role, count));
        let hostile = match is_tight {
            true => rng.random_range(2..6),
            false if rng.random_bool(0.3) => rng.random_range(1..4),
            false => 0,
        };
        let hostile: Vec<_> = (0..hostile).map(|_| Role::Hostile(Habit::any(&mut rng))).collect();
        let peers =
            roles.chain(hostile).enumerate().map(|(index, role)| Peer::new(index, role)).collect();
        World {
            broker,
            conns: Conns::new(),
            model: Model { is_tight, ..Model::default() },
            peers,
            rng,
            limits,
            scale,
            channels: BTreeMap::new(),
            drained: HashMap::new(),
            is_draining: false,
            opened: 0,
        }
    }

    /// One random thing happens.
    pub fn step(&mut self) -> Result<(), Complaint> {
        self.model.step += 1;
        match self.rng.random_range(0..100) {
            0..35 => {
                let peer = self.rng.random_range(0..self.peers.len());
                self.live(peer);
                self.exchange(peer, self.reach(peer))?;
            }
            35..65 => {
                let peer = self.rng.random_range(0..self.peers.len());
                if let Some(link) = &self.peers[peer].link {
                    let most = if link.is_hostile { HOSTILE_BYTES } else { 600 };
                    let up = self.rng.random_range(0..most);
                    let down = self.rng.random_range(0..most);
                    self.conns[&link.key].borrow_mut().carry(up, down);
                }
                self.exchange(peer, self.reach(peer))?;
            }
            65..95 => {
                let worker = self.rng.random_range(0..self.broker.workers.len());
                self.broker.turn(worker);
            }
            _ => {
                // Now and then nobody runs for long, and one worker wakes later than another.
                let most = if self.rng.random_bool(0.03) { 20_000 } else { 60 };
                let time = Duration::from_millis(self.rng.random_range(1..most));
                self.broker.pass_until(self.broker.now().plus(time));
                self.model.now = self.model.now.plus(time.min(SLEEP_COUNTED_MAX));
            }
        }
        Ok(())
    }

    /// Whether a connection is that of a hostile peer.
    pub fn is_hostile(&self, key: Key) -> bool {
        let mut links = self.peers.iter().filter_map(|peer| peer.link.as_ref());
        links.any(|link| link.key == key && link.is_hostile)
    }

    /// Whether some of the peers are hostile.
    pub fn is_besieged(&self) -> bool {
        self.peers.iter().any(|peer| matches!(peer.role, Role::Hostile(_)))
    }

    /// The most bytes that a peer says and hears at once.
    fn reach(&self, index: usize) -> usize {
        let link = self.peers[index].link.as_ref();
        if link.is_some_and(|link| link.is_hostile) { HOSTILE_BYTES } else { 400 }
    }

    /// A peer connects, speaks, falls silent, leaves or is cut off.
    fn live(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        let Some(link) = &mut peer.link else {
            if self.opened < CONNS_MAX && self.rng.random_bool(0.3) {
                self.connect(index);
            }
            return;
        };
        match self.rng.random_range(0..1000) {
            0..4 => self.cut(index),
            4..7 => link.leave(true),
            7..9 => link.leave(false),
            9..25 if link.is_hostile => {}
            9..15 => {
                link.reads = !link.reads;
                link.has_stalled = true;
            }
            15..25 => link.reads = true,
            25..60 if !self.model.places.of(index, link.key, true).is_empty() => self.cut(index),
            _ => peer.act(&mut self.model, self.scale, &mut self.rng),
        }
        if let Some(link) = &self.peers[index].link
            && (link.leaving != Leaving::No || link.sent_nonsense)
        {
            self.model.may_be_gone(link.key);
        }
    }

    fn connect(&mut self, index: usize) {
        let capacity = |rng: &mut SmallRng| [1, 40, 500, 20_000][rng.random_range(0..4)];
        let (up, down) = (capacity(&mut self.rng), capacity(&mut self.rng));
        let is_hostile = matches!(self.peers[index].role, Role::Hostile(_));
        let conn = match is_hostile {
            true => Conn::new(HOSTILE_BYTES, HOSTILE_BYTES),
            false => Conn::new(up.max(40), down),
        };
        self.connect_through(index, conn);
    }

    pub fn connect_through(&mut self, index: usize, conn: Conn) {
        let key = self.opened;
        self.opened += 1;
        let conn = Rc::new(RefCell::new(conn));
        self.conns.insert(key, Rc::clone(&conn));
        let worker = self.rng.random_range(0..self.broker.workers.len());
        let carrying = match self.rng.random_range(0..3) {
            0 => Carrying::Holding([1, 30, 700][self.rng.random_range(0..3)]),
            _ => Carrying::Plain,
        };
        let channel = self.broker.open(worker, conn, carrying, key);
        self.channels.insert(key, channel);
        self.model.open(key);
        let peer = &mut self.peers[index];
        let mut link = Link::new(key, self.rng.random_bool(0.5));
        if let Role::Hostile(habit) = peer.role {
            link.is_hostile = true;
            link.reads = habit.reads(&mut self.rng);
            link.has_stalled = !link.reads;
        }
        peer.link = Some(link);
        if peer.is_traced {
            eprintln!("{key} opened by {:?} {index} as {channel}", peer.role);
        }
    }

    /// The peer's connection breaks, and the peer notices.
    pub fn cut(&mut self, index: usize) {
        let loses = self.rng.random_bool(0.5);
        if let Some(link) = &self.peers[index].link {
            if self.peers[index].is_traced {
                eprintln!("{} is cut", link.key);
            }
            self.conns[&link.key].borrow_mut().cut(loses);
            self.forget(index);
        }
    }

    /// The peer has no connection any more. It remembers how far it has read.
    fn forget(&mut self, index: usize) {
        let Some(link) = self.peers[index].link.take() else { return };
        self.model.lose(link.key);
        let channel = &self.model.channels[&link.key];
        let places = channel.readers.iter().filter_map(|(id, reader)| Some((*id, reader.place()?)));
        self.peers[index].bookmarks.extend(places.filter(|_| self.rng.random_bool(0.7)));
        for stream in self.model.streams.values_mut() {
            if stream.writer.is_some_and(|(writer, _)| writer == link.key) {
                stream.writer = None;
            }
        }
    }

    /// The peer sends what waits and hears what has come; whether anything moved.
    pub fn exchange(&mut self, index: usize, max: usize) -> Result<bool, Complaint> {
        let peer = &mut self.peers[index];
        let Some(link) = &mut peer.link else { return Ok(false) };
        let key = link.key;
        let conn = Rc::clone(&self.conns[&key]);
        let conn = &mut *conn.borrow_mut();
        let most = self.rng.random_range(1..=max);
        let has_sent = link.send(conn, most);
        let may_break = link.has_stalled || self.is_draining;
        match peer.listen(conn, &mut self.model, most)? {
            Heard::Nothing => Ok(has_sent),
            Heard::Something => Ok(true),
            Heard::End => {
                self.check_end(index)?;
                let link = self.peers[index].link.as_mut().expect("it has one still");
                if link.leaving == Leaving::Shut {
                    self.forget(index);
                    return Ok(true);
                }
                Ok(has_sent)
            }
            Heard::Broken if may_break => {
                self.forget(index);
                Ok(true)
            }
            Heard::Broken => Err(format!("channel {key} was reset")),
        }
    }

    /// Whether the peer has something parked on a stream that nobody has read yet and that keeps
    /// all.
    pub fn waits_for_first_reader(&self, index: usize) -> bool {
        let Some(link) = &self.peers[index].link else { return false };
        self.model.channel(link.key).pending.values().any(|asked| match asked {
            Asked::Write { stream, .. } | Asked::WriteRecord { stream, .. } => {
                self.model.streams[stream].spec.hold
            }
            _ => false,
        })
    }

    /// The broker has ended the connection: everything is answered, and it said so.
    fn check_end(&self, index: usize) -> Result<(), Complaint> {
        let peer = &self.peers[index];
        let Some(link) = &peer.link else { return Ok(()) };
        let channel = self.model.channel(link.key);
        let Some(code) = channel.end else {
            return Err(format!("channel {} is closed without an end of stream", link.key));
        };
        // A bound was reached. What it had said and was not heard is not answered.
        // So it is with one that is slow to hear of streams with long names, where memory is short.
        if (link.is_hostile && code != 0) || (self.model.is_tight && code == 4) {
            return Ok(());
        }
        if let Some(commands) = self.drained.get(&link.key)
            && !link.sent_nonsense
        {
            return match channel.answers == *commands {
                true => Ok(()),
                false => Err(format!(
                    "channel {}: {} answers to {commands} commands",
                    link.key, channel.answers
                )),
            };
        }
        // It came after the drain began, be it that its worker had not noticed.
        let came_late = !self.drained.contains_key(&link.key) && (code == 0 || code == 5);
        let is_newcomer = self.is_draining && (came_late || link.sent_nonsense);
        if (code != 0) != link.sent_nonsense && !is_newcomer {
            return Err(format!("channel {} ends with error {code}", link.key));
        }
        match channel.pending.first_key_value() {
            Some((token, asked)) if !is_newcomer => {
                Err(format!("channel {}: no reply to {token} {asked:?}", link.key))
            }
            _ => Ok(()),
        }
    }

    /// Everything happens that can at the present time.
    pub fn rest(&mut self) -> Result<(), Complaint> {
        for _ in 0..200_000 {
            let mut moves = false;
            for index in 0..self.peers.len() {
                if let Some(link) = &self.peers[index].link {
                    let mut conn = self.conns[&link.key].borrow_mut();
                    moves |= conn.carry(usize::MAX, usize::MAX);
                }
                moves |= self.exchange(index, 20_000)?;
            }
            for worker in 0..self.broker.workers.len() {
                moves |= self.broker.turn(worker);
            }
            if !moves {
                self.model.rest();
                return Ok(());
            }
        }
        Err("the broker does not come to rest".to_owned())
    }

    /// So much time passes, and everything happens that is due.
    pub fn pass(&mut self, time: Duration) -> Result<(), Complaint> {
        let until = self.broker.now().plus(time);
        self.rest()?;
        while let Some(at) = self.broker.next_deadline().filter(|at| *at <= until) {
            self.sleep_until(at);
            self.rest()?;
        }
        self.sleep_until(until);
        self.rest()
    }

    fn sleep_until(&mut self, instant: Instant) {
        self.model.now = self.model.now.plus(instant.since(self.broker.now()));
        self.broker.pass_until(instant);
    }

    /// All workers begin to drain.
    pub fn drain(&mut self) {
        self.is_draining = true;
        for key in self.channels.keys() {
            self.model.may_be_gone(*key);
        }
        let by_channel: HashMap<ChannelId, usize> =
            self.channels.iter().map(|(conn, channel)| (*channel, *conn)).collect();
        // No command is taken in before the workers begin.
        for report in self.broker.reports() {
            for channel in report.channels {
                self.drained.insert(by_channel[&channel.id], channel.commands);
            }
        }
        self.broker.drain();
    }
}
