//! Channels that the driver should look at, in which order.

use std::collections::VecDeque;

use crate::id::ChannelId;

/// Output up to which a channel is looked at before those with more: what a send of it costs is the
/// call, not the bytes.
const LITTLE_BYTES: usize = 16 << 10;

/// One in so many is of those with much output, however many have little.
const MUCH_EACH: usize = 16;

/// Channels to look at. Who waits for a short reply does not wait behind a thousand long ones.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    little: VecDeque<ChannelId>,
    much: VecDeque<ChannelId>,
    /// Taken from `little` since one was taken from `much`.
    taken: usize,
}

impl ReadyQueue {
    /// Adds a channel with so many unsent bytes.
    pub(super) fn push(&mut self, channel: ChannelId, unsent_bytes: usize) {
        let queue = if unsent_bytes > LITTLE_BYTES { &mut self.much } else { &mut self.little };
        queue.push_back(channel);
    }

    /// The next channel.
    pub(super) fn pop(&mut self) -> Option<ChannelId> {
        if self.taken + 1 < MUCH_EACH
            && let Some(channel) = self.little.pop_front()
        {
            self.taken += 1;
            return Some(channel);
        }
        self.taken = 0;
        self.much.pop_front().or_else(|| self.little.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::WorkerId;

    fn channel(slot: u32) -> ChannelId {
        ChannelId { worker: WorkerId(0), slot, generation: 0 }
    }

    #[test]
    fn who_has_little_to_send_comes_first_and_nobody_waits_for_ever() {
        let mut ready = ReadyQueue::default();
        ready.push(channel(1000), LITTLE_BYTES + 1);
        ready.push(channel(1001), usize::MAX);
        for slot in 0..100 {
            ready.push(channel(slot), if slot % 2 == 0 { 0 } else { LITTLE_BYTES });
        }
        let order: Vec<u32> = std::iter::from_fn(|| ready.pop()).map(|it| it.slot).collect();
        let little: Vec<u32> = order.iter().copied().filter(|slot| *slot < 1000).collect();
        assert_eq!(little, (0..100).collect::<Vec<_>>());
        let much = |slot| order.iter().position(|it| *it == slot).unwrap();
        assert_eq!((much(1000), much(1001)), (MUCH_EACH - 1, 2 * MUCH_EACH - 1));
        assert_eq!(order.len(), 102);
    }
}
