//! The rows of `/stats`: streams, readers and channels. `docs/STATS.md` says what each number
//! means.

use serde::Serialize;

use crate::admin::snapshot::head::milliseconds;
use crate::id::{Offset, WorkerId};
use crate::stream::{
    Introduction, Marks, ReaderReport, ReadersReport, STALLED_AFTER, StallTimeout, StreamReport,
};
use crate::time::Instant;
use crate::worker::ChannelReport;

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
    stall_timeout: Option<u64>,
    hold: bool,
    start: u64,
    end: u64,
    buffered: u64,
    /// Bytes a second that come in.
    rate: u64,
    eos: bool,
    cut_off: bool,
    parked_writes: u64,
    parked_bytes: u64,
    full_ms: u64,
    held_by: Option<HeldBy>,
    owner: Option<String>,
    owner_says: Option<Says>,
    age_ms: u64,
    reader_count: u64,
}

/// What a peer says of itself, for people.
#[derive(Clone, Debug, Serialize)]
struct Says {
    name: Option<String>,
    user: Option<String>,
    program: Option<String>,
}

impl Says {
    fn of(introduction: Option<&Introduction>) -> Option<Says> {
        let Introduction { name, user, program } = introduction?;
        let text = |part: &Option<Box<str>>| part.as_deref().map(str::to_owned);
        Some(Says { name: text(name), user: text(user), program: text(program) })
    }
}

/// The reader that holds a full buffer the furthest back.
#[derive(Clone, Debug, Serialize)]
struct HeldBy {
    channel: String,
    peer: String,
    says: Option<Says>,
    away: bool,
    lag: u64,
    lag_ms: u64,
}

#[derive(Debug, Serialize)]
struct ReaderRow {
    stream: String,
    channel: String,
    peer: String,
    says: Option<Says>,
    front: &'static str,
    place: Option<String>,
    confirmed: Option<u64>,
    away: bool,
    start: u64,
    position: u64,
    delivered: u64,
    lost: u64,
    lag: u64,
    lag_ms: u64,
    pending_reads: u64,
    idle_ms: u64,
    stall_timeout: Option<u64>,
    lagging: bool,
    stalled: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct ChannelRow {
    id: String,
    worker: u16,
    peer: String,
    says: Option<Says>,
    front: &'static str,
    services: Vec<String>,
    commands: u64,
    errors: u64,
    received_bytes: u64,
    sent_bytes: u64,
    unsent_bytes: u64,
    age_ms: u64,
}

/// Some of the readers that one worker has of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) worker: WorkerId,
    /// When the worker was asked.
    pub(crate) now: Instant,
    pub(crate) readers: ReadersReport,
}

/// One stream as its home knows it, and what all workers say of its readers.
#[derive(Debug)]
pub(crate) struct Joined {
    context: StreamContext,
    parts: Vec<Part>,
}

/// What is needed of a stream to tell of its readers.
#[derive(Clone, Debug)]
pub(crate) struct StreamContext {
    stream: StreamReport,
    marks: Marks,
    /// When its home was asked.
    now: Instant,
}

impl Joined {
    /// Joins what workers said, so that it fits together. The home and the workers of its readers
    /// are asked within milliseconds of each other, not at once; a reader that is further than the
    /// home knew proves that the stream was, so the end is the furthest that anybody has seen.
    pub(crate) fn new(
        mut stream: StreamReport,
        marks: Marks,
        now: Instant,
        parts: Vec<Part>,
    ) -> Joined {
        let seen = parts.iter().map(|part| part.readers.furthest);
        stream.end = seen.fold(stream.end, Offset::max);
        stream.start = stream.start.max(stream.end.back(stream.buffer_bytes));
        Joined { context: StreamContext { stream, marks, now }, parts }
    }

    pub(crate) fn context(&self) -> &StreamContext {
        &self.context
    }

    /// What the workers say of its readers.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The lag of the reader that is furthest back.
    pub(crate) fn largest_lag(&self) -> u64 {
        let lowest = self.parts.iter().filter_map(|part| part.readers.lowest).min();
        lowest.map_or(0, |lowest| self.context.stream.end.since(lowest))
    }

