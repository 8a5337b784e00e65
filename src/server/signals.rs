//! SIGTERM and SIGINT, taken by a thread of their own and counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use tracing::info;

use crate::server::fatal;
use crate::worker::Doorbell;

/// Counts the signals that ask us to stop, and rings a bell for each.
#[derive(Debug)]
pub(crate) struct SignalWatch {
    count: Arc<AtomicUsize>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalWatch {
    /// Takes the signals over from the system's default.
    pub(crate) fn start(bell: Arc<Doorbell>) -> io::Result<SignalWatch> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let handle = signals.handle();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let thread = fatal::spawn("weir-signals".to_owned(), move || {
            for signal in signals.forever() {
                info!(signal, "signal received");
                counted.fetch_add(1, Ordering::Release);
                bell.ring();
            }
            Ok(())
        })?;
        Ok(SignalWatch { count, handle, thread: Some(thread) })
    }

    /// Signals so far.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
