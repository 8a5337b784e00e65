//! Which worker may let a message go on beyond the limit.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::id::WorkerId;

/// Held by at most one worker of a broker at a time, so that such messages cost the broker one
/// message, however many workers it has.
#[derive(Debug, Default)]
pub struct Favour(AtomicU32);

impl Favour {
    const NOBODY: u32 = 0;

    fn holder(worker: WorkerId) -> u32 {
        u32::from(worker.0) + 1
    }

    /// Whether nobody else has it.
    pub fn is_free_for(&self, worker: WorkerId) -> bool {
        [Favour::NOBODY, Favour::holder(worker)].contains(&self.0.load(Ordering::Relaxed))
    }

    /// Takes it. False where another worker has it.
    pub fn take(&self, worker: WorkerId) -> bool {
        let (free, mine) = (Favour::NOBODY, Favour::holder(worker));
        let taken = self.0.compare_exchange(free, mine, Ordering::Relaxed, Ordering::Relaxed);
        taken.is_ok() || taken == Err(mine)
    }

    /// Gives it back, if the worker has it.
    pub fn give_back(&self, worker: WorkerId) {
        let (mine, free) = (Favour::holder(worker), Favour::NOBODY);
        let _ = self.0.compare_exchange(mine, free, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_has_it_at_a_time() {
        let favour = Favour::default();
        let [one, other] = [WorkerId(0), WorkerId(1)];
        assert!(favour.is_free_for(one) && favour.is_free_for(other));
        assert!(favour.take(one) && favour.take(one) && !favour.take(other));
        favour.give_back(other);
        assert!(
            favour.is_free_for(one) && !favour.is_free_for(other),
            "only who has it gives it back"
        );
        favour.give_back(one);
        assert!(favour.is_free_for(other) && favour.take(other));
    }
}
