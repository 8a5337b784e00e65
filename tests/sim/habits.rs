//! What peers choose to do next.

use rand::Rng;
use rand::rngs::SmallRng;
use weir::stream::Direction;

use crate::asked::{Asked, Placing, Spec};
use crate::content::{HEADER_BYTES, Record};
use crate::model::{Model, Tie};
use crate::peer::{Peer, Role};
use crate::reader::Reader;

pub const TYPES: [&str; 3] = ["log", "trace", "term"];
const WANTED: [&str; 4] = ["*", "log", "trace", "term"];
const STREAMS_MAX: usize = 14;
const PENDING_MAX: usize = 24;
/// Milliseconds for which a place is kept.
const KEEP_FOR_MAX: u64 = 2500;

/// How large things are in one run, and how they are mixed.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The most bytes of a buffer, a read and an ordinary write.
    pub bytes: u64,
    /// The longest name.
    pub name_bytes: usize,
}

fn stall(rng: &mut SmallRng) -> Option<u64> {
    match rng.random_range(0..5) {
        0 | 1 => None,
        2 => Some(0),
        _ => Some(rng.random_range(1..200)),
    }
}

pub fn pick(rng: &mut SmallRng, ids: &[u64]) -> Option<u64> {
    (!ids.is_empty()).then(|| ids[rng.random_range(0..ids.len())])
}

fn spec(peer: &Peer, model: &Model, scale: Scale, rng: &mut SmallRng) -> Spec {
    let direction = match peer.role {
        Role::Agent => Direction::Out,
        _ => [Direction::Out, Direction::In, Direction::Bus][rng.random_range(0..3)],
    };
    let buffer = rng.random_range(1..=scale.bytes);
    let is_keyed = rng.random_bool(0.5);
    Spec {
        stream_type: TYPES[rng.random_range(0..3)].to_owned(),
        direction,
        buffer,
        history: rng.random_range(0..=buffer),
        stall: stall(rng),
        hold: rng.random_bool(0.2),
        linger: if rng.random_bool(0.2) { rng.random_range(1..500) } else { 0 },
        key: is_keyed.then(|| format!("key-{}", model.specs.len())),
        keep_for: if is_keyed { rng.random_range(0..2000) } else { 0 },
        is_patterned: peer.role == Role::Agent,
        agent: peer.index,
        asked_at: model.step,
    }
}

impl Peer {
    /// Says one more thing, or nothing.
    pub fn act(&mut self, model: &mut Model, scale: Scale, rng: &mut SmallRng) {
        let Some(link) = &self.link else { return };
        if !link.may_speak() {
            return;
        }
        if !link.has_greeted {
            return self.greet(model, rng);
        }
        let is_hostile = matches!(self.role, Role::Hostile(_));
        if model.channel(link.key).pending.len() >= PENDING_MAX && !is_hostile {
            return;
        }
        if rng.random_bool(0.02) {
            let asked = [Asked::Sync, Asked::List, Asked::Unknown][rng.random_range(0..3)].clone();
            return self.ask(model, asked, rng);
        }
        match self.role {
            Role::Agent => self.act_as_agent(model, scale, rng),
            Role::Host => self.act_as_host(model, scale, rng),
            Role::Vandal if rng.random_bool(0.05) => self.act_as_vandal(rng),
            Role::Vandal => self.act_as_host(model, scale, rng),
            Role::Hostile(habit) => self.act_as_hostile(habit, model, scale, rng),
        }
    }

    fn create(&mut self, model: &mut Model, scale: Scale, rng: &mut SmallRng) {
        if model.specs.len() < STREAMS_MAX {
            let spec = spec(self, model, scale, rng);
            model.specs.push(spec);
            self.ask(model, Asked::Create(model.specs.len() - 1), rng);
        }
    }

