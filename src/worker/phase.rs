//! Where in its life the server is. A flag beside the mailboxes, since it must get through when
//! they are full.

use std::sync::atomic::{AtomicU8, Ordering};

/// A stage of the server's life; it only goes on, never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Connections come and go.
    Serving = 0,
    /// No new ones; those that are there come to their end.
    Draining = 1,
    /// Every thread ends at once.
    Stopping = 2,
}

/// The phase, shared by all threads. Whoever moves it rings their bells.
#[derive(Debug, Default)]
pub struct PhaseFlag(AtomicU8);

impl PhaseFlag {
    /// The phase now.
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Stopping,
        }
    }

    /// Goes on to `phase`, unless it is there or further already.
    pub fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_never_goes_back() {
        let flag = PhaseFlag::default();
        assert_eq!(flag.phase(), Phase::Serving);
        flag.advance(Phase::Stopping);
        flag.advance(Phase::Draining);
        assert_eq!(flag.phase(), Phase::Stopping);
    }
}
