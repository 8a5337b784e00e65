//! A copy of one worker's numbers.

use std::time::Duration;

use crate::id::WorkerId;
use crate::stats::Histogram;
use crate::time::Now;
use crate::worker::ShardReport;

/// What one worker has and has done.
#[derive(Clone, Debug)]
pub struct WorkerReport {
    /// Which worker.
    pub worker: WorkerId,
    /// When, by the broker's clock.
    pub now: Now,
    /// Its channels and streams.
    pub shard: ShardReport,
    /// What its loop has done.
    pub counters: Counters,
    /// The share of its time, 0 to 1, that it was busy in the last second or a little longer.
    pub busy_ratio: f64,
    /// Mail that waits for it.
    pub inbox_mail: usize,
    /// Connections whose channel is over and whose last bytes are on their way.
    pub lingering: usize,
}

/// What a worker's loop has done, ever. Written by one thread only; others get copies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Passes of the loop.
    pub turns: u64,
    /// Time spent on something other than waiting.
    pub busy: Duration,
    /// Nanoseconds that each of them took.
    pub turn_time: TurnTime,
    /// Time in which the worker was late, and which counts against nobody.
    pub late: Duration,
    /// Connections taken on.
    pub connections: u64,
    /// Bytes read from sockets.
    pub received_bytes: u64,
    /// Bytes written to sockets.
    pub sent_bytes: u64,
    /// Connections that broke (reset, keep-alive without answer).
    pub broken: u64,
}

/// How long turns take, in nanoseconds; the first bound is about a microsecond.
#[derive(Clone, Copy, Debug)]
pub struct TurnTime(pub Histogram);

impl Default for TurnTime {
    fn default() -> TurnTime {
        TurnTime(Histogram::new(10))
    }
}
