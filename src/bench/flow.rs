//! One stream's window: which batches are under way, and who has them.

use std::ops::Range;

use crate::bench::{BenchError, Shape};
use crate::time::Instant;

/// The batches of one stream. A batch is done when each of its parties (the readers, and the
/// publisher where writes are acknowledged) has passed its end.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Where the publisher's link has each slot's bytes.
    slots: Vec<Range<usize>>,
    /// How many parties have passed the batch in each slot.
    counts: Vec<u32>,
    queued_at: Vec<Instant>,
    window: u64,
    parties: u32,
    /// Batches queued so far, and of these, done.
    queued: u64,
    done: u64,
    /// Batches that are to be queued at most.
    limit: u64,
}

impl Flow {
    pub(crate) fn new(slots: Vec<Range<usize>>, shape: Shape, parties: u32, limit: u64) -> Flow {
        Flow {
            counts: vec![0; slots.len()],
            queued_at: vec![Instant::default(); slots.len()],
            slots,
            window: shape.window_batches as u64,
            parties,
            queued: 0,
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

    /// Notes that a party has passed the ends of these batches. `passed` gets when each was queued;
    /// the result says when the newest that is done now was.
    ///
    /// # Errors
    /// [`BenchError::Misbehaved`] where more came than was written.
    pub(crate) fn pass(
        &mut self,
        batches: Range<u64>,
        mut passed: impl FnMut(Instant),
    ) -> Result<Option<Instant>, BenchError> {
        if batches.end > self.queued {
            return Err(BenchError::Misbehaved("more came than was written".to_owned()));
        }
        for batch in batches {
            let slot = self.slot(batch);
            self.counts[slot] += 1;
            passed(self.queued_at[slot]);
        }
        let mut newest = None;
        while self.done < self.queued {
            let slot = self.slot(self.done);
            if self.counts[slot] < self.parties {
                break;
            }
            self.counts[slot] = 0;
            self.done += 1;
            newest = Some(self.queued_at[slot]);
        }
        Ok(newest)
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

    #[test]
    fn the_window_opens_when_the_slowest_party_has_passed() {
        let shape = Shape { batch_writes: 1, window_batches: 2, slots: 3 };
        let slots = vec![0..1, 1..2, 2..3];
        let mut flow = Flow::new(slots, shape, 2, 4);
        assert_eq!(flow.queue(Instant(10)), Some(0..1));
        assert_eq!(flow.queue(Instant(11)), Some(1..2));
        assert_eq!(flow.queue(Instant(12)), None);
        let mut seen = Vec::new();
        assert_eq!(flow.pass(0..2, |at| seen.push(at)).unwrap(), None);
        assert_eq!(seen, [Instant(10), Instant(11)]);
        assert_eq!(flow.queue(Instant(12)), None);
        assert_eq!(flow.pass(0..1, |_| ()).unwrap(), Some(Instant(10)));
        assert_eq!(flow.queue(Instant(13)), Some(2..3));
        assert!(flow.pass(2..4, |_| ()).is_err());
        assert_eq!(flow.pass(1..3, |_| ()).unwrap(), Some(Instant(11)));
        assert_eq!(flow.queue(Instant(14)), Some(0..1));
        assert_eq!(flow.queue(Instant(14)), None);
        flow.pass(2..4, |_| ()).unwrap();
        assert!(!flow.is_over());
        flow.pass(3..4, |_| ()).unwrap();
        assert!(flow.is_over());
        assert_eq!(flow.done(), 4);
    }
}
