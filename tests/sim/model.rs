//! What the peers were promised, held against what they were told.
//!
//! The model knows what each channel asked and what its peer read from the wire, nothing of the
//! broker's inside. Every fault is a complaint in words.

use std::collections::{BTreeMap, BTreeSet};

use weir::stream::Direction;
use weir::time::Instant;

use crate::asked::{Asked, Spec};
use crate::content::{Fate, Records, byte_at};
use crate::places::{Places, position_of};
use crate::reader::Reader;
use crate::support::Message;
use crate::support::message::{binary, error_code, json};

/// A channel, by its connection's number.
pub type Key = usize;

/// What one promise is broken by.
pub type Complaint = String;

/// How a channel stands to a stream, by what its peer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tie {
    Attached,
    /// `created` was told where memory is short: it is attached if there was room for that.
    Told,
    /// `disposed` was told; no `disconnect` since.
    Finished,
}

#[derive(Debug, Default)]
pub struct Channel {
    pub pending: BTreeMap<u64, Asked>,
    pub answers: u64,
    pub ties: BTreeMap<u64, Tie>,
    pub readers: BTreeMap<u64, Reader>,
    /// By type: when the subscription was answered.
    pub subscribed: BTreeMap<String, u64>,
    announced: BTreeSet<u64>,
    last_read: BTreeMap<u64, u64>,
    last_write: BTreeMap<u64, u64>,
    /// The broker's end of stream has come, with this error code.
    pub end: Option<i64>,
    /// Since when the broker may know that the connection is over.
    pub gone_since: Option<Instant>,
    /// Its peer has gone on without it.
    pub is_lost: bool,
    tokens: u64,
    pub records: u32,
}

#[derive(Debug)]
pub struct Stream {
    pub spec: Spec,
    /// The channel that writes the pattern, and its next offset.
    pub writer: Option<(Key, u64)>,
    /// Channels that were its creator at some time.
    pub owners: BTreeSet<Key>,
    pub handed: u64,
    /// Where the pattern's writes began and ended.
    writes: BTreeSet<(u64, u64)>,
    pub acked: u64,
    pub records: Records,
    /// The bytes by offset, as far as any reader has seen them.
    pub seen: Vec<Option<u8>>,
    pub end: Option<u64>,
}

#[derive(Debug, Default)]
pub struct Model {
    pub specs: Vec<Spec>,
    pub streams: BTreeMap<u64, Stream>,
    pub channels: BTreeMap<Key, Channel>,
    pub places: Places,
    /// Counts steps.
    pub step: u64,
    /// The world's time, as far as it may count for the broker.
    pub now: Instant,
    /// How often everything has come to rest.
    pub rests: u64,
    /// Memory is short: whoever holds much may be refused more.
    pub is_tight: bool,
}

pub fn stream_number(arg: &[u8]) -> Result<u64, Complaint> {
    let name = json(arg);
    let number = name.as_str().and_then(|name| name.strip_prefix("VS")?.parse().ok());
    number.ok_or_else(|| format!("{name} is no stream"))
}

impl Stream {
    fn new(spec: Spec) -> Stream {
        Stream {
            spec,
            writer: None,
            owners: BTreeSet::new(),
            handed: 0,
            writes: BTreeSet::new(),
            acked: 0,
            records: Records::default(),
            seen: Vec::new(),
            end: None,
        }
    }

    /// Whether a patterned stream may end there, now or for good: between two writes, or within one
    /// that is larger than the buffer.
    pub fn may_end_at(&self, end: u64) -> bool {
        let buffer = self.spec.buffer;
        let mut writes = self.writes.iter();
        end == 0
            || writes.any(|(from, until)| match until - from > buffer {
                true => (*from..=*until).contains(&end),
                false => *until == end,
            })
    }

