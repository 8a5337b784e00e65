//! What may lie in a worker's mailbox.

use std::sync::Arc;

use crate::id::{Door, WorkerId};
use crate::net::Socket;
use crate::stream::Message;
use crate::worker::{Answer, Question};

/// Mail in one worker's inbox. A message of the core is a few hundred bytes; ten thousand channels
/// that all wait for this worker find room as it drains. More would only be memory.
pub const MAIL_MAX: usize = 1024;

/// Everything that one thread may say to a worker whose connections come as `S`.
#[derive(Debug)]
pub enum Mail<S = Socket> {
    /// From another worker's core to ours.
    Core {
        /// That worker.
        from: WorkerId,
        /// What it says.
        message: Message,
    },
    /// A new connection. It counts in the worker's load already.
    Connection {
        /// Its socket.
        socket: S,
        /// Through which door it came in.
        door: Door,
        /// The peer's address, for people.
        peer: Arc<str>,
    },
    /// Somebody wants a copy of some numbers.
    Report(Inquiry),
}

/// What somebody on another thread wants to know, and where the answer goes.
pub struct Inquiry {
    question: Question,
    take: Box<dyn FnOnce(Answer) + Send>,
}

impl Inquiry {
    /// Hands the answer to `take`, on the worker's thread: it must be quick and must not wait.
    pub fn new(question: Question, take: impl FnOnce(Answer) + Send + 'static) -> Inquiry {
        Inquiry { question, take: Box::new(take) }
    }

    /// What is asked, and what takes the answer.
    pub fn open(self) -> (Question, impl FnOnce(Answer)) {
        (self.question, self.take)
    }
}

impl std::fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Inquiry").field(&self.question).finish()
    }
}
