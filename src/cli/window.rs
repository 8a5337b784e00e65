//! How much a publisher may have on its way before the broker has answered.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

/// A bound on unanswered writes, shared by the thread that sends and the one that receives.
#[derive(Debug)]
pub(crate) struct Window {
    writes_max: usize,
    bytes_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Sizes of the unanswered writes, oldest first: the broker answers them in this order.
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Window {
    /// A window of so many writes and so many bytes, whichever is reached first.
    pub(crate) fn new(writes_max: usize, bytes_max: usize) -> Window {
        Window { writes_max, bytes_max, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits until another write of `size` bytes fits, and counts it. One write always fits.
    pub(crate) fn enter(&self, size: usize) {
        let mut state = self.state.lock();
        while state.sizes.len() >= self.writes_max
            || (state.bytes + size > self.bytes_max && !state.sizes.is_empty())
        {
            self.changed.wait(&mut state);
        }
        state.sizes.push_back(size);
        state.bytes += size;
    }

    /// The oldest write is answered: gives its size.
    pub(crate) fn leave(&self) -> usize {
        let mut state = self.state.lock();
        let size = state.sizes.pop_front().unwrap_or_default();
        state.bytes -= size;
        self.changed.notify_one();
        size
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_write_waits_until_an_older_one_is_answered() {
        for window in [Window::new(2, 1000), Window::new(100, 10)] {
            let window = Arc::new(window);
            window.enter(5);
            window.enter(5);
            let (entered, third) = mpsc::channel();
            let sender = Arc::clone(&window);
            let thread = thread::spawn(move || {
                sender.enter(5);
                entered.send(()).unwrap();
            });
            assert!(third.try_recv().is_err());
            assert_eq!(window.leave(), 5);
            third.recv().unwrap();
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_write_larger_than_the_window_passes_alone() {
        let window = Window::new(2, 10);
        window.enter(1000);
        assert_eq!(window.leave(), 1000);
        assert_eq!(window.leave(), 0);
    }
}
