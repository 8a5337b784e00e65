//! The rows of `/stats`. `docs/STATS.md` says what each number means.

use std::time::Duration;

use serde::Serialize;

use crate::id::{ChannelId, Door};
use crate::stream::{Marks, ReaderReport, StallTimeout, StreamReport};
use crate::time::Instant;
use crate::worker::{ChannelReport, WorkerReport};

/// A reader that takes nothing counts as stalled after this time; one that takes something every
/// now and then does not flicker.
const STALLED_AFTER: Duration = Duration::from_millis(100);

/// Sums over all workers. `channels`, `streams`, `readers` and the bytes held are of now; the rest
/// are since the start.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Totals {
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
pub(crate) struct WorkerRow {
    id: u16,
    channels: usize,
    streams: usize,
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

#[derive(Debug, Serialize)]
pub(crate) struct StreamRow {
    pub(super) id: String,
    #[serde(rename = "type")]
    stream_type: String,
    context_id: Option<String>,
    name: Option<String>,
    direction: &'static str,
    buffer_size: u64,
    history: u64,
    stall_timeout: Option<u64>,
    hold: bool,
    start: u64,
    end: u64,
    pub(super) buffered: u64,
    /// Bytes a second that come in.
    pub(super) rate: u64,
    eos: bool,
    cut_off: bool,
    pub(super) parked_writes: u64,
    pub(super) parked_bytes: u64,
    full_ms: u64,
    held_by: Option<HeldBy>,
    owner: Option<String>,
    age_ms: u64,
    reader_count: usize,
    pub(super) readers: Vec<ReaderRow>,
}

/// The reader that holds a full buffer the furthest back.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HeldBy {
    channel: String,
    peer: String,
    lag: u64,
    lag_ms: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct ReaderRow {
    pub(super) stream: String,
    pub(super) channel: String,
    peer: String,
    pub(super) front: &'static str,
    start: u64,
    position: u64,
    delivered: u64,
    pub(super) lost: u64,
    pub(super) lag: u64,
    pub(super) lag_ms: u64,
    pub(super) pending_reads: u64,
    idle_ms: u64,
    stall_timeout: Option<u64>,
    pub(super) lagging: bool,
    pub(super) stalled: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct ChannelRow {
    pub(super) id: String,
    worker: u16,
    peer: String,
    pub(super) front: &'static str,
    services: Vec<String>,
    commands: u64,
    errors: u64,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
    pub(super) unsent_bytes: u64,
    age_ms: u64,
}

/// One stream as its home knows it, and all its readers.
pub(crate) struct Joined {
    pub(super) stream: StreamReport,
    pub(super) marks: Marks,
    /// When its home was asked.
    pub(super) now: Instant,
    pub(super) readers: Vec<(ReaderReport, Instant)>,
}

impl Totals {
    pub(super) fn add(&mut self, report: &WorkerReport) {
        let (shard, counters) = (&report.shard, &report.counters);
        self.channels += shard.channels.len() as u64;
        self.streams += shard.engine.streams.len() as u64;
        self.readers += shard.engine.readers.len() as u64;
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
        for stream in &shard.engine.streams {
            self.parked_writes += stream.parked_writes;
            self.parked_bytes += stream.parked_bytes;
        }
        self.held_bytes += shard.engine.held_bytes;
        self.held_bytes_max += shard.engine.held_bytes_max;
    }
}

impl WorkerRow {
    pub(super) fn new(report: &WorkerReport) -> WorkerRow {
        let (shard, counters) = (&report.shard, &report.counters);
        WorkerRow {
            id: report.worker.0,
            channels: shard.channels.len(),
            streams: shard.engine.streams.len(),
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

impl Joined {
    /// The stream's numbers, made to fit together. The home and the workers of its readers are
    /// asked within milliseconds of each other, not at once; a reader that is further than the home
    /// knew proves that the stream was, so the end is the furthest that anybody has seen.
    pub(super) fn into_row(mut self, doors: impl Fn(ChannelId) -> Door) -> StreamRow {
        let seen = self.readers.iter().map(|(reader, _)| reader.end.max(reader.position));
        let stream = &mut self.stream;
        stream.end = seen.fold(stream.end, |end, seen| end.max(seen));
        stream.start = stream.start.max(stream.end.back(stream.buffer_bytes));
        let row = |(reader, now): &(ReaderReport, Instant)| {
            ReaderRow::new(reader, *now, Some(&self), doors(reader.channel))
        };
        let readers: Vec<ReaderRow> = self.readers.iter().map(row).collect();
        let holder = || {
            let holds = self.readers.iter().zip(&readers).filter(|((reader, _), row)| {
                row.lag > 0 && !reader.lagging && may_hold(reader.stall_timeout)
            });
            holds.max_by_key(|(_, row)| row.lag).map(|(_, row)| HeldBy::new(row))
        };
        let stream = &self.stream;
        StreamRow {
            id: stream.id.to_string(),
            stream_type: stream.stream_type.to_string(),
            context_id: stream.context.as_deref().map(str::to_owned),
            name: stream.name.as_deref().map(str::to_owned),
            direction: stream.direction.as_str(),
            buffer_size: stream.buffer_bytes,
            history: stream.history_bytes,
            stall_timeout: stall_ms(stream.stall_timeout),
            hold: stream.is_held,
            start: stream.start.0,
            end: stream.end.0,
            buffered: stream.end.since(stream.start),
            rate: self.marks.rate(self.now),
            eos: stream.eos,
            cut_off: stream.cut_off,
            parked_writes: stream.parked_writes,
            parked_bytes: stream.parked_bytes,
            // A write that waits makes a stream full, if only for the time being.
            full_ms: stream
                .full_since
                .map_or(0, |since| milliseconds(self.now.since(since)).max(1)),
            held_by: stream.full_since.and_then(|_| holder()),
            owner: stream.owner.as_deref().map(str::to_owned),
            age_ms: milliseconds(self.now.since(stream.created_at)),
            reader_count: readers.len(),
            readers,
        }
    }
}

impl HeldBy {
    fn new(row: &ReaderRow) -> HeldBy {
        HeldBy {
            channel: row.channel.clone(),
            peer: row.peer.clone(),
            lag: row.lag,
            lag_ms: row.lag_ms,
        }
    }
}

impl ReaderRow {
    /// A reader as its worker knew it at `now`, of the stream in `home`, if that is known.
    pub(super) fn new(
        reader: &ReaderReport,
        now: Instant,
        home: Option<&Joined>,
        door: Door,
    ) -> ReaderRow {
        let end = home.map_or(reader.end, |home| home.stream.end);
        let lag = end.since(reader.position);
        let idle = now.since(reader.progress_at);
        let age = home.and_then(|home| home.marks.age(home.now, reader.position));
        // Each worker has a clock of its own.
        let full = |home: &Joined| Some(home.now.since(home.stream.full_since?));
        let full_for = home.and_then(full);
        let holds = !reader.lagging && may_hold(reader.stall_timeout);
        let is_silent = full_for.is_some_and(|full| full.min(idle) >= STALLED_AFTER);
        ReaderRow {
            stream: reader.stream.to_string(),
            channel: reader.channel.to_string(),
            peer: reader.peer.to_string(),
            front: door.as_str(),
            start: reader.start.0,
            position: reader.position.0,
            delivered: reader.delivered,
            lost: reader.lost,
            lag,
            lag_ms: if lag == 0 { 0 } else { age.map_or(0, milliseconds) },
            pending_reads: reader.pending_reads,
            idle_ms: milliseconds(idle),
            stall_timeout: stall_ms(reader.stall_timeout),
            lagging: reader.lagging,
            stalled: lag > 0 && holds && is_silent,
        }
    }
}

impl ChannelRow {
    pub(super) fn new(report: ChannelReport, now: Instant) -> ChannelRow {
        let names = report.services.split(',').filter(|name| !name.is_empty());
        ChannelRow {
            id: report.id.to_string(),
            worker: report.id.worker.0,
            peer: report.peer.to_string(),
            front: report.door.as_str(),
            services: names.map(str::to_owned).collect(),
            commands: report.commands,
            errors: report.errors,
            received_bytes: report.received_bytes,
            sent_bytes: report.sent_bytes,
            unsent_bytes: report.unsent_bytes,
            age_ms: milliseconds(now.since(report.opened_at)),
        }
    }
}

impl StreamRow {
    /// The lag of the reader that is furthest back.
    pub(super) fn largest_lag(&self) -> u64 {
        self.readers.iter().map(|reader| reader.lag).max().unwrap_or(0)
    }

    /// What its readers have lost.
    pub(super) fn lost(&self) -> u64 {
        self.readers.iter().map(|reader| reader.lost).sum()
    }

    /// How full the buffer is, in parts of 2^20.
    pub(super) fn fill(&self) -> u64 {
        let fill = (u128::from(self.buffered) << 20) / u128::from(self.buffer_size.max(1));
        u64::try_from(fill).unwrap_or(u64::MAX)
    }
}

fn may_hold(timeout: StallTimeout) -> bool {
    timeout != StallTimeout::After(Duration::ZERO)
}

/// Milliseconds; `None` waits for ever.
fn stall_ms(timeout: StallTimeout) -> Option<u64> {
    match timeout {
        StallTimeout::After(time) => Some(milliseconds(time)),
        StallTimeout::Never => None,
    }
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
