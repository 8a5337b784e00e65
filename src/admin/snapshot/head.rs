//! What comes before the rows of `/stats`: sums, and the workers.

use std::time::Duration;

use serde::Serialize;

use crate::admin::gather::{Summary, WorkerSummary};
use crate::time::Instant;

/// What comes before the rows.
#[derive(Debug, Serialize)]
pub(crate) struct Head<'a> {
    schema_version: u32,
    version: &'static str,
    name: &'a str,
    uptime_ms: u64,
    totals: Totals,
    workers: Vec<WorkerRow>,
    /// Of old, readers whose stream was in nobody's copy. They are asked for by stream now.
    unmatched_readers: [(); 0],
}

impl<'a> Head<'a> {
    pub(crate) fn new(name: &'a str, now: Instant, summary: &Summary) -> Head<'a> {
        let mut totals = Totals::default();
        summary.iter().for_each(|worker| totals.add(worker));
        Head {
            schema_version: 1,
            version: env!("CARGO_PKG_VERSION"),
            name,
            uptime_ms: milliseconds(now.since(Instant::default())),
            totals,
            workers: summary.iter().map(WorkerRow::new).collect(),
            unmatched_readers: [],
        }
    }
}

/// Sums over all workers. `channels`, `streams`, `readers` and the bytes held are of now; the rest
/// are since the start.
#[derive(Debug, Default, Serialize)]
struct Totals {
    channels: u64,
    streams: u64,
    readers: u64,
    channels_opened: u64,
    broken: u64,
    malformed: u64,
    commands: u64,
    errors: u64,
    received_bytes: u64,
    sent_bytes: u64,
    accepted_bytes: u64,
    delivered_bytes: u64,
    lost_bytes: u64,
    parked_writes: u64,
    parked_bytes: u64,
    held_bytes: u64,
    held_bytes_max: u64,
}

#[derive(Debug, Serialize)]
struct WorkerRow {
    id: u16,
    channels: u64,
    streams: u64,
    lingering: usize,
    inbox_mail: usize,
    inbox_mail_max: usize,
    turns: u64,
    busy_ms: u64,
    busy_ratio: f64,
    commands: u64,
    errors: u64,
    received_bytes: u64,
    sent_bytes: u64,
    held_bytes: u64,
    held_bytes_max: u64,
}

impl Totals {
    fn add(&mut self, worker: &WorkerSummary) {
        let (shard, counters) = (&worker.totals.shard, &worker.totals.counters);
        let gauges = &worker.gauges.engine;
        self.channels += shard.channels;
        self.streams += shard.engine.streams;
        self.readers += gauges.readers.iter().sum::<u64>();
        self.channels_opened += shard.channels_opened;
        self.broken += counters.broken;
        self.malformed += shard.malformed;
        self.commands += shard.commands;
        self.errors += shard.errors;
        self.received_bytes += counters.received_bytes;
        self.sent_bytes += counters.sent_bytes;
        self.accepted_bytes += shard.engine.accepted_bytes;
        self.delivered_bytes += shard.engine.delivered_bytes;
        self.lost_bytes += shard.engine.lost_bytes;
        self.parked_writes += gauges.parked_writes;
        self.parked_bytes += gauges.parked_bytes;
        self.held_bytes += shard.engine.held_bytes;
        self.held_bytes_max += shard.engine.held_bytes_max;
    }
}

impl WorkerRow {
    fn new(worker: &WorkerSummary) -> WorkerRow {
        let report = &worker.totals;
        let (shard, counters) = (&report.shard, &report.counters);
        WorkerRow {
            id: report.worker.0,
            channels: shard.channels,
            streams: shard.engine.streams,
            lingering: report.lingering,
            inbox_mail: report.inbox_mail,
            inbox_mail_max: crate::worker::MAIL_MAX,
            turns: counters.turns,
            busy_ms: milliseconds(counters.busy),
            busy_ratio: report.busy_ratio,
            commands: shard.commands,
            errors: shard.errors,
            received_bytes: counters.received_bytes,
            sent_bytes: counters.sent_bytes,
            held_bytes: shard.engine.held_bytes,
            held_bytes_max: shard.engine.held_bytes_max,
        }
    }
}

/// Whole milliseconds.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
