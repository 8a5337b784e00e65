//! What channels hold outside of the core, and which of them wait for memory.
//!
//! A message of up to `short_bytes` is taken in as long as such messages do not hold much together,
//! since it may be the command that makes memory free. A longer one is not, where the channel's
//! account has no room: the socket is not read until there is some. That could wait for ever in two
//! cases, so they are kept out. Where the channel reads streams itself, what would free the memory
//! may be behind the message: the channel is closed with code 4. Where nothing but such messages
//! holds the memory, none would ever be whole: one of them at a time goes on beyond the limit,
//! which costs one message.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::{Held, Pause};
use crate::id::ChannelId;
use crate::service::{error_code, error_report};
use crate::stream::Engine;
use crate::time::{Instant, Now};
use crate::wire::WireError;
use crate::worker::Favour;
use crate::worker::shard::Shard;
use crate::worker::shard::peer::Peer;

/// Unsent bytes of a channel up to which events are added whatever its account says: a peer that is
/// merely slow while the memory is short is not given up.
const EVENTS_BYTES_MIN: u64 = 16 << 10;

/// How often at least it is looked, while a channel waits for memory, whether another worker has
/// sent what it had of it.
const LOOK_FOR_MEMORY_EACH: Duration = Duration::from_millis(20);

/// The queue for memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Channels with a long message under way that are not read.
    starved: VecDeque<ChannelId>,
    /// Without it no message may go on beyond the limit.
    favour: Arc<Favour>,
}

impl Memory {
    /// Counts what a channel holds now, in place of what it held.
    pub(super) fn count(&mut self, engine: &mut Engine, peer: &mut Peer) {
        let now = peer.endpoint.held();
        replace(engine, peer, now);
    }

    /// Counts a message under way no more: it may be whole with the next step.
    pub(super) fn release_message(&mut self, engine: &mut Engine, peer: &mut Peer) {
        if peer.counted.receiving > 0 {
            let now = Held { receiving: 0, ..peer.counted };
            replace(engine, peer, now);
        }
    }
}

fn replace(engine: &mut Engine, peer: &mut Peer, now: Held) {
    if peer.counted != now {
        peer.counted = now;
        engine.set_outside_bytes(peer.id, now.unsent, now.receiving);
    }
}

impl Shard {
    /// Shares with other workers who may let a message go on beyond the limit.
    pub fn share_favour(&mut self, favour: Arc<Favour>) {
        self.memory.favour = favour;
    }

    /// Counts a message under way, and stops reading a channel whose message there is no memory
    /// for.
    pub(super) fn look_after_input(&mut self, now: Now, channel: ChannelId) {
        let Some(peer) = self.peers.get_mut(channel) else { return };
        self.memory.count(&mut self.engine, peer);
        let receiving = peer.counted.receiving;
        let is_long = receiving > self.limits.stream.short_bytes
            || (receiving > self.limits.stream.stream_bytes_min
                && self.engine.is_full_of_messages());
        if !is_long || peer.endpoint.pauses.contains(Pause::Memory) || self.engine.has_room(channel)
        {
            return;
        }
        if self.engine.favoured() == Some(channel) || self.favour(channel) {
            return;
        }
        if self.engine.has_readers(channel) {
            let text = "No memory for a long message of a channel that also reads".to_owned();
            return self.refuse(now, channel, &WireError::Limit(text));
        }
        if let Some(peer) = self.peers.get_mut(channel) {
            peer.endpoint.pauses.insert(Pause::Memory);
            self.memory.starved.push_back(channel);
        }
    }

    /// Lets one channel go on beyond the limit, if none may and only messages under way are in its
    /// way.
    fn favour(&mut self, channel: ChannelId) -> bool {
        let may = self.may_favour() && self.memory.favour.take(self.me);
        if may {
            self.engine.favour(Some(channel));
        }
        may
    }

    /// Goes on with the channels that wait for memory, as far as there is some.
    pub(super) fn feed_starved(&mut self) {
        if let Some(favoured) = self.engine.favoured() {
            let receiving =
                self.peers.get(favoured).map_or(0, |peer| peer.endpoint.held().receiving);
            // Any more of it may be what the others wait for.
            if receiving <= self.limits.stream.stream_bytes_min {
                self.engine.favour(None);
            }
        }
        if self.engine.favoured().is_none() && !self.engine.has_parked_beyond() {
            self.memory.favour.give_back(self.me);
        }
        // One a turn: what it receives then is counted before the next may go on.
        if !self.can_feed() {
            return;
        }
        if let Some(channel) = self.memory.starved.pop_front() {
            let has_room = self.engine.has_room(channel);
            let Some(peer) = self.peers.get_mut(channel) else { return };
            peer.endpoint.pauses.remove(Pause::Memory);
            if !has_room {
                self.favour(channel);
            }
            self.mark_ready(channel);
        }
    }

    /// Whether a channel that waits for memory could go on.
    pub(super) fn can_feed(&self) -> bool {
        let Some(&channel) = self.memory.starved.front() else { return false };
        let is_there = self.peers.get(channel).is_some();
        !is_there || self.engine.has_room(channel) || self.may_favour()
    }

    /// When to look for memory next.
    pub(super) fn next_look_for_memory(&self) -> Option<Instant> {
        let look = self.now.instant.plus(LOOK_FOR_MEMORY_EACH);
        (!self.memory.starved.is_empty()).then_some(look)
    }

    fn may_favour(&self) -> bool {
        self.engine.favoured().is_none()
            && !self.engine.is_memory_spent_but_receiving()
            && self.memory.favour.is_free_for(self.me)
    }

    /// Ends a channel that takes in no events while its account has no room for more of them:
    /// unlike a reply, an event cannot be refused.
    pub(super) fn look_after_events(&mut self, now: Now, channel: ChannelId) {
        let Some(peer) = self.peers.get(channel) else { return };
        let is_behind =
            peer.endpoint.pauses.contains(Pause::Unsent) && peer.counted.unsent > EVENTS_BYTES_MIN;
        if is_behind && !self.engine.has_room(channel) {
            self.end_overrun(now, channel);
        }
    }

    pub(super) fn end_overrun(&mut self, now: Now, channel: ChannelId) {
        let Some(peer) = self.peers.get(channel) else { return };
        let unsent = peer.endpoint.outbound.output.len();
        let text = "The peer does not take in the events of its subscriptions";
        tracing::warn!(worker = %self.me, %channel, peer = %peer.address, bytes = unsent, "{text}");
        let report = error_report(error_code::BUFFER_OVERFLOW, now.unix_ms, text);
        self.end_now(now, channel, Some(report));
    }
}
