//! How much one turn may do, so that one fat agent does not starve ten thousand quiet hosts.

use std::time::Duration;

use crate::time::Instant;
use crate::worker::Poller;

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

/// Bytes read at once while half messages hold so much that each is looked at before more of it is
/// let in: a command that frees memory fits.
pub(crate) const RECEIVE_BYTES_SHORT: usize = 4 << 10;

/// Bytes read behind the rest of a long block: the head of the next message, and little of a block
/// in that.
pub(crate) const READ_AHEAD_BYTES: usize = 2 << 10;

/// Buffers of which parts are kept that a worker remembers, to use them again. Beyond that they are
/// the allocator's.
pub(crate) const RECEIVE_BUFFERS_MAX: usize = 64;

/// Mail taken in one turn; the rest is taken in the next, before the worker may sleep.
const MAIL_PER_TURN: usize = 1024;

/// Time for mail in one turn. With the times below it says how long a turn may be, so how long a
/// quiet channel waits: for the turn that is under way, and for the next, which answers it.
const MAIL_TIME: Duration = Duration::from_millis(2);

/// Time for sessions that write. Those that were not reached come first in the next turn.
const WRITERS_TIME: Duration = Duration::from_millis(4);

/// Time for what the core has to say, each time that it is asked.
const SETTLE_TIME: Duration = Duration::from_millis(6);

/// Sessions that do not write which are attended to in one turn while none of them waits for long.
/// Then writers are looked for again, so that a write does not wait behind the reads of all its
/// readers, and what it brings is still in the processor's cache when they ask for it.
const OTHERS_PER_TURN_MIN: usize = 16;

/// How long one of them may wait before a turn attends to more than a few.
const OTHERS_WAIT: Duration = Duration::from_millis(10);

/// Time for more of them: as long as the turn has taken so far, so that they have half of it, but
/// no longer than this.
const OTHERS_TIME: Duration = Duration::from_millis(6);

/// Bytes read in one turn from a connection that does not write and had nothing to say before: all
/// that most have to say at once. Who says more waits behind the others, for the rest of the turn
/// or for the next.
const OTHERS_BYTES: usize = 4 << 10;

/// Looks at one's share of the time for which the clock is read once: little is done between two.
const LOOKS_PER_READING: u32 = 4;

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
const TURN_TIME_MAX: Duration = Duration::from_millis(20);

/// A turn that took less has more to read in the next: twice as much is then not too much.
const TURN_TIME_MIN: Duration = Duration::from_millis(10);

/// How much a worker does in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnBudget {
    /// Mail taken at most. The rest is taken in the next turn, before the worker may sleep.
    pub mail_max: usize,
    /// Time for mail.
    pub mail_time: Duration,
    /// Time for sessions that write.
    pub writers_time: Duration,
    /// Time for what the core has to say, each time that it is asked.
    pub settle_time: Duration,
    /// Sessions attended to that do not write, while none of them waits for long.
    pub others_min: usize,
    /// Time for more of them.
    pub others_time: Duration,
    /// How long one of them may wait before there are more.
    pub others_wait: Duration,
    /// Bytes read from one connection that does not write, before those that had more to say.
    pub others_bytes: usize,
    /// Bytes read from one that had, and from each that writes where turns take long.
    pub receive_bytes_min: usize,
    /// Bytes read from the only connection that writes.
    pub receive_bytes_max: usize,
}

impl Default for TurnBudget {
    fn default() -> TurnBudget {
        TurnBudget {
            mail_max: MAIL_PER_TURN,
            mail_time: MAIL_TIME,
            writers_time: WRITERS_TIME,
            settle_time: SETTLE_TIME,
            others_min: OTHERS_PER_TURN_MIN,
            others_time: OTHERS_TIME,
            others_wait: OTHERS_WAIT,
            others_bytes: OTHERS_BYTES,
            receive_bytes_min: RECEIVE_BYTES_MIN,
            receive_bytes_max: RECEIVE_BYTES_PER_TURN,
        }
    }
}

/// A share of a turn's time, in real time. It runs from the first reading of the clock, so that a
/// turn with little to do reads it no more often than it must.
#[derive(Debug)]
pub(crate) struct TimeShare {
    time: Duration,
    ends_at: Option<Instant>,
    looks: u32,
}

impl TimeShare {
    /// So much time.
    pub(crate) fn new(time: Duration) -> TimeShare {
        TimeShare { time, ends_at: None, looks: 0 }
    }

    /// Whether it is over; asked between two large pieces of work.
    pub(crate) fn is_over(&mut self, poller: &impl Poller) -> bool {
        let now = poller.now().instant;
        now >= *self.ends_at.get_or_insert_with(|| now.plus(self.time))
    }

    /// Whether it is over, as far as is known without a reading of the clock each time; asked
    /// between two small pieces of work.
    pub(crate) fn seems_over(&mut self, poller: &impl Poller) -> bool {
        self.looks += 1;
        self.looks.is_multiple_of(LOOKS_PER_READING) && self.is_over(poller)
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
    use std::cell::Cell;
    use std::io;

    use crate::time::Now;
    use crate::transport::Plain;
    use crate::worker::Ready;

    /// A clock that a test moves, and that counts how often it is read.
    #[derive(Default)]
    struct TestClock {
        ms: Cell<u64>,
        readings: Cell<u32>,
    }

    impl Poller for TestClock {
        type Socket = ();
        type Transport = Plain;

        fn now(&self) -> Now {
            self.readings.set(self.readings.get() + 1);
            Now { instant: Instant(self.ms.get() * 1_000_000), unix_ms: 0 }
        }

        fn poll(&mut self, _: Option<Duration>, _: &mut Vec<Ready>) -> io::Result<()> {
            Ok(())
        }

        fn open(&mut self, (): (), _key: usize) -> io::Result<Plain> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn a_share_of_the_time_is_over_at_its_end() {
        let clock = TestClock::default();
        let mut share = TimeShare::new(Duration::from_millis(5));
        clock.ms.set(100);
        assert!(!share.is_over(&clock), "it runs from the first reading");
        clock.ms.set(104);
        assert!(!share.is_over(&clock));
        clock.ms.set(105);
        assert!(share.is_over(&clock));
    }

    #[test]
    fn the_clock_is_read_once_for_several_small_pieces_of_work() {
        let clock = TestClock::default();
        let mut share = TimeShare::new(Duration::from_millis(5));
        let few = LOOKS_PER_READING - 1;
        assert!((0..few).all(|_| !share.seems_over(&clock)));
        assert_eq!(clock.readings.get(), 0, "a turn with little to do does not read it");
        clock.ms.set(100);
        assert!(!share.seems_over(&clock));
        clock.ms.set(200);
        assert!((0..few).all(|_| !share.seems_over(&clock)));
        assert!(share.seems_over(&clock));
        assert_eq!(clock.readings.get(), 2);
    }

    #[test]
    fn all_phases_of_a_turn_together_keep_a_quiet_channel_waiting_for_less_than_50_ms() {
        let budget = TurnBudget::default();
        let settles = 2 * budget.settle_time;
        let turn = budget.mail_time + budget.writers_time + settles + budget.others_time;
        assert!(2 * turn < Duration::from_millis(50), "{turn:?}");
    }

    #[test]
    fn long_turns_read_less_and_short_ones_more_within_bounds() {
        let mut budget = ReceiveBudget::new(&TurnBudget::default());
        let mut seen = Vec::new();
        for busy in [20, 21, 21, 21, 21, 10, 9, 9, 9, 9] {
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