    /// Notes bytes of a stream of records; every reader must see the same.
    pub fn see(&mut self, at: u64, data: &[u8]) -> Result<(), Complaint> {
        let at = at as usize;
        if self.seen.len() < at + data.len() {
            self.seen.resize(at + data.len(), None);
        }
        for (index, byte) in data.iter().enumerate() {
            let seen = self.seen[at + index].get_or_insert(*byte);
            if seen != byte {
                return Err(format!("byte {byte} at {}, another reader got {seen}", at + index));
            }
        }
        Ok(())
    }
}

impl Model {
    pub fn open(&mut self, key: Key) {
        self.channels.insert(key, Channel::default());
    }

    pub fn channel(&self, key: Key) -> &Channel {
        &self.channels[&key]
    }

    /// Notes a command that leaves now; gives its token.
    pub fn ask(&mut self, key: Key, asked: Asked) -> u64 {
        match &asked {
            Asked::Write { stream, offset, len } => {
                let state = self.streams.get_mut(stream).expect("a known stream");
                state.writer = Some((key, offset + len));
                state.handed = state.handed.max(offset + len);
                state.writes.insert((*offset, offset + len));
            }
            Asked::WriteRecord { stream, record } => {
                self.streams.get_mut(stream).expect("a known stream").records.hand_in(*record);
            }
            // What follows has no known place any more.
            Asked::Eos(stream) | Asked::Disconnect(stream) | Asked::Dispose(stream) => {
                if let Some(state) = self.streams.get_mut(stream) {
                    state.writer = state.writer.filter(|(writer, _)| *writer != key);
                }
            }
            _ => {}
        }
        self.places.note_asked(key, &asked);
        let channel = self.channels.get_mut(&key).expect("an open channel");
        channel.tokens += 1;
        channel.pending.insert(channel.tokens, asked);
        channel.tokens
    }

    /// Takes in what a peer was told.
    pub fn take(&mut self, key: Key, message: &Message) -> Result<(), Complaint> {
        if self.channels[&key].end.is_some() {
            return Err(format!("{message:?} behind the end of stream"));
        }
        match message {
            Message::Reply { token, args } => self.take_reply(key, token, args),
            Message::NotRecognized { token } => self.take_reply(key, token, &[]),
            Message::Event { service, name, args } => match (service.as_str(), name.as_str()) {
                ("Locator", "Hello") => Ok(()),
                ("Streams", "created") => self.take_created(key, args),
                ("Streams", "disposed") => self.take_disposed(key, stream_number(&args[1])?),
                _ => Err(format!("an event of the broker's own: {message:?}")),
            },
            Message::End { report } => {
                let channel = self.channels.get_mut(&key).expect("an open channel");
                channel.end = Some(error_code(report));
                // When the broker ended it is not known.
                self.places.doubt(key);
                Ok(())
            }
            _ => Err(format!("the broker never says {message:?}")),
        }
    }

    fn take_reply(&mut self, key: Key, token: &[u8], args: &[Vec<u8>]) -> Result<(), Complaint> {
        let channel = self.channels.get_mut(&key).expect("an open channel");
        let text = std::str::from_utf8(token).unwrap_or_default();
        let asked = text.parse().ok().and_then(|token: u64| channel.pending.remove(&token));
        let Some(asked) = asked else {
            return Err(format!("a reply to {text}, which is answered or was never asked"));
        };
        let token = text.parse().expect("parsed before");
        channel.answers += 1;
        if args.is_empty() != matches!(asked, Asked::Unknown) {
            return Err(format!("{asked:?} is answered with {} arguments", args.len()));
        }
        if let Asked::Read { stream, size } = asked {
            return self.take_read(key, token, stream, size, args);
        }
        let Some(report) = args.first() else { return Ok(()) };
        let code = error_code(report);
        let is_for_memory = code == 4 && self.is_tight && asked.takes_memory();
        if !asked.allows(code) && !is_for_memory {
            let text = String::from_utf8_lossy(report).into_owned();
            return Err(format!("{asked:?} is answered with error {code}: {text}"));
        }
        match asked {
            Asked::Write { stream, offset, len } => {
                let state = self.streams.get_mut(&stream).expect("a known stream");
                if code != 0 {
                    if state.writer.is_some_and(|(writer, _)| writer == key) {
                        state.writer = None;
                    }
                    return Ok(());
                }
                state.acked = state.acked.max(offset + len);
                self.note_order(key, stream, token)
            }
            Asked::WriteRecord { stream, record } => {
                let fate = match code {
                    0 => Fate::Whole,
                    6 | 9 if !record.is_whole => Fate::Unknown,
                    _ => Fate::Absent,
                };
                let state = self.streams.get_mut(&stream).expect("a known stream");
                state.records.tell(record, fate);
                if code == 0 { self.note_order(key, stream, token) } else { Ok(()) }
            }
            Asked::Disconnect(stream) => self.take_disconnected(key, stream, code),
            Asked::Confirm { stream, offset, .. } => self.take_confirmed(key, stream, offset, code),
            Asked::TakePlace(stream, placing) if code != 0 => {
                self.take_unplaced(stream, &placing, code)
            }
            Asked::List if code == 0 => self.take_list(&args[1]),
            asked if code == 0 => self.take_success(key, asked, args),
            _ => Ok(()),
        }
    }

