//! What `/stats` answers: the workers' copies, joined. The keys are a promise (`docs/STATS.md`); a
//! change that breaks a reader raises `schema_version`.

mod rows;
mod selection;

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::id::{ChannelId, Door, StreamId};
use crate::stream::Marks;
use crate::time::Now;
use crate::worker::WorkerReport;

pub(crate) use selection::Selection;

pub(crate) use rows::StreamRow;

use rows::{ChannelRow, Joined, ReaderRow, Totals, WorkerRow, milliseconds};

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

/// What all rows come to.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) uptime_ms: u64,
    /// By door, as in [`Door::ALL`].
    pub(crate) channels: [u64; Door::ALL.len()],
    /// Likewise.
    pub(crate) readers: [u64; Door::ALL.len()],
    pub(crate) lagging: u64,
    pub(crate) stalled: u64,
    pub(crate) full: u64,
    pub(crate) parked_writes: u64,
    pub(crate) parked_bytes: u64,
    pub(crate) parked_reads: u64,
    pub(crate) unsent_bytes: u64,
    /// Bytes and milliseconds, the largest first.
    pub(crate) largest_lags: Vec<(u64, u64)>,
}

impl Snapshot {
    /// Joins the workers' reports: each stream gets the readers that all workers have of it.
    pub(crate) fn new(name: &str, now: Now, reports: Vec<WorkerReport>) -> Snapshot {
        let mut totals = Totals::default();
        let mut workers = Vec::with_capacity(reports.len());
        let (mut joined, mut readers, mut channels) = (Vec::new(), Vec::new(), Vec::new());
        for report in reports {
            totals.add(&report);
            workers.push(WorkerRow::new(&report));
            let (shard, now) = (report.shard, report.now.instant);
            let mut marks: FxHashMap<StreamId, Marks> = shard.engine.marks.into_iter().collect();
            joined.extend(shard.engine.streams.into_iter().map(|stream| Joined {
                marks: marks.remove(&stream.id).unwrap_or_default(),
                stream,
                now,
                readers: Vec::new(),
            }));
            readers.extend(shard.engine.readers.into_iter().map(|reader| (reader, now)));
            channels.extend(shard.channels.into_iter().map(|channel| (channel, now)));
        }
        let doors: FxHashMap<ChannelId, Door> =
            channels.iter().map(|(channel, _)| (channel.id, channel.door)).collect();
        let door = |channel: ChannelId| doors.get(&channel).copied().unwrap_or_default();
        joined.sort_by_key(|joined| (joined.stream.created_at, joined.stream.id));
        readers.sort_by_key(|(reader, _)| (reader.stream, reader.channel));
        let places: FxHashMap<StreamId, usize> =
            joined.iter().enumerate().map(|(place, joined)| (joined.stream.id, place)).collect();
        let mut unmatched_readers = Vec::new();
        for (reader, now) in readers {
            match places.get(&reader.stream) {
                Some(&place) => joined[place].readers.push((reader, now)),
                None => {
                    unmatched_readers.push(ReaderRow::new(
                        &reader,
                        now,
                        None,
                        door(reader.channel),
                    ));
                }
            }
        }
        Snapshot {
            schema_version: 1,
            version: env!("CARGO_PKG_VERSION"),
            name: name.to_owned(),
            uptime_ms: milliseconds(now.instant.since(crate::time::Instant::default())),
            totals,
            workers,
            streams: joined.into_iter().map(|joined| joined.into_row(door)).collect(),
            unmatched_readers,
            channels: channels.into_iter().map(|(row, now)| ChannelRow::new(row, now)).collect(),
        }
    }

    /// The streams, without their readers.
    pub(crate) fn into_list(self) -> Vec<serde_json::Value> {
        let row = |row: StreamRow| {
            let mut value = serde_json::to_value(row).expect("strings and numbers make JSON");
            value.as_object_mut().expect("a row is an object").remove("readers");
            value
        };
        self.streams.into_iter().map(row).collect()
    }

    /// What all rows come to; the lags of the `most` readers that are furthest back.
    pub(crate) fn summary(&self, most: usize) -> Summary {
        let mut summary = Summary { uptime_ms: self.uptime_ms, ..Summary::default() };
        let mut lags = Vec::new();
        let at = |front| usize::from(front == Door::Http.as_str());
        for stream in &self.streams {
            summary.full += u64::from(stream.parked_writes > 0);
            summary.parked_writes += stream.parked_writes;
            summary.parked_bytes += stream.parked_bytes;
        }
        let rows = self.streams.iter().flat_map(|stream| &stream.readers);
        for reader in rows.chain(&self.unmatched_readers) {
            summary.readers[at(reader.front)] += 1;
            summary.lagging += u64::from(reader.lagging);
            summary.stalled += u64::from(reader.stalled);
            summary.parked_reads += reader.pending_reads;
            lags.push((reader.lag, reader.lag_ms));
        }
        for channel in &self.channels {
            summary.channels[at(channel.front)] += 1;
            summary.unsent_bytes += channel.unsent_bytes;
        }
        lags.sort_unstable_by_key(|lag| std::cmp::Reverse(*lag));
        lags.truncate(most);
        summary.largest_lags = lags;
        summary
    }