    /// What its readers have lost.
    pub(crate) fn lost(&self) -> u64 {
        self.parts.iter().map(|part| part.readers.lost).sum()
    }

    /// The stream's own numbers, as a JSON object.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let StreamContext { stream, now, .. } = &self.context;
        let holder = || {
            let holders = self
                .parts
                .iter()
                .filter_map(|part| part.readers.holder.as_ref().map(|reader| (reader, part.now)));
            holders.min_by_key(|(reader, _)| reader.position)
        };
        let row = StreamRow {
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
            buffered: self.context.buffered(),
            rate: self.context.rate(),
            eos: stream.eos,
            cut_off: stream.cut_off,
            parked_writes: stream.parked_writes,
            parked_bytes: stream.parked_bytes,
            // A write that waits makes a stream full, if only for the time being.
            full_ms: stream.full_since.map_or(0, |since| milliseconds(now.since(since)).max(1)),
            held_by: stream
                .full_since
                .and_then(|_| holder())
                .map(|(reader, asked)| HeldBy::new(ReaderRow::new(reader, asked, &self.context))),
            owner: stream.owner.as_deref().map(str::to_owned),
            owner_says: Says::of(stream.introduction.as_deref()),
            age_ms: milliseconds(now.since(stream.created_at)),
            reader_count: self.parts.iter().map(|part| part.readers.count).sum(),
        };
        serde_json::to_vec(&row).expect("strings and numbers make JSON")
    }
}

impl StreamContext {
    pub(crate) fn id(&self) -> crate::id::StreamId {
        self.stream.id
    }

    fn buffered(&self) -> u64 {
        self.stream.end.since(self.stream.start)
    }

    /// Bytes that come in a second.
    pub(crate) fn rate(&self) -> u64 {
        self.marks.rate(self.now)
    }

    /// How full the buffer is, in parts of 2^20.
    pub(crate) fn fill(&self) -> u64 {
        let fill =
            (u128::from(self.buffered()) << 20) / u128::from(self.stream.buffer_bytes.max(1));
        u64::try_from(fill).unwrap_or(u64::MAX)
    }

    /// How far behind a reader is.
    pub(crate) fn lag(&self, reader: &ReaderReport) -> u64 {
        self.stream.end.max(reader.end).since(reader.position)
    }

    /// A reader's row, as a JSON object. One that is asked for later than its stream may be
    /// further.
    pub(crate) fn reader_json(&self, reader: &ReaderReport, now: Instant) -> Vec<u8> {
        let row = ReaderRow::new(reader, now, self);
        serde_json::to_vec(&row).expect("strings and numbers make JSON")
    }
}

impl HeldBy {
    fn new(row: ReaderRow) -> HeldBy {
        let ReaderRow { channel, peer, says, away, lag, lag_ms, .. } = row;
        HeldBy { channel, peer, says, away, lag, lag_ms }
    }
}

impl ReaderRow {
    /// A reader as its worker knew it at `now`.
    fn new(reader: &ReaderReport, now: Instant, home: &StreamContext) -> ReaderRow {
        let (lag, place) = (home.lag(reader), reader.place.as_ref());
        let age = home.marks.age(home.now, reader.position);
        // Each worker has a clock of its own.
        let full_for = home.stream.full_since.map(|since| home.now.since(since));
        let idle = now.since(reader.progress_at);
        let is_silent = full_for.is_some_and(|full| full.min(idle) >= STALLED_AFTER);
        ReaderRow {
            stream: reader.stream.to_string(),
            channel: reader.channel.to_string(),
            peer: reader.peer.to_string(),
            says: Says::of(reader.introduction.as_deref()),
            front: reader.door.as_str(),
            place: place.map(|place| place.name.to_string()),
            confirmed: place.map(|place| place.confirmed.0),
            away: place.is_some_and(|place| place.away_until.is_some()),
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
            stalled: lag > 0 && reader.holds() && is_silent,
        }
    }
}