    fn note_order(&mut self, key: Key, stream: u64, token: u64) -> Result<(), Complaint> {
        let channel = self.channels.get_mut(&key).expect("an open channel");
        match channel.last_write.insert(stream, token) {
            Some(last) if last > token => Err(format!("write {token} is answered after {last}")),
            _ => Ok(()),
        }
    }

    fn take_success(&mut self, key: Key, asked: Asked, args: &[Vec<u8>]) -> Result<(), Complaint> {
        match asked {
            Asked::Create(serial) => {
                let id = stream_number(&args[1])?;
                self.know(id, serial);
                let spec = self.specs[serial].clone();
                let channel = self.channels.get_mut(&key).expect("an open channel");
                let wants = [&*spec.stream_type, "*"];
                if wants.iter().any(|wanted| channel.subscribed.contains_key(*wanted))
                    && !channel.announced.contains(&id)
                {
                    return Err(format!("the creator of VS{id} has not heard of it by created"));
                }
                channel.ties.insert(id, Tie::Attached);
                let mut reader = Reader::anywhere(spec.stall);
                if spec.direction == Direction::In {
                    reader = Reader::at(0, spec.stall);
                }
                channel.readers.insert(id, reader);
                let state = self.streams.get_mut(&id).expect("a known stream");
                state.writer = Some((key, 0));
                state.owners.insert(key);
                Ok(())
            }
            Asked::Adopt(id) => {
                let position = json(&args[1])["Position"].as_u64().ok_or("no Position")?;
                let state = self.streams.get_mut(&id).expect("a known stream");
                state.owners.insert(key);
                if state.spec.is_patterned {
                    if position < state.acked || !state.may_end_at(position) {
                        let (acked, writes) = (state.acked, &state.writes);
                        return Err(format!("adopt tells {position}, not {acked}: {writes:?}"));
                    }
                    // One that writes already was answered by the reply to `create`, and has gone
                    // on.
                    if state.writer.is_none_or(|(writer, _)| writer != key) {
                        state.writer = Some((key, position));
                    }
                }
                self.tie(key, id);
                Ok(())
            }
            Asked::Subscribe(wanted) => {
                let step = self.step;
                self.channels.get_mut(&key).expect("open").subscribed.insert(wanted, step);
                Ok(())
            }
            Asked::Unsubscribe(wanted) => {
                let channel = self.channels.get_mut(&key).expect("an open channel");
                channel.subscribed.remove(&wanted);
                channel.announced.clear();
                Ok(())
            }
            Asked::Connect(id) => {
                let channel = self.channels.get_mut(&key).expect("an open channel");
                match channel.ties.get(&id) {
                    // Where memory is short it may have been forgotten, and is then read anew.
                    Some(Tie::Finished) if self.is_tight => {
                        channel.ties.insert(id, Tie::Told);
                        channel.readers.insert(id, Reader::uncertain());
                    }
                    Some(Tie::Finished) => {}
                    // Perhaps one of those.
                    Some(Tie::Told) if self.is_tight => {}
                    _ => self.tie(key, id),
                }
                Ok(())
            }
            Asked::Attach { stream, from, stall } => {
                let (position, lost) = position_of(&args[1])?;
                let state = &self.streams[&stream];
                let stall = stall.unwrap_or(state.spec.stall);
                let is_reader = self.seat(key, stream, position, stall);
                if is_reader && from.map_or(lost != 0, |from| from + lost != position) {
                    return Err(format!("attach from {from:?} gives {position}, {lost} lost"));
                }
                Ok(())
            }
            Asked::TakePlace(stream, placing) => self.take_placed(key, stream, placing, args),
            _ => Ok(()),
        }
    }

