//! SIGTERM, SIGINT and SIGHUP, taken by a thread of their own and counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use tracing::info;

use crate::server::fatal;
use crate::worker::Doorbell;

/// Counts the signals that ask us to stop or to reload, and rings a bell for each.
#[derive(Debug)]
pub(crate) struct SignalWatch {
    count: Arc<AtomicUsize>,
    reloads: Arc<AtomicUsize>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalWatch {
    /// Takes the signals over from the system's default.
    pub(crate) fn start(bell: Arc<Doorbell>) -> io::Result<SignalWatch> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let handle = signals.handle();
        let count = Arc::new(AtomicUsize::new(0));
        let reloads = Arc::new(AtomicUsize::new(0));
        let (stopped, reloaded) = (Arc::clone(&count), Arc::clone(&reloads));
        let thread = fatal::spawn("weir-signals".to_owned(), move || {
            for signal in signals.forever() {
                info!(signal, "signal received");
                let counted = if signal == SIGHUP { &reloaded } else { &stopped };
                counted.fetch_add(1, Ordering::Release);
                bell.ring();
            }
            Ok(())
        })?;
        Ok(SignalWatch { count, reloads, handle, thread: Some(thread) })
    }

    /// Signals so far that ask us to reload.
    pub(crate) fn reloads(&self) -> usize {
        self.reloads.load(Ordering::Acquire)
    }

    /// Signals so far that ask us to stop.
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
