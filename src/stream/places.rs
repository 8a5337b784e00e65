//! Places: readers' kept positions in a stream, by name, whether their hosts are there or away.

use std::sync::Arc;
use std::time::Duration;

use crate::id::{ChannelId, Offset};
use crate::stream::readers::{Stall, let_go_time};
use crate::stream::{Introduction, StallTimeout};
use crate::time::Instant;

/// One place.
///
/// Invariant: `confirmed` is not behind the log's end. Nobody holds the place while it is away.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) name: Arc<str>,
    /// The channel, of any worker, whose reader has it.
    pub(super) holder: Option<ChannelId>,
    pub(super) host: Host,
    /// Who had it last.
    pub(super) channel: ChannelId,
    /// It holds the buffer from here.
    pub(super) confirmed: Offset,
    pub(super) stall_timeout: StallTimeout,
    pub(super) keep_for: Duration,
    /// Until when it waits for its host.
    pub(super) away_until: Option<Instant>,
    pub(super) is_lagging: bool,
    /// When it was taken up, or confirmed last.
    pub(super) progress_at: Instant,
}

/// Who has a place, or had it last, for people.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) peer: Arc<str>,
    /// What it had said of itself when it took the place.
    pub(super) introduction: Option<Arc<Introduction>>,
}

impl Place {
    fn holds(&self) -> bool {
        !self.is_lagging && self.stall_timeout != StallTimeout::After(Duration::ZERO)
    }

    fn stall_deadline(&self, full_since: Instant) -> Option<Instant> {
        match self.stall_timeout {
            StallTimeout::After(time) if self.holds() => {
                Some(full_since.max(self.progress_at).plus(time))
            }
            _ => None,
        }
    }

    /// When it goes: its host stays away too long, or confirms nothing of a disposed stream.
    fn deadline(&self, let_go_from: Option<Instant>) -> Option<Instant> {
        let let_go = let_go_from.zip(let_go_time(self.stall_timeout));
        let let_go = let_go.map(|(from, time)| from.max(self.progress_at).plus(time));
        self.away_until.into_iter().chain(let_go).min()
    }
}

/// The places of one stream, at its home. Most streams have none.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Place>);

/// What a place costs, beside its texts.
const PLACE_BYTES: u64 = 2 * std::mem::size_of::<Place>() as u64;

impl Places {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Place> {
        self.0.iter()
    }

    /// What a place of this name costs with this host.
    pub(super) fn cost(name: &str, host: &Host) -> u64 {
        let said = host.introduction.as_ref().map_or(0, |who| who.bytes());
        PLACE_BYTES + (name.len() + host.peer.len()) as u64 + said
    }

    /// What they cost together.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|place| Places::cost(&place.name, &place.host)).sum()
    }

    pub(super) fn named(&self, name: &str) -> Option<&Place> {
        self.0.iter().find(|place| &*place.name == name)
    }

    fn of(&mut self, channel: ChannelId) -> Option<&mut Place> {
        self.0.iter_mut().find(|place| place.holder == Some(channel))
    }

    /// Whether the channel has a place.
    pub(super) fn is_held_by(&self, channel: ChannelId) -> bool {
        self.0.iter().any(|place| place.holder == Some(channel))
    }

    /// Puts a place where one of its name was, or beside the others; gives the one that was there.
    pub(super) fn put(&mut self, place: Place) -> Option<Place> {
        match self.0.iter_mut().find(|known| known.name == place.name) {
            Some(known) => Some(std::mem::replace(known, place)),
            None => {
                self.0.push(place);
                None
            }
        }
    }

    /// Removes a place, whoever has it.
    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|place| &*place.name != name);
    }

    /// Removes the places that the channel has.
    pub(super) fn give_up(&mut self, channel: ChannelId) {
        self.0.retain(|place| place.holder != Some(channel));
    }

    /// The channel that has a place is gone: the place stays for a while.
    pub(super) fn leave(&mut self, now: Instant, channel: ChannelId) {
        let Some(place) = self.of(channel) else { return };
        if place.keep_for.is_zero() {
            return self.give_up(channel);
        }
        place.holder = None;
        place.away_until = Some(now.plus(place.keep_for));
    }

    /// The channel confirms everything before `offset`; what is before `start` is gone. A channel
    /// whose place another has taken says nothing by it.
    pub(super) fn confirm(
        &mut self,
        now: Instant,
        channel: ChannelId,
        offset: Offset,
        start: Offset,
    ) {
        let Some(place) = self.of(channel) else { return };
        if offset > place.confirmed {
            place.confirmed = offset;
            place.progress_at = now;
        }
        place.is_lagging &= offset < start;
    }

    /// The lowest offset that holds the buffer.
    pub(super) fn holding_floor(&self) -> Option<Offset> {
        self.0.iter().filter(|place| place.holds()).map(|place| place.confirmed).min()
    }

    /// The lowest offset of all.
    pub(super) fn floor(&self) -> Option<Offset> {
        self.0.iter().map(|place| place.confirmed).min()
    }

    /// Makes lagging every place that has confirmed nothing for its timeout while the stream was
    /// full. Returns which.
    pub(super) fn expire_stalls(
        &mut self,
        now: Instant,
        full_since: Instant,
        end: Offset,
    ) -> Vec<Stall> {
        let mut stalls = Vec::new();
        for place in &mut self.0 {
            let is_due = place.stall_deadline(full_since).is_some_and(|due| due <= now);
            if is_due && place.confirmed < end {
                place.is_lagging = true;
                stalls.push(Stall {
                    channel: place.channel,
                    stall_timeout: place.stall_timeout,
                    lag: end.since(place.confirmed),
                    silent_for: now.since(place.progress_at),
                });
            }
        }
        stalls
    }

    /// Removes the places whose time is over.
    pub(super) fn expire(&mut self, now: Instant, let_go_from: Option<Instant>) {
        self.0.retain(|place| place.deadline(let_go_from).is_none_or(|due| due > now));
    }

    /// Removes the place of a channel that has confirmed all of a stream which is over.
    pub(super) fn complete(&mut self, channel: ChannelId, end: Offset) {
        self.0.retain(|place| place.holder != Some(channel) || place.confirmed < end);
    }

    /// When time alone changes something.
    pub(super) fn next_timer(
        &self,
        full_since: Option<Instant>,
        let_go_from: Option<Instant>,
        now: Instant,
        end: Offset,
    ) -> Option<Instant> {
        let stall = |place: &Place| {
            let since = full_since?;
            place.stall_deadline(if place.confirmed < end { since } else { since.max(now) })
        };
        let stalls = self.0.iter().filter_map(stall);
        stalls.chain(self.0.iter().filter_map(|place| place.deadline(let_go_from))).min()
    }
}
