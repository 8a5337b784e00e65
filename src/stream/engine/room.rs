//! Room for more streams: who gives way for whom.

use crate::id::StreamId;
use crate::stream::Refusal;
use crate::stream::engine::Engine;
use crate::stream::home::Stream;
use crate::time::Instant;

/// Streams without a creator that are looked at for one that may go; those that are still read stay
/// and are passed over.
const LOOKS_MAX: usize = 1_024;

/// Streams that go in one turn because those without a creator are too many.
const GONE_PER_TURN: usize = 256;

impl Engine {
    /// Whether streams with these buffers may be made. What nobody owns and nobody reads gives way,
    /// oldest first: it is there for somebody who may come, and these have come.
    /// `is_small`: the creator has next to nothing, and what is set aside for its stream may come
    /// on top of the limit.
    pub(super) fn admits_streams(
        &mut self,
        now: Instant,
        buffers: &[u64],
        is_small: bool,
    ) -> Result<(), Refusal> {
        loop {
            let most = self.front.limits.streams_max;
            let least = self.front.limits.stream_bytes_min;
            let bytes = buffers.iter().map(|size| least.min(*size)).sum::<u64>();
            let error = if self.streams.len() + buffers.len() > most {
                format!("the broker has {most} streams here; dispose some")
            } else if bytes > self.front.budget.free() {
                let max = self.front.limits.memory_bytes_max;
                format!(
                    "a worker of the broker holds all of its {max} bytes of memory; read or \
                     dispose streams"
                )
            } else {
                return Ok(());
            };
            if !self.let_one_go(now) {
                let is_full = self.streams.len() + buffers.len() > most;
                return if is_small && !is_full { Ok(()) } else { Err(Refusal::Limit(error)) };
            }
        }
    }

    /// Lets streams without a creator go while they hold more than their part of the memory.
    pub(super) fn thin_out_ownerless(&mut self, now: Instant) {
        for _ in 0..GONE_PER_TURN {
            if !self.front.budget.is_full_of_ownerless() || !self.let_one_go(now) {
                return;
            }
        }
    }

    /// Forgets the oldest stream that nobody owns and nobody is attached to: a pair of test
    /// streams, one that waits for its creator, or one that lingers. False where there is none.
    fn let_one_go(&mut self, now: Instant) -> bool {
        if self.forget_idle_pair() {
            return true;
        }
        let ownerless = self.front.ownerless.iter().take(LOOKS_MAX);
        let Some(id) = ownerless.copied().find(|id| self.may_go(*id)) else { return false };
        let _ = self.dispose_here(now, id, false);
        self.forget(id);
        true
    }

    fn may_go(&self, id: StreamId) -> bool {
        !self.pairs.contains(id)
            && self.streams.get(&id).is_none_or(|stream| {
                stream.readers.is_empty() && stream.views.is_empty() && stream.parked.is_empty()
            })
    }
}

impl Stream {
    /// Whether no channel is attached, here or elsewhere, and none has anything parked.
    pub(super) fn is_unattached(&self) -> bool {
        self.readers.is_empty()
            && self.views.is_empty()
            && self.writers.is_empty()
            && self.parked.is_empty()
            && self.ending.is_none()
    }
}