impl ChannelRow {
    pub(crate) fn new(report: ChannelReport, now: Instant) -> ChannelRow {
        let names = report.services.split(',').filter(|name| !name.is_empty());
        ChannelRow {
            id: report.id.to_string(),
            worker: report.id.worker.0,
            peer: report.peer.to_string(),
            says: Says::of(report.introduction.as_deref()),
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

    /// As a JSON object.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers make JSON")
    }
}

/// Milliseconds; `None` waits for ever.
fn stall_ms(timeout: StallTimeout) -> Option<u64> {
    match timeout {
        StallTimeout::After(time) => Some(milliseconds(time)),
        StallTimeout::Never => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::id::{ChannelId, Door, StreamId};
    use crate::stream::Direction;

    fn stream() -> StreamReport {
        StreamReport {
            id: StreamId(2),
            stream_type: "console".into(),
            context: None,
            name: Some("uart0".into()),
            direction: Direction::Out,
            buffer_bytes: 100,
            history_bytes: 50,
            stall_timeout: StallTimeout::After(Duration::from_secs(5)),
            start: Offset(0),
            end: Offset(100),
            eos: false,
            cut_off: false,
            readers: 2,
            parked_writes: 1,
            parked_bytes: 7,
            unread: 0,
            is_held: false,
            full_since: Some(Instant(2_000_000)),
            owner: Some("127.0.0.1:5".into()),
            introduction: None,
            created_at: Instant(1_000_000),
        }
    }

    /// A worker's only reader.
    fn part(worker: u16, position: u64, end: u64) -> Part {
        let reader = ReaderReport {
            stream: StreamId(2),
            channel: ChannelId { worker: WorkerId(worker), slot: 1, generation: 0 },
            peer: "127.0.0.1:6".into(),
            door: Door::Tcf,
            introduction: None,
            place: None,
            start: Offset(0),
            position: Offset(position),
            end: Offset(end),
            delivered: position,
            lost: 0,
            pending_reads: 1,
            lagging: false,
            stall_timeout: StallTimeout::Never,
            progress_at: Instant(1_000_000),
        };
        let readers = ReadersReport {
            count: 1,
            furthest: Offset(end),
            lowest: Some(Offset(position)),
            lost: 0,
            holder: (position < end).then(|| reader.clone()),
            rows: vec![reader],
            next: None,
        };
        Part { worker: WorkerId(worker), now: Instant(3_000_000), readers }
    }

    #[test]
    fn numbers_of_workers_that_were_asked_one_after_the_other_fit_together() {
        let parts = vec![part(0, 60, 100), part(1, 150, 150)];
        let row = Joined::new(stream(), Marks::default(), Instant(3_000_000), parts);
        let json: Value = serde_json::from_slice(&row.to_json()).unwrap();
        let numbers = ["start", "end", "buffered", "full_ms", "age_ms", "reader_count"];
        assert_eq!(numbers.map(|key| json[key].as_u64().unwrap()), [50, 150, 100, 1, 2, 2]);
        assert_eq!((&json["id"], &json["type"]), (&"VS2".into(), &"console".into()));
        assert_eq!((&json["context_id"], &json["stall_timeout"]), (&Value::Null, &5000.into()));
        let held_by = &json["held_by"];
        assert_eq!((&held_by["channel"], &held_by["lag"]), (&"0.1.0".into(), &90.into()));
        assert_eq!((row.largest_lag(), row.lost()), (90, 0));
        let lags = row.parts().iter().map(|part| {
            let reader = row.context().reader_json(&part.readers.rows[0], part.now);
            serde_json::from_slice::<Value>(&reader).unwrap()["lag"].as_u64().unwrap()
        });
        assert_eq!(lags.collect::<Vec<u64>>(), [90, 0]);
    }

    #[test]
    fn a_reader_that_is_asked_for_later_has_an_account_of_its_own() {
        let row = Joined::new(stream(), Marks::default(), Instant(3_000_000), Vec::new());
        let late = part(1, 180, 200).readers.rows.remove(0);
        assert_eq!(row.context().lag(&late), 20);
    }
}
