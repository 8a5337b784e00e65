//! How much one turn may do, so that one fat agent does not starve ten thousand quiet hosts.

use std::time::Duration;

/// Bytes read in one turn from the only connection that writes; where there are more, half of it
/// from each. What was read is sent at the end of the turn, so this is what a send to a reader may
/// hold; each costs the kernel as much again as copying a hundred kilobytes. More than the
/// second-level cache holds would be copied from further away.
const RECEIVE_BYTES_PER_TURN: usize = 512 << 10;

/// Bytes read in one turn from one connection, however long turns take and where it does not write:
/// a receive buffer full.
const RECEIVE_BYTES_MIN: usize = RECEIVE_BUFFER_BYTES;

/// The buffer that the connections of a worker are read into, one after the other.
pub(crate) const RECEIVE_BUFFER_BYTES: usize = 64 << 10;

/// Bytes read behind the rest of a long block: the head of the next message, and little of a block
/// in that.
pub(crate) const READ_AHEAD_BYTES: usize = 2 << 10;

/// Buffers of which parts are kept that a worker remembers, to use them again. Beyond that they are
/// the allocator's.
pub(crate) const RECEIVE_BUFFERS_MAX: usize = 64;

/// Mail taken in one turn; the rest is taken in the next, before the worker may sleep.
const MAIL_PER_TURN: usize = 1024;

/// Sessions that do not write which are attended to in one turn. Then writers are looked for anew,
/// so that a write does not wait behind the reads of all its readers.
const OTHERS_PER_TURN: usize = 16;

/// Slices handed to one `writev`. The kernel takes up to 1024; past a few dozen the call costs
/// nothing.
pub(crate) const SLICES_PER_WRITE: usize = 64;

/// How often one turn lets what was sent make new output possible before it looks at the sockets
/// again.
pub(crate) const SETTLES_PER_TURN: usize = 4;

/// Readiness taken from the kernel at once.
pub(crate) const READINESS_PER_TURN: usize = 1024;

/// Bytes of a peer thrown away after the end of its channel; a peer that floods is cut off.
pub(crate) const DISCARD_BYTES_MAX: u64 = 64 << 20;

/// A turn that took longer has less to read in the next: many fast streams, or thousands of readers
/// of one, are served a little at a time, so that quiet channels of the same worker do not wait for
/// long.
const TURN_TIME_MAX: Duration = Duration::from_millis(50);

/// A turn that took less has more to read in the next: twice as much is then not too much.
const TURN_TIME_MIN: Duration = Duration::from_millis(25);

/// How much a worker does in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnBudget {
    /// Mail taken. The rest is taken in the next turn, before the worker may sleep.
    pub mail: usize,
    /// Sessions attended to that do not write.
    pub others: usize,
    /// Bytes read from one connection where it does not write, and from each that writes where
    /// turns take long.
    pub receive_bytes_min: usize,
    /// Bytes read from the only connection that writes.
    pub receive_bytes_max: usize,
}

impl Default for TurnBudget {
    fn default() -> TurnBudget {
        TurnBudget {
            mail: MAIL_PER_TURN,
            others: OTHERS_PER_TURN,
            receive_bytes_min: RECEIVE_BYTES_MIN,
            receive_bytes_max: RECEIVE_BYTES_PER_TURN,
        }
    }
}

/// What a worker reads in one turn from each connection that writes, by how long its turns take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiveBudget {
    bytes: usize,
    bytes_min: usize,
    bytes_max: usize,
}

impl ReceiveBudget {
    /// As much as a turn ever reads.
    pub(crate) fn new(turn: &TurnBudget) -> ReceiveBudget {
        let (bytes_min, bytes_max) = (turn.receive_bytes_min, turn.receive_bytes_max);
        ReceiveBudget { bytes: bytes_max, bytes_min, bytes_max }
    }

    /// Takes into account how long a turn took.
    pub(crate) fn note_turn(&mut self, busy: Duration) {
        if busy > TURN_TIME_MAX {
            self.bytes = (self.bytes / 2).max(self.bytes_min);
        } else if busy < TURN_TIME_MIN {
            self.bytes = (self.bytes * 2).min(self.bytes_max);
        }
    }

    /// What each of `writers` connections may bring.
    pub(crate) fn share(self, writers: usize) -> usize {
        (self.bytes / writers.clamp(1, 2)).max(self.bytes_min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_turns_read_less_and_short_ones_more_within_bounds() {
        let mut budget = ReceiveBudget::new(&TurnBudget::default());
        let mut seen = Vec::new();
        for busy in [50, 51, 51, 51, 51, 25, 24, 24, 24, 24] {
            budget.note_turn(Duration::from_millis(busy));
            seen.push(budget.share(1) >> 10);
        }
        assert_eq!(seen, [512, 256, 128, 64, 64, 64, 128, 256, 512, 512]);
    }

    #[test]
    fn one_writer_may_bring_more_than_each_of_several_and_all_fill_a_buffer() {
        let mut budget = ReceiveBudget::new(&TurnBudget::default());
        assert_eq!([0, 1, 2, 500].map(|writers| budget.share(writers) >> 10), [512, 512, 256, 256]);
        for _ in 0..3 {
            budget.note_turn(Duration::from_secs(1));
        }
        assert_eq!([1, 2].map(|writers| budget.share(writers) >> 10), [64, 64]);
    }
}