    /// The channel is connected to the stream, and was perhaps before.
    pub fn tie(&mut self, key: Key, id: u64) {
        let Some(state) = self.streams.get(&id) else { return };
        let stall = state.spec.stall;
        let channel = self.channels.get_mut(&key).expect("an open channel");
        channel.ties.insert(id, Tie::Attached);
        channel.readers.entry(id).or_insert_with(|| Reader::anywhere(stall));
    }

    fn know(&mut self, id: u64, serial: usize) {
        let spec = &self.specs[serial];
        self.streams.entry(id).or_insert_with(|| Stream::new(spec.clone()));
    }

    fn take_created(&mut self, key: Key, args: &[Vec<u8>]) -> Result<(), Complaint> {
        let id = stream_number(&args[1])?;
        let context = json(&args[2]);
        let serial = context.as_str().and_then(|text| text.parse().ok()).ok_or("its context")?;
        self.know(id, serial);
        let spec = self.specs[serial].clone();
        let channel = self.channels.get_mut(&key).expect("an open channel");
        let wants = [&*spec.stream_type, "*"];
        let answered = wants.iter().filter_map(|wanted| channel.subscribed.get(*wanted)).min();
        let Some(&answered) = answered else {
            return Err(format!("created of VS{id} before or without a subscription's reply"));
        };
        if !channel.announced.insert(id) {
            return Err(format!("created of VS{id} twice"));
        }
        let is_new = channel.ties.get(&id) != Some(&Tie::Attached);
        if is_new && self.is_tight {
            channel.ties.insert(id, Tie::Told);
            channel.readers.insert(id, Reader::uncertain());
            return Ok(());
        }
        self.tie(key, id);
        if is_new {
            // It may have read the stream before, and lost it with its place.
            let reader = match spec.asked_at > answered && spec.direction != Direction::In {
                true => Reader::at(0, spec.stall),
                false => Reader::anywhere(spec.stall),
            };
            self.channels.get_mut(&key).expect("an open channel").readers.insert(id, reader);
        }
        Ok(())
    }

    fn take_disposed(&mut self, key: Key, id: u64) -> Result<(), Complaint> {
        let channel = self.channels.get_mut(&key).expect("an open channel");
        let tie = channel.ties.insert(id, Tie::Finished);
        if !matches!(tie, Some(Tie::Attached | Tie::Told)) {
            return Err(format!("disposed of VS{id} twice or without a connection"));
        }
        // One that was let go before it had read the end is told what it lost when it reads on.
        if channel.readers.get(&id).is_some_and(|reader| reader.has_end) {
            channel.readers.remove(&id);
        }
        Ok(())
    }

    fn take_disconnected(&mut self, key: Key, id: u64, code: i64) -> Result<(), Complaint> {
        let channel = self.channels.get_mut(&key).expect("an open channel");
        channel.readers.remove(&id);
        match (channel.ties.remove(&id), code) {
            (Some(Tie::Finished), 0) | (None, 1) | (Some(Tie::Told), 0 | 1) => Ok(()),
            // What a channel has read to its end is known as long as there is memory.
            (Some(Tie::Finished), 1) if self.is_tight => Ok(()),
            (tie, code) => Err(format!("disconnect of VS{id} gives {code}, it was {tie:?}")),
        }
    }