    fn act_as_agent(&mut self, model: &mut Model, scale: Scale, rng: &mut SmallRng) {
        let Some(link) = &self.link else { return };
        let key = link.key;
        let mine = |is_written: bool| {
            let streams = model.streams.iter().filter(|(_, stream)| {
                let writes = stream.writer.is_some_and(|(writer, _)| writer == key);
                stream.spec.agent == self.index && writes == is_written
            });
            streams.map(|(id, _)| *id).collect::<Vec<u64>>()
        };
        let (written, left) = (mine(true), mine(false));
        let adopts: Vec<u64> = model
            .channel(key)
            .pending
            .values()
            .filter_map(|asked| if let Asked::Adopt(id) = asked { Some(*id) } else { None })
            .collect();
        let dice = rng.random_range(0..100);
        if dice < 8 || (written.is_empty() && dice < 30) {
            return self.create(model, scale, rng);
        }
        if dice < 40
            && let Some(id) = pick(rng, &left)
            // A second answer would tell a place that is past.
            && !adopts.contains(&id)
            && (model.streams[&id].spec.key.is_some() || dice < 9)
        {
            return self.ask(model, Asked::Adopt(id), rng);
        }
        let Some(id) = pick(rng, &written) else { return };
        match dice {
            41 | 42 => self.ask(model, Asked::Eos(id), rng),
            43 => self.ask(model, Asked::Dispose(id), rng),
            44 => self.ask(model, Asked::Disconnect(id), rng),
            45 => self.ask(model, Asked::WriteBadly(id), rng),
            46 => self.ask(model, Asked::Read { stream: id, size: 9 }, rng),
            _ => {
                let (_, offset) = model.streams[&id].writer.expect("picked for it");
                let most = if rng.random_bool(0.1) { 2 * scale.bytes } else { scale.bytes / 2 };
                let len = rng.random_range(0..=most);
                self.ask(model, Asked::Write { stream: id, offset, len }, rng);
            }
        }
    }

    fn act_as_host(&mut self, model: &mut Model, scale: Scale, rng: &mut SmallRng) {
        let Some(link) = &self.link else { return };
        let key = link.key;
        let dice = rng.random_range(0..100);
        let wanted = WANTED[rng.random_range(0..4)].to_owned();
        match dice {
            0..4 => return self.ask(model, Asked::Subscribe(wanted), rng),
            4 => return self.ask(model, Asked::Unsubscribe(wanted), rng),
            5 | 6 => return self.create(model, scale, rng),
            _ => {}
        }
        let placed = |is_held| model.places.of(self.index, key, is_held);
        if rng.random_bool(0.5)
            && let Some(stream) = pick(rng, &placed(false))
        {
            return self.take_place(model, stream, rng);
        }
        if rng.random_bool(0.15)
            && let Some(stream) = pick(rng, &placed(true))
        {
            return self.confirm(model, stream, rng);
        }
        if dice < 15
            && let Some((stream, offset)) = self.bookmarks.pop()
        {
            let asked = Asked::Attach { stream, from: Some(offset), stall: Some(stall(rng)) };
            return self.ask(model, asked, rng);
        }
        let all: Vec<u64> = model.streams.keys().copied().collect();
        let tied: Vec<u64> = model.channel(key).ties.keys().copied().collect();
        let Some(stream) = pick(rng, &all) else { return };
        let state = &model.streams[&stream];
        match dice {
            15..20 => return self.ask(model, Asked::Connect(stream), rng),
            20..28 if rng.random_bool(0.3) => return self.take_place(model, stream, rng),
            20..28 => {
                let bound = state.handed.max(state.seen.len() as u64) + 2;
                let from = rng.random_bool(0.5).then(|| rng.random_range(0..=bound));
                let stall = rng.random_bool(0.5).then(|| stall(rng));
                return self.ask(model, Asked::Attach { stream, from, stall }, rng);
            }
            28 if rng.random_bool(0.3) => return self.ask(model, Asked::Dispose(stream), rng),
            // A patterned stream is its agent's alone, and others know no key for it.
            29 if (state.spec.agent == self.index || rng.random_bool(0.1))
                && !(state.spec.is_patterned && state.spec.key.is_some()) =>
            {
                return self.ask(model, Asked::Adopt(stream), rng);
            }
            _ => {}
        }
        let stream = pick(rng, &tied).unwrap_or(stream);
        if rng.random_bool(0.01) {
            return self.confirm(model, stream, rng);
        }
        let state = &model.streams[&stream];
        match dice {
            30..33 => self.ask(model, Asked::Disconnect(stream), rng),
            33 if !state.spec.is_patterned => self.ask(model, Asked::Eos(stream), rng),
            34 => self.ask(model, Asked::WriteBadly(stream), rng),
            35..55 if !state.spec.is_patterned => self.write(model, stream, scale, rng),
            55.. => {
                let most = if rng.random_bool(0.1) { 3 * scale.bytes } else { scale.bytes };
                let size = rng.random_range(0..=most);
                let is_over = model.channel(key).ties.get(&stream) == Some(&Tie::Finished);
                if !is_over || rng.random_bool(0.1) {
                    self.ask(model, Asked::Read { stream, size }, rng);
                }
            }
            _ => {}
        }
    }

