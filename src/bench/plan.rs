//! What a load is.

use std::time::Duration;

use crate::bench::{BenchError, Check};

/// Groups of writes that the window is dealt out in.
const BATCHES_PER_WINDOW: usize = 8;

/// Window of a single stream: half of a stream's usual buffer, so that nothing is parked.
const WINDOW_BYTES: usize = 512 << 10;

/// Windows of all streams together.
const WINDOWS_BYTES: usize = 4 << 20;

/// One load of writes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Streams, each with one publisher; at least 1.
    pub streams: usize,
    /// Readers of each stream. Where there is none, writes count when they are acknowledged.
    pub readers: usize,
    /// Bytes of each write, at least 1.
    pub write_bytes: usize,
    /// Bytes of one stream that may be on their way to its slowest reader; one write at least.
    pub window_bytes: usize,
    /// How long.
    pub span: Span,
    /// How thoroughly readers look at what they get.
    pub check: Check,
    /// The server's process, on this machine, whose costs are to be told.
    pub pid: Option<u32>,
}

/// How long a load goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// A time that is not measured, and a time that is.
    Time {
        /// Not measured.
        warm_up: Duration,
        /// Measured.
        measured: Duration,
    },
    /// So many writes to each stream, rounded up to full batches; all of it is measured.
    Writes(u64),
}

/// What follows from a plan for each stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Writes that are queued, sent and counted together.
    pub batch_writes: usize,
    /// Batches that may be under way.
    pub window_batches: usize,
    /// Batches that are encoded; they are sent in turn, again and again.
    pub slots: usize,
}

impl Plan {
    /// The window of each of `streams` streams where nobody says: all together hold what keeps a
    /// server busy, and each some writes.
    pub fn usual_window(streams: usize, write_bytes: usize) -> usize {
        let share = WINDOWS_BYTES / streams.max(1);
        share.max(write_bytes * BATCHES_PER_WINDOW).min(WINDOW_BYTES).max(write_bytes)
    }

    /// How the window is dealt out.
    pub fn shape(&self) -> Shape {
        let writes = (self.window_bytes / self.write_bytes).max(1);
        let window_batches = writes.min(BATCHES_PER_WINDOW);
        Shape { batch_writes: writes / window_batches, window_batches, slots: BATCHES_PER_WINDOW }
    }

    /// Refuses what cannot be carried out.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        if self.streams == 0 || self.write_bytes == 0 {
            return Err(BenchError::Plan("a load has at least one stream and one byte".to_owned()));
        }
        if u32::try_from(self.readers).is_err() {
            return Err(BenchError::Plan("so many readers cannot be counted".to_owned()));
        }
        Ok(())
    }
}

impl Shape {
    /// Writes that are encoded for each stream.
    pub fn ring_writes(&self) -> usize {
        self.slots * self.batch_writes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(window_bytes: usize, write_bytes: usize) -> Plan {
        Plan {
            streams: 1,
            readers: 1,
            write_bytes,
            window_bytes,
            span: Span::Writes(1),
            check: Check::Sampled,
            pid: None,
        }
    }

    #[test]
    fn the_window_is_dealt_out_in_batches() {
        for (window, write, writes, batches) in
            [(256, 256, 1, 1), (1, 256, 1, 1), (800, 256, 1, 3), (1 << 20, 64, 2048, 8)]
        {
            let shape = plan(window, write).shape();
            assert_eq!((shape.batch_writes, shape.window_batches), (writes, batches));
            assert!(shape.slots >= shape.window_batches);
        }
    }
}
