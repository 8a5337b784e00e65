//! Places in streams: what they keep for a peer whose connection breaks, and what it must find when
//! it comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weir::stream::{Direction, ReaderReport};
use weir::time::Instant;

use crate::asked::{Asked, Placing};
use crate::model::{Channel, Complaint, Key, Model, Tie};
use crate::reader::Reader;
use crate::support::message::json;

/// How long a disposed stream waits for a place that holds nobody up.
const VIEWER_GRACE: Duration = Duration::from_secs(5);

/// When something was asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    pub instant: Instant,
    /// How often everything had come to rest before.
    pub rests: u64,
}

/// A place that nobody but its peer takes.
#[derive(Debug)]
struct Place {
    holder: Key,
    /// Milliseconds; `None` is for ever.
    stall: Option<u64>,
    keep_for: u64,
    /// When it was asked for: its reader is called silent later than that.
    taken_at: Instant,
    /// What its home knows to be confirmed.
    confirmed: u64,
    /// What was confirmed since, and whether that was answered. The answer does not wait for the
    /// home: a peer that is back by way of another worker may be there first.
    later: Vec<(u64, bool)>,
    /// It was perhaps given up.
    is_doubtful: bool,
}

impl Place {
    /// The offsets from which it may hold the buffer.
    fn candidates(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.confirmed).chain(self.later.iter().map(|(offset, _)| *offset))
    }

    fn highest(&self) -> u64 {
        self.candidates().max().unwrap_or_default()
    }

    /// Whether it holds the buffer: the broker's clock is never faster than the world's.
    fn holds(&self, now: Instant) -> bool {
        self.stall.is_none_or(|stall| now.since(self.taken_at) < Duration::from_millis(stall))
    }

    /// Whether it is there, also if the stream was disposed: its host is there or not away for too
    /// long, and it is not let go.
    fn is_kept(&self, now: Instant, gone_since: Option<Instant>) -> bool {
        let keep_for = Duration::from_millis(self.keep_for);
        let is_waited_for = gone_since.is_none_or(|gone| now.since(gone) < keep_for);
        let grace = match self.stall {
            None => Duration::MAX,
            Some(0) => VIEWER_GRACE,
            Some(stall) => Duration::from_millis(stall),
        };
        is_waited_for && now.since(self.taken_at) < grace
    }
}

/// The places of all peers, by stream and peer.
#[derive(Debug, Default)]
pub struct Places {
    known: BTreeMap<(u64, usize), Place>,
    /// Those that a broken connection had asked for, and may still take from a newer one: how often
    /// everything had come to rest before.
    contested: BTreeMap<(u64, usize), u64>,
}

impl Places {
    fn held_by(&mut self, key: Key, stream: u64) -> Option<&mut Place> {
        let mut of_stream = self.known.range_mut((stream, 0)..=(stream, usize::MAX));
        of_stream.find(|(_, place)| place.holder == key).map(|(_, place)| place)
    }

    fn is_contested(&self, id: (u64, usize), asked: Moment) -> bool {
        self.contested.get(&id).is_some_and(|rests| asked.rests <= *rests)
    }

    /// The streams in which a peer has a place: those in which this connection of it has, or those
    /// in which another had.
    pub fn of(&self, peer: usize, key: Key, is_held: bool) -> Vec<u64> {
        let own = self.known.iter().filter(|((_, other), _)| *other == peer);
        let own = own.filter(|(_, place)| (place.holder == key) == is_held);
        own.map(|((stream, _), _)| *stream).collect()
    }

    /// What the channel has may be gone.
    pub fn doubt(&mut self, key: Key) {
        let held = self.known.values_mut().filter(|place| place.holder == key);
        held.for_each(|place| place.is_doubtful = true);
    }

    /// Notes a command that may change places.
    pub fn note_asked(&mut self, key: Key, asked: &Asked) {
        match asked {
            Asked::Confirm { stream, offset, .. } => {
                if let Some(place) = self.held_by(key, *stream) {
                    place.later.push((*offset, false));
                }
            }
            Asked::Disconnect(stream)
            | Asked::Adopt(stream)
            | Asked::TakePlace(stream, Placing { peer: None, .. }) => {
                if let Some(place) = self.held_by(key, *stream) {
                    place.is_doubtful = true;
                }
            }
            _ => {}
        }
    }

    fn note_confirmed(&mut self, key: Key, stream: u64, offset: u64, code: i64) {
        let Some(place) = self.held_by(key, stream) else { return };
        let waits = place.later.iter().position(|later| *later == (offset, false));
        match (waits, code) {
            (Some(index), 0) => place.later[index].1 = true,
            (Some(index), _) => drop(place.later.remove(index)),
            (None, _) => {}
        }
    }
}

