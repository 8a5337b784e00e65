//! Bytes that streams have let go and that somebody still holds: what waits to be sent.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::time::Instant;

/// Segments looked at in one turn, each a look at a reference count.
const LOOKS_PER_TURN: usize = 256;

/// Segments that a new one is compared with, to find one of the same memory.
const NEIGHBOURS: usize = 8;

/// What lies between two segments of the same memory: nothing in a block that gathers small writes,
/// the head of a message or a few in a receive buffer. Less than a head is what the allocator has
/// between memories of their own.
const GAP_BYTES: std::ops::RangeInclusive<usize> = 32..=1 << 10;

/// How long a segment counts at most. Two segments of one receive buffer, for two streams, keep
/// each other from ever being alone with their memory: they must not count for ever.
const PINNED_MAX: Duration = Duration::from_secs(30);

/// Segments that left their log while a reader's output, here or on another worker, had a part of
/// them. Many outputs may share one, so each is counted here, once and whole, and in no account.
#[derive(Debug, Default)]
pub(super) struct Pinned {
    segments: VecDeque<Segment>,
    bytes: u64,
}

/// Segments of one memory. The last is kept for all of them: if each were, none would ever be seen
/// to be the only one left.
#[derive(Debug)]
struct Segment {
    bytes: Bytes,
    /// What it and those before it count.
    count: u64,
    since: Instant,
}

impl Segment {
    fn is_beside(&self, other: &Bytes) -> bool {
        let (mine, its) = (self.bytes.as_ptr_range(), other.as_ptr_range());
        let gap = |end: *const u8, start: *const u8| {
            (start as usize)
                .checked_sub(end as usize)
                .is_some_and(|gap| gap == 0 || GAP_BYTES.contains(&gap))
        };
        gap(mine.end, its.start) || gap(its.end, mine.start)
    }
}

impl Pinned {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Counts a segment until nobody else has it.
    pub(super) fn pin(&mut self, now: Instant, bytes: Bytes) {
        let len = bytes.len() as u64;
        self.bytes += len;
        let mut latest = self.segments.iter_mut().rev().take(NEIGHBOURS);
        match latest.find(|segment| segment.is_beside(&bytes)) {
            Some(segment) => {
                segment.count += len;
                segment.bytes = bytes;
                segment.since = now;
            }
            None => self.segments.push_back(Segment { bytes, count: len, since: now }),
        }
    }

    /// Looks at some, those first that were not looked at for longest.
    pub(super) fn look(&mut self, now: Instant) {
        for _ in 0..self.segments.len().min(LOOKS_PER_TURN) {
            let Some(segment) = self.segments.pop_front() else { return };
            if segment.bytes.is_unique() || now.since(segment.since) >= PINNED_MAX {
                self.bytes -= segment.count;
            } else {
                self.segments.push_back(segment);
            }
        }
        if self.segments.is_empty() && self.segments.capacity() > LOOKS_PER_TURN {
            self.segments = VecDeque::new();
        }
    }

    /// Whether the sum is right.
    pub(super) fn is_sound(&self) -> bool {
        self.bytes == self.segments.iter().map(|segment| segment.count).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_counts_once_and_until_nobody_else_has_it() {
        let mut pinned = Pinned::default();
        let segment = Bytes::from(vec![0; 1000]);
        let readers = [segment.slice(..100), segment.slice(500..)];
        pinned.pin(Instant(0), segment);
        assert_eq!(pinned.bytes(), 1000);
        let [first, second] = readers;
        drop(first);
        pinned.look(Instant(1));
        assert_eq!((pinned.bytes(), pinned.is_empty()), (1000, false));
        drop(second);
        pinned.look(Instant(1));
        assert_eq!((pinned.bytes(), pinned.is_empty()), (0, true));
    }

    #[test]
    fn one_turn_looks_at_no_more_than_its_bound() {
        let mut pinned = Pinned::default();
        // Far enough from each other not to be taken for one memory.
        let between = GAP_BYTES.end() + 1;
        for _ in 0..=LOOKS_PER_TURN {
            let memory = Bytes::from(vec![0; 10_000 + 2 * between]);
            pinned.pin(Instant(0), memory.slice(between..between + 10_000));
        }
        pinned.look(Instant(1));
        assert_eq!(pinned.bytes(), 10_000);
        pinned.look(Instant(1));
        assert!(pinned.is_empty() && pinned.is_sound());
    }

    #[test]
    fn segments_of_one_memory_do_not_keep_each_other() {
        let mut pinned = Pinned::default();
        let memory = Bytes::from(vec![0; 10_000]);
        let reader = memory.slice(4_000..5_000);
        for at in [0, 3_000, 6_000] {
            pinned.pin(Instant(0), memory.slice(at + 100..at + 3_000));
        }
        drop(memory);
        pinned.look(Instant(1));
        assert_eq!(pinned.bytes(), 3 * 2_900);
        drop(reader);
        pinned.look(Instant(1));
        assert!(pinned.is_empty() && pinned.bytes() == 0);
    }

    #[test]
    fn nothing_counts_for_ever() {
        let mut pinned = Pinned::default();
        let memory = Bytes::from(vec![0; 10_000]);
        pinned.pin(Instant(0), memory.slice(..1_000));
        pinned.pin(Instant(0), memory.slice(9_000..));
        drop(memory);
        let end = Instant(0).plus(PINNED_MAX);
        pinned.look(Instant(end.0 - 1));
        assert_eq!(pinned.bytes(), 2_000);
        pinned.look(end);
        assert!(pinned.is_empty());
    }
}
