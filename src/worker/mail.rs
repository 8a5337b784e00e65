//! What may lie in a worker's mailbox.

use std::sync::Arc;

use crate::id::{Door, WorkerId};
use crate::net::Socket;
use crate::stream::Message;
use crate::worker::WorkerReport;

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
    /// Somebody wants a copy of the numbers.
    Report(ReportSink),
}

/// Where a copy of the numbers goes.
pub struct ReportSink(Box<dyn FnOnce(WorkerReport) + Send>);

impl ReportSink {
    /// Hands the report to `take`, on the worker's thread: it must be quick and must not wait.
    pub fn new(take: impl FnOnce(WorkerReport) + Send + 'static) -> ReportSink {
        ReportSink(Box::new(take))
    }

    /// Hands the report over.
    pub fn put(self, report: WorkerReport) {
        (self.0)(report);
    }
}

impl std::fmt::Debug for ReportSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReportSink")
    }
}