impl Model {
    pub fn moment(&self) -> Moment {
        Moment { instant: self.now, rests: self.rests }
    }

    /// The channel's connection may have ended for the broker from now on.
    pub fn may_be_gone(&mut self, key: Key) {
        let now = self.now;
        self.channels.get_mut(&key).expect("a channel").gone_since.get_or_insert(now);
    }

    /// The peer has lost the channel, and what it had asked for may be done or not.
    pub fn lose(&mut self, key: Key) {
        self.may_be_gone(key);
        let channel = self.channels.get_mut(&key).expect("a channel");
        channel.is_lost = true;
        let pending = std::mem::take(&mut channel.pending);
        for asked in pending.values() {
            if let Asked::TakePlace(stream, Placing { peer: Some(peer), .. }) = asked {
                self.places.known.remove(&(*stream, *peer));
                self.places.contested.insert((*stream, *peer), self.rests);
            }
        }
    }

    /// Everything has come to rest: what was answered has reached the streams' homes.
    pub fn rest(&mut self) {
        self.rests += 1;
        for place in self.places.known.values_mut() {
            let answered = place.later.iter().take_while(|(_, is_answered)| *is_answered).count();
            if let Some((offset, _)) = place.later.drain(..answered).next_back() {
                place.confirmed = offset;
            }
        }
    }

    /// Asks to confirm everything before `offset`, and knows what must come of it.
    pub fn confirm(&self, key: Key, stream: u64, offset: u64) -> Asked {
        Asked::Confirm { stream, offset, must_succeed: self.may_confirm(key, stream, offset) }
    }

    fn may_confirm(&self, key: Key, stream: u64, offset: u64) -> Option<bool> {
        let channel = &self.channels[&key];
        let moves = |asked: &Asked| match asked {
            Asked::Attach { stream: other, .. }
            | Asked::TakePlace(other, _)
            | Asked::Connect(other)
            | Asked::Disconnect(other)
            | Asked::Adopt(other) => *other == stream,
            Asked::Subscribe(_) => true,
            _ => false,
        };
        if channel.pending.values().any(moves) {
            return None;
        }
        let mut places = self.places.known.range((stream, 0)..=(stream, usize::MAX));
        let (_, place) = places.find(|(_, place)| place.holder == key && !place.is_doubtful)?;
        let reader = channel.readers.get(&stream).filter(|reader| !reader.is_uncertain)?;
        if offset < place.confirmed {
            return Some(false);
        }
        (place.highest()..=reader.place()?).contains(&offset).then_some(true)
    }

    /// A confirmation was answered.
    pub fn take_confirmed(
        &mut self,
        key: Key,
        stream: u64,
        offset: u64,
        code: i64,
    ) -> Result<(), Complaint> {
        self.places.note_confirmed(key, stream, offset, code);
        let state = &self.streams[&stream];
        match code == 0 && state.spec.is_patterned && offset > state.handed {
            true => Err(format!("{offset} is confirmed, of {} that were written", state.handed)),
            false => Ok(()),
        }
    }

    /// The place that is certainly there, if the peer asked for it when it says.
    fn kept_place(&self, stream: u64, placing: &Placing) -> Option<&Place> {
        let id = (stream, placing.peer?);
        let place = self.places.known.get(&id)?;
        let gone_since = self.channels[&place.holder].gone_since;
        if self.is_tight && gone_since.is_some() {
            // A stream that nobody owns gives way to others, with the places of those who are away.
            return None;
        }
        let is_certain = !place.is_doubtful && !self.places.is_contested(id, placing.asked);
        (is_certain && place.is_kept(self.now, gone_since)).then_some(place)
    }

    /// Whether the peer has not heard of a place that it has asked for.
    fn waits_for_place(&self, stream: u64, peer: usize) -> bool {
        let mut pending = self.channels.values().flat_map(|channel| channel.pending.values());
        pending.any(|asked| match asked {
            Asked::TakePlace(other, placing) => (*other, placing.peer) == (stream, Some(peer)),
            _ => false,
        })
    }

    /// Whether all of the stream may be confirmed by that place, so that nothing keeps it.
    fn may_be_complete(&self, stream: u64, place: &Place) -> bool {
        let Some(state) = self.streams.get(&stream) else { return true };
        place.highest() >= state.acked.max(state.seen.len() as u64)
    }

    /// The peer was refused its place.
    pub fn take_unplaced(
        &self,
        stream: u64,
        placing: &Placing,
        code: i64,
    ) -> Result<(), Complaint> {
        let Some(place) = self.kept_place(stream, placing) else { return Ok(()) };
        match code {
            16 if !self.may_be_complete(stream, place) => {
                Err(format!("VS{stream} is gone, and {place:?} should keep it"))
            }
            20 if placing.from.is_none() => Err(format!("{placing:?} is refused, {place:?}")),
            _ => Ok(()),
        }
    }