    /// One stream with its readers.
    pub(crate) fn into_one(self, stream: StreamId) -> Option<StreamRow> {
        let id = stream.to_string();
        self.streams.into_iter().find(|row| row.id == id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::id::{Offset, WorkerId};
    use crate::stream::{Direction, EngineReport, ReaderReport, StallTimeout, StreamReport};
    use crate::time::Instant;
    use crate::worker::{Counters, ShardReport};

    fn worker(id: u16, engine: EngineReport) -> WorkerReport {
        WorkerReport {
            worker: WorkerId(id),
            now: Now { instant: Instant(3_000_000), unix_ms: 0 },
            shard: ShardReport { engine, commands: 5, ..ShardReport::default() },
            counters: Counters { turns: 2, sent_bytes: 10, ..Counters::default() },
            busy_ratio: 0.25,
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
            is_held: false,
            full_since: None,
            owner: Some("127.0.0.1:5".into()),
            introduction: None,
            created_at: Instant(1_000_000),
        }
    }

    fn reader(number: u64, worker: u16) -> ReaderReport {
        ReaderReport {
            stream: StreamId(number),
            channel: ChannelId { worker: WorkerId(worker), slot: 1, generation: 0 },
            peer: "127.0.0.1:6".into(),
            introduction: None,
            place: None,
            start: Offset(0),
            position: Offset(60),
            end: Offset(100),
            delivered: 50,
            lost: 10,
            pending_reads: 1,
            lagging: false,
            stall_timeout: StallTimeout::Never,
            progress_at: Instant(1_000_000),
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

    #[test]
    fn numbers_of_workers_that_were_asked_one_after_the_other_fit_together() {
        let mut late = reader(2, 1);
        (late.position, late.end, late.delivered) = (Offset(150), Offset(150), 150);
        late.lost = 0;
        let mut home = stream(2);
        (home.buffer_bytes, home.full_since) = (100, Some(Instant(2_000_000)));
        let home = EngineReport {
            streams: vec![home],
            readers: vec![reader(2, 0)],
            ..EngineReport::default()
        };
        let away = EngineReport { readers: vec![late], ..EngineReport::default() };
        let now = Now { instant: Instant(3_000_000), unix_ms: 0 };
        let snapshot = Snapshot::new("lab", now, vec![worker(0, home), worker(1, away)]);
        let json = serde_json::to_value(&snapshot).unwrap();
        let stream = &json["streams"][0];
        let numbers = ["start", "end", "buffered"].map(|key| stream[key].as_u64().unwrap());
        assert_eq!(numbers, [50, 150, 100]);
        assert_eq!(stream["full_ms"], 1);
        assert_eq!(
            (&stream["readers"][0]["lag"], &stream["readers"][1]["lag"]),
            (&90.into(), &0.into())
        );
        assert_eq!(stream["held_by"]["channel"], "0.1.0");
        assert_eq!(stream["held_by"]["lag"], 90);
    }

    #[test]
    fn a_selection_sorts_and_cuts() {
        let engine = || EngineReport {
            streams: (1..=3).map(stream).collect(),
            readers: vec![reader(3, 0)],
            ..EngineReport::default()
        };
        let take = |query| {
            let now = Now { instant: Instant(3_000_000), unix_ms: 0 };
            let mut snapshot = Snapshot::new("lab", now, vec![worker(0, engine())]);
            let exists = Selection::parse(query).unwrap().apply(&mut snapshot);
            let ids = snapshot.streams.into_iter().map(|stream| stream.id);
            (exists, ids.collect::<Vec<String>>().join(" "))
        };
        assert_eq!(take(""), (true, "VS1 VS2 VS3".to_owned()));
        assert_eq!(take("sort=lag"), (true, "VS3 VS1 VS2".to_owned()));
        assert_eq!(take("sort=lag&top=2"), (true, "VS3 VS1".to_owned()));
        assert_eq!(take("top=3"), (true, "VS1 VS2 VS3".to_owned()));
        assert_eq!(take("stream=VS2"), (true, "VS2".to_owned()));
        assert_eq!(take("stream=VS9"), (false, String::new()));
    }
}
