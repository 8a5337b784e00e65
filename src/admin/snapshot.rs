//! What `/stats` answers: the workers' copies, joined. The keys are a promise (`docs/`); a change
//! that breaks a reader raises `schema_version`.

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::id::StreamId;
use crate::stream::{ReaderReport, StallTimeout, StreamReport};
use crate::time::Now;
use crate::worker::{ChannelReport, WorkerReport};

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Snapshot {
    schema_version: u32,
    version: &'static str,
    name: String,
    uptime_ms: u64,
    totals: Totals,
    workers: Vec<WorkerRow>,
    streams: Vec<StreamRow>,
    /// Readers whose stream was not in its home's copy: it ended, or came, between the copies.
    unmatched_readers: Vec<ReaderRow>,
    channels: Vec<ChannelRow>,
}

/// Sums over all workers. Counts ending in nothing are of now; the rest are since the start.
#[derive(Debug, Default, Serialize)]
struct Totals {
    channels: u64,
    streams: u64,
    readers: u64,
    channels_opened: u64,
    broken: u64,
    malformed: u64,
    commands: u64,
    received_bytes: u64,
    sent_bytes: u64,
    accepted_bytes: u64,
    delivered_bytes: u64,
    lost_bytes: u64,
    /// What counts against the memory limit, now.
    held_bytes: u64,
    /// The memory limit.
    held_bytes_max: u64,
}

#[derive(Debug, Serialize)]
struct WorkerRow {
    id: u16,
    channels: usize,
    streams: usize,
    lingering: usize,
    inbox_mail: usize,
    turns: u64,
    busy_ms: u64,
    commands: u64,
    received_bytes: u64,
    sent_bytes: u64,
    held_bytes: u64,
    held_bytes_max: u64,
}

#[derive(Debug, Serialize)]
struct StreamRow {
    id: String,
    #[serde(rename = "type")]
    stream_type: String,
    context_id: Option<String>,
    name: Option<String>,
    direction: &'static str,
    buffer_size: u64,
    history: u64,
    /// Milliseconds; null waits for ever.
    stall_timeout: Option<u64>,
    start: u64,
    end: u64,
    eos: bool,
    cut_off: bool,
    parked_writes: u64,
    parked_bytes: u64,
    owner: Option<String>,
    age_ms: u64,
    readers: Vec<ReaderRow>,
}

#[derive(Debug, Serialize)]
struct ReaderRow {
    stream: String,
    channel: String,
    peer: String,
    /// `start + delivered + lost = position`.
    start: u64,
    position: u64,
    delivered: u64,
    lost: u64,
    /// Bytes that the reader has not been given yet, as far as its worker knows.
    lag: u64,
    pending_reads: u64,
    lagging: bool,
}

#[derive(Debug, Serialize)]
struct ChannelRow {
    id: String,
    worker: u16,
    peer: String,
    commands: u64,
    received_bytes: u64,
    sent_bytes: u64,
    unsent_bytes: u64,
}

impl Snapshot {
    /// Joins the workers' reports: each stream gets the readers that all workers have of it.
    pub(crate) fn new(name: &str, now: Now, reports: Vec<WorkerReport>) -> Snapshot {
        let mut totals = Totals::default();
        let mut workers = Vec::with_capacity(reports.len());
        let (mut streams, mut readers, mut channels) = (Vec::new(), Vec::new(), Vec::new());
        for report in reports {
            totals.add(&report);
            workers.push(WorkerRow::new(&report));
            let shard = report.shard;
            streams.extend(shard.engine.streams);
            readers.extend(shard.engine.readers);
            channels.extend(shard.channels.into_iter().map(ChannelRow::new));
        }
        streams.sort_by_key(|stream| (stream.created_at, stream.id));
        readers.sort_by_key(|reader| (reader.stream, reader.channel));
        let rows = streams.into_iter().map(|stream| (stream.id, StreamRow::new(stream, now)));
        let (ids, mut streams): (Vec<StreamId>, Vec<StreamRow>) = rows.unzip();
        let places: FxHashMap<StreamId, usize> =
            ids.into_iter().enumerate().map(|(place, id)| (id, place)).collect();
        let mut unmatched_readers = Vec::new();
        for reader in readers {
            match places.get(&reader.stream) {
                Some(&place) => streams[place].readers.push(ReaderRow::new(reader)),
                None => unmatched_readers.push(ReaderRow::new(reader)),
            }
        }
        Snapshot {
            schema_version: 1,
            version: env!("CARGO_PKG_VERSION"),
            name: name.to_owned(),
            uptime_ms: milliseconds(now),
            totals,
            workers,
            streams,
            unmatched_readers,
            channels,
        }
    }
}

/// Milliseconds since the broker started.
fn milliseconds(now: Now) -> u64 {
    now.instant.0 / 1_000_000
}

impl Totals {
    fn add(&mut self, report: &WorkerReport) {
        let (shard, counters) = (&report.shard, &report.counters);
        self.channels += shard.channels.len() as u64;
        self.streams += shard.engine.streams.len() as u64;
        self.readers += shard.engine.readers.len() as u64;
        self.channels_opened += shard.channels_opened;
        self.broken += counters.broken;
        self.malformed += shard.malformed;
        self.commands += shard.commands;
        self.received_bytes += counters.received_bytes;
        self.sent_bytes += counters.sent_bytes;
        self.accepted_bytes += shard.engine.accepted_bytes;
        self.delivered_bytes += shard.engine.delivered_bytes;
        self.lost_bytes += shard.engine.lost_bytes;
        self.held_bytes += shard.engine.held_bytes;
        self.held_bytes_max += shard.engine.held_bytes_max;
    }
}

