//! Bounds that an operator may change while the server runs. Beside the mailboxes, since they must
//! get through when these are full.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::worker::Limits;

/// The bounds that count now, shared by all threads. Whoever changes them rings the workers' bells.
#[derive(Debug)]
pub struct Tuning {
    /// Counts changes, so that a worker's look costs one load.
    version: AtomicU64,
    limits: Mutex<Limits>,
    channels_max: AtomicUsize,
}

impl Tuning {
    /// The bounds at the start.
    pub fn new(limits: Limits, channels_max: usize) -> Tuning {
        Tuning {
            version: AtomicU64::new(0),
            limits: Mutex::new(limits),
            channels_max: AtomicUsize::new(channels_max),
        }
    }

    /// Replaces the bounds.
    pub fn change(&self, limits: Limits, channels_max: usize) {
        *self.limits.lock() = limits;
        self.channels_max.store(channels_max, Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Open connections above which new ones are closed.
    pub fn channels_max(&self) -> usize {
        self.channels_max.load(Ordering::Relaxed)
    }

    /// A worker's bounds, if they have changed since it saw version `seen`.
    pub fn news(&self, seen: &mut u64) -> Option<Limits> {
        let version = self.version.load(Ordering::Acquire);
        if version == *seen {
            return None;
        }
        *seen = version;
        Some(self.limits.lock().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_news_once() {
        let tuning = Tuning::new(Limits::default(), 5);
        let mut seen = 0;
        assert!(tuning.news(&mut seen).is_none());
        tuning.change(Limits { commands_per_turn: 7, ..Limits::default() }, 6);
        assert_eq!(tuning.channels_max(), 6);
        assert_eq!(tuning.news(&mut seen).unwrap().commands_per_turn, 7);
        assert!(tuning.news(&mut seen).is_none());
    }
}
