//! Which worker gets a new connection: the one with the fewest.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::id::WorkerId;

/// How many connections each worker has, those on their way to it included. The counts only steer;
/// nothing is synchronised by them.
#[derive(Debug)]
pub struct Placement {
    loads: Box<[Load]>,
}

/// On a cache line of its own, since each worker writes its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Load(AtomicUsize);

impl Placement {
    /// For so many workers, at least one.
    pub fn new(workers: u16) -> Placement {
        Placement { loads: (0..workers.max(1)).map(|_| Load::default()).collect() }
    }

    /// Counts a connection in at the least loaded worker.
    pub fn assign(&self) -> WorkerId {
        let least =
            self.loads.iter().enumerate().min_by_key(|(_, load)| load.0.load(Ordering::Relaxed));
        let (index, load) = least.expect("there is a worker");
        load.0.fetch_add(1, Ordering::Relaxed);
        WorkerId(index as u16)
    }

    /// Counts a connection in at this worker.
    pub fn assign_to(&self, worker: WorkerId) -> WorkerId {
        self.loads[worker.index()].0.fetch_add(1, Ordering::Relaxed);
        worker
    }

    /// Counts a connection of `worker` out.
    pub fn release(&self, worker: WorkerId) {
        self.loads[worker.index()].0.fetch_sub(1, Ordering::Release);
    }

    /// Connections of one worker.
    pub fn load(&self, worker: WorkerId) -> usize {
        self.loads[worker.index()].0.load(Ordering::Acquire)
    }

    /// Connections of all workers.
    pub fn total(&self) -> usize {
        self.loads.iter().map(|load| load.0.load(Ordering::Acquire)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_loaded_worker_is_next() {
        let placement = Placement::new(3);
        let order: Vec<u16> = (0..6).map(|_| placement.assign().0).collect();
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
        placement.release(WorkerId(1));
        assert_eq!(placement.assign(), WorkerId(1));
        assert_eq!((placement.load(WorkerId(1)), placement.total()), (2, 6));
    }
}