    /// The peer was given its place.
    pub fn take_placed(
        &mut self,
        key: Key,
        stream: u64,
        placing: Placing,
        args: &[Vec<u8>],
    ) -> Result<(), Complaint> {
        let (position, lost) = position_of(&args[1])?;
        if placing.from.is_some_and(|from| from + lost != position) {
            return Err(format!("{placing:?} gives {position}, {lost} lost"));
        }
        if let Some(place) = self.kept_place(stream, &placing) {
            let is_known = place.candidates().any(|offset| offset + lost == position);
            if placing.from.is_none() && !is_known {
                return Err(format!("{place:?} is taken up at {position}, {lost} lost"));
            }
            let is_behind = placing.from.is_some_and(|from| from < place.highest());
            if lost > 0 && !is_behind && place.holds(self.now) {
                return Err(format!("{place:?} lost {lost} bytes before {position}"));
            }
        }
        self.places.known.retain(|(other, _), place| *other != stream || place.holder != key);
        let is_reader = self.seat(key, stream, position, placing.stall);
        let Some(id) = placing.peer.map(|peer| (stream, peer)) else { return Ok(()) };
        if !is_reader || self.places.is_contested(id, placing.asked) {
            self.places.known.remove(&id);
            return Ok(());
        }
        let later = |asked: &Asked| match asked {
            Asked::Confirm { stream: other, offset, .. } if *other == stream => {
                Some((*offset, false))
            }
            _ => None,
        };
        let place = Place {
            holder: key,
            stall: placing.stall,
            keep_for: placing.keep_for,
            taken_at: placing.asked.instant,
            confirmed: position,
            later: self.channels[&key].pending.values().filter_map(later).collect(),
            is_doubtful: self.channels[&key].pending.values().any(|asked| gives_up(asked, stream)),
        };
        self.places.known.insert(id, place);
        Ok(())
    }

    /// The channel is connected to the stream and reads from `position` on. Whether it does read is
    /// not known of all: one that cannot is told the end, which is no place to read from, and
    /// creators change. Returns whether it is.
    pub fn seat(&mut self, key: Key, stream: u64, position: u64, stall: Option<u64>) -> bool {
        self.tie(key, stream);
        let state = &self.streams[&stream];
        let is_owner = state.owners.contains(&key);
        let is_uncertain = match state.spec.direction {
            Direction::In => !is_owner || state.spec.key.is_some(),
            Direction::Out => is_owner,
            Direction::Bus => false,
        };
        let reader = if is_uncertain { Reader::uncertain() } else { Reader::at(position, stall) };
        let channel = self.channels.get_mut(&key).expect("an open channel");
        channel.readers.insert(stream, reader);
        !is_uncertain
    }

    /// At rest: each place that must be there is, and holds the buffer from where it should. In
    /// `open` are the channels whose peers have heard everything.
    pub fn check_places(
        &self,
        readers: &[&ReaderReport],
        open: &BTreeSet<Key>,
    ) -> Result<(), Complaint> {
        for &(stream, peer) in self.places.known.keys() {
            let placing = Placing::own(peer, self.moment());
            let Some(place) = self.kept_place(stream, &placing) else { continue };
            if self.waits_for_place(stream, peer) {
                continue;
            }
            let name = placing.name();
            let told = readers.iter().filter(|reader| reader.stream.0 == stream);
            let mut told = told.filter_map(|reader| reader.place.as_ref());
            let holder: &Channel = &self.channels[&place.holder];
            let is_open = open.contains(&place.holder);
            let is_reported =
                holder.is_lost || (is_open && holder.ties.get(&stream) == Some(&Tie::Attached));
            match told.find(|told| *told.name == *name) {
                Some(told) if place.candidates().all(|offset| offset != told.confirmed.0) => {
                    return Err(format!("VS{stream}: {place:?}, and {told:?}"));
                }
                None if is_reported && !self.may_be_complete(stream, place) => {
                    return Err(format!("VS{stream}: {place:?} is not there"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a command may end the channel's place in a stream.
fn gives_up(asked: &Asked, stream: u64) -> bool {
    match asked {
        Asked::Disconnect(other) | Asked::Adopt(other) => *other == stream,
        Asked::TakePlace(other, placing) => *other == stream && placing.peer.is_none(),
        _ => false,
    }
}

/// What `attach` tells: the position, and how much before it is gone.
pub fn position_of(arg: &[u8]) -> Result<(u64, u64), Complaint> {
    let place = json(arg);
    let position = place["Position"].as_u64().ok_or("no Position")?;
    let lost = place["Lost"].as_u64().ok_or("no Lost")?;
    Ok((position, lost))
}
