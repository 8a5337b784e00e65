//! Long answers, made in pieces: what a subscription finds and is told of, and lists.

use std::sync::Arc;

use crate::id::{ChannelId, StreamId};
use crate::stream::From;
use crate::stream::engine::Engine;
use crate::stream::message::{Asker, Body, Grant};
use crate::stream::parties::Found;
use crate::time::Instant;

/// Streams that all walks of one engine look at in one turn: a millisecond or so.
const STEPS_PER_TURN: usize = 1_024;

/// Streams that one walk looks at before the next has its turn, and so the most that one message
/// between workers tells of.
const STEPS_PER_PIECE: usize = 256;

/// Messages that may wait for another worker before a walk for it makes more.
const PIECES_AHEAD: usize = 8;

/// A walk over the streams here for one channel, oldest first. It ends with those that were there
/// when it began: later ones are announced.
#[derive(Debug)]
pub(super) struct Walk {
    asker: Asker,
    wanted: Arc<str>,
    quest: Quest,
    last: Option<StreamId>,
    until: StreamId,
}

/// What a walk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quest {
    /// Streams that a subscription covers.
    Find,
    /// To tell the channel of those.
    Tell,
    /// A list.
    List,
}

impl Engine {
    /// Begins a walk, which may be over at once.
    pub(super) fn begin_walk(
        &mut self,
        now: Instant,
        asker: Asker,
        wanted: Arc<str>,
        quest: Quest,
    ) {
        let walk = Walk { asker, wanted, quest, last: None, until: self.next_id() };
        self.go_on(now, walk);
    }

    /// Goes on telling a channel whose peer takes in again what it is told.
    pub(super) fn resume_telling(&mut self, channel: ChannelId) {
        let Some(party) = self.front.parties.get(channel) else { return };
        if let Some(wanted) = party.telling_of() {
            let (asker, until) = (party.asker(), self.next_id());
            self.walks.push_back(Walk { asker, wanted, quest: Quest::Tell, last: None, until });
        }
    }

    /// Goes on with the walks, as far as one turn may.
    pub(super) fn walk_on(&mut self, now: Instant) {
        let mut steps = 0;
        for _ in 0..self.walks.len() {
            if steps >= STEPS_PER_TURN {
                return;
            }
            let Some(walk) = self.walks.pop_front() else { return };
            if self.is_blocked(&walk) {
                self.walks.push_back(walk);
            } else {
                steps += STEPS_PER_PIECE;
                self.go_on(now, walk);
            }
        }
    }

    /// Whether another turn would bring a walk on.
    pub(super) fn can_walk(&self) -> bool {
        self.walks.iter().any(|walk| !self.is_blocked(walk))
    }

    /// Whether the worker that a walk is for has yet to take in what there is.
    fn is_blocked(&self, walk: &Walk) -> bool {
        let to = walk.asker.channel.worker;
        to != self.front.me && self.front.outgoing[to.index()].queue.len() >= PIECES_AHEAD
    }

    fn go_on(&mut self, now: Instant, mut walk: Walk) {
        let channel = walk.asker.channel;
        if walk.quest == Quest::Tell {
            if self.tell_found(now, channel, STEPS_PER_PIECE) {
                self.walks.push_back(walk);
            }
            return;
        }
        let ids: Vec<StreamId> = self
            .streams
            .after(walk.last)
            .take_while(|id| *id < walk.until)
            .take(STEPS_PER_PIECE)
            .collect();
        walk.last = ids.last().copied().or(walk.last);
        let is_last = ids.len() < STEPS_PER_PIECE;
        match walk.quest {
            Quest::List => self.list_piece(&walk, &ids, is_last),
            _ => self.find_piece(now, &walk, &ids, is_last),
        }
        if !is_last {
            self.walks.push_back(walk);
        }
    }

    fn list_piece(&mut self, walk: &Walk, ids: &[StreamId], is_last: bool) {
        let channel = walk.asker.channel;
        let streams = ids.iter().filter_map(|id| self.streams.get(id));
        let streams = streams
            .filter(|stream| stream.meta.matches(&walk.wanted) && stream.is_seen_by(&walk.asker))
            .map(|stream| self.report_stream(stream))
            .collect();
        if channel.worker == self.front.me {
            return self.take_listed(channel, streams, is_last);
        }
        self.front.send(channel.worker, Body::Listed { channel, streams, is_last });
    }

    fn find_piece(&mut self, now: Instant, walk: &Walk, ids: &[StreamId], is_last: bool) {
        let channel = walk.asker.channel;
        if channel.worker == self.front.me {
            for id in ids {
                let Some(stream) = self.streams.get(id) else { continue };
                if !self.is_found(now, walk, *id) {
                    continue;
                }
                let found = Found { meta: stream.meta.clone(), is_new: false };
                if let Some(party) = self.front.parties.get_mut(channel) {
                    party.note_found(found, &mut self.front.budget);
                }
            }
            if is_last {
                self.note_found_all(now, channel);
            }
            return;
        }
        let mut grants = Vec::new();
        for id in ids {
            if self.is_found(now, walk, *id) {
                grants.extend(self.grant_or_tell(now, &walk.asker, *id));
            }
        }
        self.front.send(channel.worker, Body::Subscribed { channel, grants, is_last });
    }

    fn is_found(&self, now: Instant, walk: &Walk, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|stream| {
            stream.meta.matches(&walk.wanted)
                && stream.is_seen_by(&walk.asker)
                && stream.accepts(now, Some(walk.asker.channel))
        })
    }

    /// Leave to read or write the stream; where the channel may do neither, what it takes to tell
    /// it of the stream.
    fn grant_or_tell(&mut self, now: Instant, asker: &Asker, id: StreamId) -> Option<Grant> {
        match self.grant(now, asker, id, From::Oldest, false) {
            Ok(grant) => Some(grant),
            Err(_) => self.streams.get(&id).map(|stream| stream.grant_to_writer()),
        }
    }
}