    /// Takes a place in a stream, or takes it up from where another connection left it.
    fn take_place(&mut self, model: &mut Model, stream: u64, rng: &mut SmallRng) {
        let mark = self.bookmarks.iter().rposition(|(marked, _)| *marked == stream);
        let mark = mark.filter(|_| rng.random_bool(0.5));
        let placing = Placing {
            peer: rng.random_bool(0.9).then_some(self.index),
            from: mark.map(|index| self.bookmarks.swap_remove(index).1),
            stall: stall(rng),
            keep_for: match rng.random_range(0..4) {
                0 => 0,
                1 => rng.random_range(1..200),
                _ => rng.random_range(1..KEEP_FOR_MAX),
            },
            asked: model.moment(),
        };
        self.ask(model, Asked::TakePlace(stream, placing), rng);
    }

    /// Confirms some of what it has read, or nonsense.
    fn confirm(&mut self, model: &mut Model, stream: u64, rng: &mut SmallRng) {
        let Some(link) = &self.link else { return };
        let reader = model.channel(link.key).readers.get(&stream);
        let Some(place) = reader.and_then(Reader::place) else { return };
        let offset = match rng.random_range(0..10) {
            0 => model.streams[&stream].handed + rng.random_range(0..300),
            1..4 => place,
            _ => place.saturating_sub(rng.random_range(0..30)),
        };
        self.ask(model, model.confirm(link.key, stream, offset), rng);
    }

    fn write(&mut self, model: &mut Model, stream: u64, scale: Scale, rng: &mut SmallRng) {
        let Some(link) = &self.link else { return };
        let buffer = model.streams[&stream].spec.buffer;
        let channel = model.channels.get_mut(&link.key).expect("an open channel");
        let number = channel.records;
        channel.records += 1;
        let writer = u8::try_from(link.key).expect("few connections in one run");
        let most = (scale.bytes as u32).max(HEADER_BYTES);
        let len = rng.random_range(HEADER_BYTES..=most);
        let record = Record { writer, number, len, is_whole: u64::from(len) <= buffer };
        self.ask(model, Asked::WriteRecord { stream, record }, rng);
    }

    fn act_as_vandal(&mut self, rng: &mut SmallRng) {
        let Some(link) = &mut self.link else { return };
        let nonsense: [&[u8]; 6] = [
            b"X\0\x03\x01",
            b"C\0oops\x03\x01",
            b"\x03\x09",
            b"R\x007\0\0\x03\x01",
            b"C\x00a\0Streams\0connect\0{[\0\x03\x01",
            b"C\x00a\0Streams\0read\0\"VS0\"\0\"x\"\0\x03\x01",
        ];
        link.say(nonsense[rng.random_range(0..nonsense.len())]);
        link.sent_nonsense = true;
    }
}