impl WorkerRow {
    fn new(report: &WorkerReport) -> WorkerRow {
        let (shard, counters) = (&report.shard, &report.counters);
        WorkerRow {
            id: report.worker.0,
            channels: shard.channels.len(),
            streams: shard.engine.streams.len(),
            lingering: report.lingering,
            inbox_mail: report.inbox_mail,
            turns: counters.turns,
            busy_ms: u64::try_from(counters.busy.as_millis()).unwrap_or(u64::MAX),
            commands: shard.commands,
            received_bytes: counters.received_bytes,
            sent_bytes: counters.sent_bytes,
            held_bytes: shard.engine.held_bytes,
            held_bytes_max: shard.engine.held_bytes_max,
        }
    }
}

impl StreamRow {
    fn new(report: StreamReport, now: Now) -> StreamRow {
        StreamRow {
            id: report.id.to_string(),
            stream_type: report.stream_type.to_string(),
            context_id: report.context.map(|text| text.to_string()),
            name: report.name.map(|text| text.to_string()),
            direction: report.direction.as_str(),
            buffer_size: report.buffer_bytes,
            history: report.history_bytes,
            stall_timeout: match report.stall_timeout {
                StallTimeout::After(time) => {
                    Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
                }
                StallTimeout::Never => None,
            },
            start: report.start.0,
            end: report.end.0,
            eos: report.eos,
            cut_off: report.cut_off,
            parked_writes: report.parked_writes,
            parked_bytes: report.parked_bytes,
            owner: report.owner.map(|text| text.to_string()),
            age_ms: now.instant.since(report.created_at).as_millis() as u64,
            readers: Vec::new(),
        }
    }
}

impl ReaderRow {
    fn new(report: ReaderReport) -> ReaderRow {
        ReaderRow {
            stream: report.stream.to_string(),
            channel: report.channel.to_string(),
            peer: report.peer.to_string(),
            start: report.start.0,
            position: report.position.0,
            delivered: report.delivered,
            lost: report.lost,
            lag: report.end.since(report.position),
            pending_reads: report.pending_reads,
            lagging: report.lagging,
        }
    }
}

impl ChannelRow {
    fn new(report: ChannelReport) -> ChannelRow {
        ChannelRow {
            id: report.id.to_string(),
            worker: report.id.worker.0,
            peer: report.peer.to_string(),
            commands: report.commands,
            received_bytes: report.received_bytes,
            sent_bytes: report.sent_bytes,
            unsent_bytes: report.unsent_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::id::{ChannelId, Offset, WorkerId};
    use crate::stream::{Direction, EngineReport};
    use crate::time::Instant;
    use crate::worker::{Counters, ShardReport};

    fn worker(id: u16, engine: EngineReport) -> WorkerReport {
        WorkerReport {
            worker: WorkerId(id),
            now: Now::default(),
            shard: ShardReport { engine, commands: 5, ..ShardReport::default() },
            counters: Counters { turns: 2, sent_bytes: 10, ..Counters::default() },
            inbox_mail: 0,
            lingering: 0,
        }
    }

    fn stream(number: u64) -> StreamReport {
        StreamReport {
            id: StreamId(number),
            stream_type: "console".into(),
            context: None,
            name: Some("uart0".into()),
            direction: Direction::Out,
            buffer_bytes: 1 << 20,
            history_bytes: 64 << 10,
            stall_timeout: StallTimeout::After(Duration::from_secs(5)),
            start: Offset(0),
            end: Offset(100),
            eos: false,
            cut_off: false,
            readers: 2,
            parked_writes: 0,
            parked_bytes: 0,
            owner: Some("127.0.0.1:5".into()),
            created_at: Instant(1_000_000),
        }
    }

    fn reader(number: u64, worker: u16) -> ReaderReport {
        ReaderReport {
            stream: StreamId(number),
            channel: ChannelId { worker: WorkerId(worker), slot: 1, generation: 0 },
            peer: "127.0.0.1:6".into(),
            start: Offset(0),
            position: Offset(60),
            end: Offset(100),
            delivered: 50,
            lost: 10,
            pending_reads: 1,
            lagging: false,
        }
    }

    #[test]
    fn a_stream_has_the_readers_of_all_workers() {
        let home = EngineReport {
            streams: vec![stream(2)],
            readers: vec![reader(2, 0)],
            ..EngineReport::default()
        };
        let away =
            EngineReport { readers: vec![reader(2, 1), reader(9, 1)], ..EngineReport::default() };
        let now = Now { instant: Instant(3_000_000), unix_ms: 0 };
        let snapshot = Snapshot::new("lab", now, vec![worker(0, home), worker(1, away)]);
        let json = serde_json::to_value(&snapshot).unwrap();
        assert_eq!(json["schema_version"], 1);
        assert_eq!(json["uptime_ms"], 3);
        assert_eq!(json["totals"]["readers"], 3);
        assert_eq!(json["totals"]["commands"], 10);
        assert_eq!(json["totals"]["sent_bytes"], 20);
        let stream = &json["streams"][0];
        assert_eq!(stream["id"], "VS2");
        assert_eq!(stream["type"], "console");
        assert_eq!(stream["context_id"], serde_json::Value::Null);
        assert_eq!(stream["stall_timeout"], 5000);
        assert_eq!(stream["age_ms"], 2);
        assert_eq!(stream["readers"].as_array().unwrap().len(), 2);
        assert_eq!(stream["readers"][1]["channel"], "1.1.0");
        assert_eq!(stream["readers"][1]["lag"], 40);
        assert_eq!(json["unmatched_readers"][0]["stream"], "VS9");
    }
}
