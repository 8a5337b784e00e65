//! The names of `src/worker/sync.rs`, where each use is a point at which another thread may go on.

use std::collections::VecDeque;

pub use crossbeam::channel::{TryRecvError, TrySendError};
pub use shuttle::sync::Arc;
pub use shuttle::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};

use shuttle::sync::Mutex;

/// A bounded queue. What it does is one step, as with the real one's operations.
#[derive(Debug)]
struct Queue<T> {
    messages: Mutex<VecDeque<T>>,
    capacity: usize,
}

#[derive(Debug)]
pub struct Sender<T>(Arc<Queue<T>>);

#[derive(Debug)]
pub struct Receiver<T>(Arc<Queue<T>>);

pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let queue = Arc::new(Queue { messages: Mutex::new(VecDeque::new()), capacity });
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender(Arc::clone(&self.0))
    }
}

impl<T> Sender<T> {
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut messages = self.0.messages.lock().expect("nobody panics");
        if messages.len() == self.0.capacity {
            return Err(TrySendError::Full(message));
        }
        messages.push_back(message);
        Ok(())
    }

    pub fn is_full(&self) -> bool {
        self.0.messages.lock().expect("nobody panics").len() == self.0.capacity
    }
}

impl<T> Receiver<T> {
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.messages.lock().expect("nobody panics").pop_front().ok_or(TryRecvError::Empty)
    }

    pub fn len(&self) -> usize {
        self.0.messages.lock().expect("nobody panics").len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
