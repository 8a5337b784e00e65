//! A file descriptor for when there is none left: given back to the system, it lets one more
//! connection in.

use std::fs::File;
use std::sync::Arc;

use parking_lot::Mutex;

/// What is opened to have a descriptor.
const PLACEHOLDER: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// One descriptor in reserve. Copies are of the same one.
#[derive(Clone, Debug)]
pub(super) struct Reserve(Arc<Mutex<Option<File>>>);

impl Reserve {
    pub(super) fn new() -> Reserve {
        let reserve = Reserve(Arc::new(Mutex::new(None)));
        reserve.refill();
        reserve
    }

    /// Sets a descriptor aside, if there is none and one is to be had.
    pub(super) fn refill(&self) {
        let mut file = self.0.lock();
        if file.is_none() {
            *file = File::open(PLACEHOLDER).ok();
        }
    }

    /// Gives the descriptor back to the system. False: there was none.
    pub(super) fn release(&self) -> bool {
        self.0.lock().take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_given_back_once_and_filled_again() {
        let reserve = Reserve::new();
        assert!(reserve.release());
        assert!(!reserve.release());
        reserve.refill();
        assert!(reserve.clone().release());
    }
}
