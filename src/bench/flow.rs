//! One stream's window: which batches are under way, and who has them.

use std::ops::Range;

use crate::bench::{BenchError, Shape};
use crate::time::Instant;

/// The batches of one stream. A batch is done when every reader has passed its end, and the
/// publisher has the server's answers where it gives any.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Where the publisher's lane has each slot's bytes.
    slots: Vec<Range<usize>>,
    /// How many readers have passed the batch in each slot.
    counts: Vec<u32>,
    queued_at: Vec<Instant>,
    window: u64,
    parties: Parties,
    /// Batches queued so far; of these acknowledged, and done.
    queued: u64,
    acknowledged: u64,
    done: u64,
    /// Batches that are to be queued at most.
    limit: u64,
}

/// Who must have a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parties {
    pub(crate) readers: u32,
    /// Whether the server answers the publisher.
    pub(crate) acknowledges: bool,
}

impl Flow {
    pub(crate) fn new(
        slots: Vec<Range<usize>>,
        shape: Shape,
        parties: Parties,
        limit: u64,
    ) -> Flow {
        Flow {
            counts: vec![0; slots.len()],
            queued_at: vec![Instant::default(); slots.len()],
            slots,
            window: shape.window_batches as u64,
            parties,
            queued: 0,
            acknowledged: 0,
            done: 0,
            limit,
        }
    }

    /// Queues the next batch, if the window lets it: where its bytes are.
    pub(crate) fn queue(&mut self, now: Instant) -> Option<Range<usize>> {
        if self.queued - self.done >= self.window || self.queued >= self.limit {
            return None;
        }
        let slot = self.slot(self.queued);
        self.queued += 1;
        self.queued_at[slot] = now;
        Some(self.slots[slot].clone())
    }

    /// Notes that a reader has passed the ends of these batches. `passed` gets when each was
    /// queued, and whether it was the last reader of it. `true`: the window has opened.
    ///
    /// # Errors
    /// [`BenchError::Misbehaved`] where more came than was written.
    pub(crate) fn deliver(
        &mut self,
        batches: Range<u64>,
        mut passed: impl FnMut(Instant, bool),
    ) -> Result<bool, BenchError> {
        self.check(&batches)?;
        for batch in batches {
            let slot = self.slot(batch);
            self.counts[slot] += 1;
            passed(self.queued_at[slot], self.counts[slot] == self.parties.readers);
        }
        Ok(self.settle())
    }

    /// Notes that the server has answered these batches. `true`: the window has opened.
    ///
    /// # Errors
    /// [`BenchError::Misbehaved`] where more came than was written.
    pub(crate) fn acknowledge(&mut self, batches: Range<u64>) -> Result<bool, BenchError> {
        self.check(&batches)?;
        self.acknowledged = batches.end;
        Ok(self.settle())
    }

    fn check(&self, batches: &Range<u64>) -> Result<(), BenchError> {
        if batches.end > self.queued {
            return Err(BenchError::Misbehaved("more came than was written".to_owned()));
        }
        Ok(())
    }

    fn settle(&mut self) -> bool {
        let before = self.done;
        while self.done < self.queued {
            let slot = self.slot(self.done);
            let is_answered = !self.parties.acknowledges || self.done < self.acknowledged;
            if !is_answered || self.counts[slot] < self.parties.readers {
                break;
            }
            self.counts[slot] = 0;
            self.done += 1;
        }
        self.done > before
    }

    /// Queues nothing any more.
    pub(crate) fn stop(&mut self) {
        self.limit = self.queued;
    }

    /// Whether everything that will be queued is done.
    pub(crate) fn is_over(&self) -> bool {
        self.done == self.limit
    }

    /// Batches that are done.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    fn slot(&self, batch: u64) -> usize {
        (batch % self.slots.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { batch_writes: 1, window_batches: 2, slots: 3 };

    fn flow(readers: u32, acknowledges: bool, limit: u64) -> Flow {
        Flow::new(vec![0..1, 1..2, 2..3], SHAPE, Parties { readers, acknowledges }, limit)
    }

    #[test]
    fn the_window_opens_when_the_slowest_reader_has_passed() {
        let mut flow = flow(2, false, 4);
        assert_eq!(flow.queue(Instant(10)), Some(0..1));
        assert_eq!(flow.queue(Instant(11)), Some(1..2));
        assert_eq!(flow.queue(Instant(12)), None);
        let mut seen = Vec::new();
        assert!(!flow.deliver(0..2, |at, is_last| seen.push((at, is_last))).unwrap());
        assert_eq!(seen, [(Instant(10), false), (Instant(11), false)]);
        assert_eq!(flow.queue(Instant(12)), None);
        assert!(flow.deliver(0..1, |at, is_last| seen.push((at, is_last))).unwrap());
        assert_eq!(seen[2], (Instant(10), true));
        assert_eq!(flow.queue(Instant(13)), Some(2..3));
        assert!(flow.deliver(2..4, |_, _| ()).is_err());
        assert!(flow.deliver(1..3, |_, _| ()).unwrap());
        assert_eq!(flow.queue(Instant(14)), Some(0..1));
        assert_eq!(flow.queue(Instant(14)), None);
        assert!(flow.deliver(2..4, |_, _| ()).unwrap());
        assert!(!flow.is_over());
        flow.deliver(3..4, |_, _| ()).unwrap();
        assert!(flow.is_over());
        assert_eq!(flow.done(), 4);
    }

    #[test]
    fn answers_are_waited_for_where_there_are_any() {
        let mut flow = flow(1, true, 2);
        flow.queue(Instant(1));
        flow.queue(Instant(1));
        assert!(!flow.deliver(0..2, |_, is_last| assert!(is_last)).unwrap());
        assert!(flow.acknowledge(0..1).unwrap());
        assert!(!flow.is_over());
        assert!(flow.acknowledge(1..2).unwrap());
        assert!(flow.is_over());
        assert!(flow.acknowledge(2..3).is_err());
    }

    #[test]
    fn without_readers_answers_are_all_that_counts() {
        let mut flow = flow(0, true, 1);
        flow.queue(Instant(1));
        assert!(flow.acknowledge(0..1).unwrap());
        assert!(flow.is_over());
    }
}
