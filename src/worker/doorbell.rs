//! Wakes one thread, once, however many have rung.
//!
//! ```text
//!             ring                       ring: calls Wake
//!   Awake ------------> Rung <------------------------------ Asleep
//!     ^                  |                                     ^
//!     |  begin_turn      |                                     |
//!     +------------------+        may_rest                    |
//!     +--------------------------------------------------------+
//! ```
//!
//! The owner's loop: sleep (if [`Doorbell::may_rest`] allows), [`Doorbell::begin_turn`], look at
//! everything that others may have left, again. Others leave something, then [`Doorbell::ring`].
//!
//! No wake-up is lost: all three are read-modify-writes of one atomic, so they have one order. A
//! ring before `begin_turn` is acquired by it, so that the look behind it sees what was left. A
//! ring after it leaves `Rung`, and then `may_rest` refuses. A ring after `may_rest` finds `Asleep`
//! and wakes. Nothing here is about what is left where. `tests/interleavings` runs this file under
//! a scheduler that tries the orders in which threads may step.

use crate::worker::sync::{AtomicU8, Ordering};

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const RUNG: u8 = 2;

/// Wakes a thread out of whatever it sleeps in.
pub trait Wake: Send + Sync {
    /// Makes the sleep that is under way, or the next one, end at once.
    fn wake(&self);
}

impl Wake for mio::Waker {
    fn wake(&self) {
        // It fails only when the poller is gone, and its thread with it.
        let _ = mio::Waker::wake(self);
    }
}

impl Wake for std::thread::Thread {
    fn wake(&self) {
        self.unpark();
    }
}

/// One thread's bell.
pub struct Doorbell {
    state: AtomicU8,
    wake: Box<dyn Wake>,
}

impl Doorbell {
    /// A bell for a thread that is awake.
    pub fn new(wake: impl Wake + 'static) -> Doorbell {
        Doorbell { state: AtomicU8::new(AWAKE), wake: Box::new(wake) }
    }

    /// Has the owner look again. Costs a system call only when it sleeps and nobody else has rung.
    pub fn ring(&self) {
        if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP {
            self.wake.wake();
        }
    }

    /// The owner: may I sleep? Not when somebody has rung since the turn began.
    pub fn may_rest(&self) -> bool {
        self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The owner: I look at everything now.
    pub fn begin_turn(&self) {
        self.state.swap(AWAKE, Ordering::AcqRel);
    }
}

impl std::fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doorbell").field("state", &self.state).finish_non_exhaustive()
    }
}