    fn take_list(&mut self, objects: &[u8]) -> Result<(), Complaint> {
        for object in json(objects).as_array().ok_or("no array")? {
            let id = object["ID"].as_str().and_then(|name| name.strip_prefix("VS")?.parse().ok());
            let serial = object["ContextID"].as_str().and_then(|text| text.parse().ok());
            let (Some(id), Some(serial)) = (id, serial) else { continue };
            self.know(id, serial);
            let bounds = [&object["Start"], &object["End"], &object["BufferSize"]];
            let [Some(start), Some(end), Some(size)] = bounds.map(|value| value.as_u64()) else {
                return Err(format!("no numbers in {object}"));
            };
            let state = &self.streams[&id];
            let is_beyond = state.spec.is_patterned && !state.may_end_at(end);
            if start > end || end - start > size || is_beyond {
                return Err(format!("{object} when {:?} was written", state.writes));
            }
            if object.get("Key").is_some() {
                return Err("the key is told".to_owned());
            }
        }
        Ok(())
    }

    fn take_read(
        &mut self,
        key: Key,
        token: u64,
        id: u64,
        size: u64,
        args: &[Vec<u8>],
    ) -> Result<(), Complaint> {
        let data = binary(&args[0]);
        let code = error_code(&args[1]);
        let lost = json(&args[2]).as_u64().ok_or("no lost size")?;
        let eos = json(&args[3]).as_bool().ok_or("no end flag")?;
        if code != 0 {
            let is_known = [1, 4, 6, 16, 23].contains(&code);
            let is_plain = data.is_empty() && lost == 0 && eos == (code == 6);
            return match is_known && is_plain {
                true => Ok(()),
                false => Err(format!("a read of VS{id} fails with {code}, {lost}, {eos}")),
            };
        }
        let channel = self.channels.get_mut(&key).expect("an open channel");
        if channel.last_read.insert(id, token).is_some_and(|last| last > token) {
            return Err(format!("read {token} of VS{id} is answered out of order"));
        }
        if data.len() as u64 > size || (data.is_empty() && lost == 0 && !eos && size > 0) {
            return Err(format!("{} bytes for a read of {size} of VS{id}", data.len()));
        }
        let Some(reader) = channel.readers.get_mut(&id) else {
            return match data.is_empty() && lost == 0 && eos {
                true => Ok(()),
                false => Err(format!("data of VS{id} for a channel that does not read it")),
            };
        };
        let stream = self.streams.get_mut(&id).ok_or("an unknown stream")?;
        reader
            .take(id, stream, &data, lost, eos)
            .map_err(|complaint| format!("a read of VS{id}: {complaint}"))
    }

    /// Holds all bytes of streams with many writers against what was written.
    pub fn check_records(&self) -> Result<(), Complaint> {
        for (id, stream) in self.streams.iter().filter(|(_, stream)| !stream.spec.is_patterned) {
            let is_all = stream.end == Some(stream.seen.len() as u64)
                && stream.seen.iter().all(Option::is_some);
            let check = stream.records.check(&stream.seen, is_all);
            check.map_err(|complaint| format!("VS{id}: {complaint}"))?;
        }
        for (key, channel) in &self.channels {
            for (id, reader) in &channel.readers {
                let Some(stream) = self.streams.get(id) else { continue };
                let check = match stream.spec.is_patterned {
                    true => Ok(()),
                    false => stream.records.check(&reader.run, false),
                };
                check.map_err(|complaint| format!("channel {key}, VS{id}: {complaint}"))?;
            }
        }
        Ok(())
    }
}

/// Whether the stream's bytes from `at` on begin with `data`.
pub fn is_pattern(stream: u64, at: u64, data: &[u8]) -> bool {
    (at..).zip(data).all(|(offset, byte)| byte_at(stream, offset) == *byte)
}
