//! Writes that wait for room, in fair order.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use rustc_hash::FxHashMap;

use crate::id::{ChannelId, Token};
use crate::stream::Refusal;
use crate::time::Instant;

/// A write of which not all bytes have found room.
#[derive(Debug)]
pub(super) struct ParkedWrite {
    pub(super) token: Token,
    /// What has not been taken yet.
    pub(super) rest: Bytes,
    /// The size it came with.
    pub(super) size: u64,
    /// When it came.
    pub(super) since: Instant,
}

impl ParkedWrite {
    /// How many of its bytes have gone in.
    fn taken(&self) -> u64 {
        self.size - self.rest.len() as u64
    }

    /// What its writer is told where it ends early because its channel goes or gives way.
    pub(super) fn cancelled(&self) -> Refusal {
        match self.taken() {
            0 => Refusal::Cancelled,
            taken => Refusal::CancelledAfter { taken, size: self.size },
        }
    }

    /// What its writer is told where it ends early because the stream does.
    pub(super) fn end_of_file(&self) -> Refusal {
        match self.taken() {
            0 => Refusal::EndOfFile,
            taken => Refusal::EndOfFileAfter { taken, size: self.size },
        }
    }
}

/// The parked writes of one stream: each channel's in the order they came, the channels in turn, so
/// that a thousand of one do not starve one of another. A write that has begun to go in stays first
/// until its last byte: no other write's bytes come in between.
///
/// Holds no memory of its own until something is parked: most streams have nothing parked ever.
#[derive(Debug, Default)]
pub(super) struct ParkedWrites(Option<Box<Queues>>);

#[derive(Debug, Default)]
struct Queues {
    queues: FxHashMap<ChannelId, VecDeque<ParkedWrite>>,
    turns: VecDeque<ChannelId>,
    count: u64,
    bytes: u64,
}

impl ParkedWrites {
    pub(super) fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The count of parked writes.
    pub(super) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |queues| queues.count)
    }

    /// Their bytes that have found no room.
    pub(super) fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |queues| queues.bytes)
    }

    /// Parks a write behind the channel's others.
    pub(super) fn push(&mut self, channel: ChannelId, write: ParkedWrite) {
        self.0.get_or_insert_default().push(channel, write);
    }

    /// The write whose turn it is: its size, and how many of its bytes have not gone in.
    pub(super) fn first(&self) -> Option<(u64, u64)> {
        let queues = self.0.as_ref()?;
        let write = queues.queues.get(queues.turns.front()?)?.front()?;
        Some((write.size, write.rest.len() as u64))
    }

    /// Takes up to `space` bytes of the write whose turn it is, and the write itself where these
    /// were its last.
    pub(super) fn take(&mut self, space: u64) -> Option<(Bytes, Option<(ChannelId, ParkedWrite)>)> {
        self.0.as_mut()?.take(space)
    }

    /// Removes all that one channel has parked, in order.
    pub(super) fn remove_channel(&mut self, channel: ChannelId) -> VecDeque<ParkedWrite> {
        self.0.as_mut().map(|queues| queues.remove_channel(channel)).unwrap_or_default()
    }

    /// Removes everything, channel by channel.
    pub(super) fn remove_all(&mut self) -> Vec<(ChannelId, ParkedWrite)> {
        let mut all = Vec::new();
        let Some(mut queues) = self.0.take() else { return all };
        while let Some(&channel) = queues.turns.front() {
            all.extend(queues.remove_channel(channel).into_iter().map(|write| (channel, write)));
        }
        all
    }
}

impl Queues {
    fn push(&mut self, channel: ChannelId, write: ParkedWrite) {
        self.count += 1;
        self.bytes += write.rest.len() as u64;
        let queue = self.queues.entry(channel).or_default();
        if queue.is_empty() {
            self.turns.push_back(channel);
        }
        queue.push_back(write);
    }

    fn take(&mut self, space: u64) -> Option<(Bytes, Option<(ChannelId, ParkedWrite)>)> {
        let channel = *self.turns.front()?;
        let queue = self.queues.get_mut(&channel)?;
        let write = queue.front_mut()?;
        let len = space.min(write.rest.len() as u64);
        let mut piece = write.rest.copy_to_bytes(len as usize);
        if len < write.size / 4 {
            // It must not keep the memory of the whole write when the rest has gone.
            piece = Bytes::copy_from_slice(&piece);
        }
        self.bytes -= len;
        if !write.rest.is_empty() {
            return Some((piece, None));
        }
        let done = queue.pop_front()?;
        self.count -= 1;
        self.turns.pop_front();
        if queue.is_empty() {
            self.queues.remove(&channel);
        } else {
            self.turns.push_back(channel);
        }
        Some((piece, Some((channel, done))))
    }

    fn remove_channel(&mut self, channel: ChannelId) -> VecDeque<ParkedWrite> {
        let Some(queue) = self.queues.remove(&channel) else { return VecDeque::new() };
        self.turns.retain(|turn| *turn != channel);
        self.count -= queue.len() as u64;
        self.bytes -= queue.iter().map(|write| write.rest.len() as u64).sum::<u64>();
        queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::WorkerId;

    fn channel(slot: u32) -> ChannelId {
        ChannelId { worker: WorkerId(0), slot, generation: 0 }
    }

    fn write(text: &'static str) -> ParkedWrite {
        ParkedWrite {
            token: Token::new(text.as_bytes()),
            rest: Bytes::from_static(text.as_bytes()),
            size: text.len() as u64,
            since: Instant::default(),
        }
    }

    #[test]
    fn channels_take_turns_and_a_write_begun_is_finished_first() {
        let mut parked = ParkedWrites::default();
        for text in ["a1aa", "a2", "a3"] {
            parked.push(channel(1), write(text));
        }
        parked.push(channel(2), write("b1"));
        assert_eq!(parked.first(), Some((4, 4)));
        let mut order = Vec::new();
        while let Some((piece, done)) = parked.take(3) {
            order.push(String::from_utf8(piece.to_vec()).unwrap());
            if done.is_some() {
                order.push("|".into());
            }
        }
        assert_eq!(order.concat(), "a1aa|b1|a2|a3|");
        assert!(parked.is_empty() && parked.bytes() == 0 && parked.count() == 0);
    }

    #[test]
    fn removing_a_channel_leaves_the_others() {
        let mut parked = ParkedWrites::default();
        parked.push(channel(1), write("one"));
        parked.push(channel(2), write("two"));
        parked.push(channel(1), write("three"));
        assert_eq!(parked.remove_channel(channel(1)).len(), 2);
        assert_eq!((parked.count(), parked.bytes()), (1, 3));
        assert_eq!(parked.remove_all().len(), 1);
        assert!(parked.is_empty());
    }
}
