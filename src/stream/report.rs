//! Copies of the core's numbers, for `list`, `/stats` and tests.

use std::sync::Arc;
use std::time::Duration;

use crate::id::{ChannelId, Door, Offset, StreamId, WorkerId};
use crate::stats::Histogram;
use crate::stream::{Direction, Introduction, Marks, StallTimeout, Traffic, TypeSlot};
use crate::time::Instant;

/// One stream, seen from its home.
#[derive(Clone, Debug)]
pub struct StreamReport {
    /// Which stream.
    pub id: StreamId,
    /// Its type.
    pub stream_type: Arc<str>,
    /// The context it belongs to.
    pub context: Option<Arc<str>>,
    /// A name for people.
    pub name: Option<Arc<str>>,
    /// Who writes and who reads.
    pub direction: Direction,
    /// The most bytes kept.
    pub buffer_bytes: u64,
    /// Bytes kept after everyone has read them.
    pub history_bytes: u64,
    /// How long the full stream waits for a reader that does not read.
    pub stall_timeout: StallTimeout,
    /// The oldest byte kept.
    pub start: Offset,
    /// The next byte to be written.
    pub end: Offset,
    /// Whether the end of stream has been set.
    pub eos: bool,
    /// Whether the end came because the writer broke off.
    pub cut_off: bool,
    /// Readers on all workers.
    pub readers: u64,
    /// Writes that wait for space.
    pub parked_writes: u64,
    /// Bytes of those writes.
    pub parked_bytes: u64,
    /// Bytes that went before the first reader came, or by now where none has come.
    pub unread: u64,
    /// Whether everything is kept until the first reader comes (`Hold`).
    pub is_held: bool,
    /// Since when writes wait; `None` while none does.
    pub full_since: Option<Instant>,
    /// Peer address of the creator; `None` where it is gone or was the broker.
    pub owner: Option<Arc<str>>,
    /// What the creator says of itself.
    pub introduction: Option<Arc<Introduction>>,
    /// Nanoseconds on the broker's clock, to sort by age.
    pub created_at: Instant,
}

/// One reader, seen from its channel's worker.
#[derive(Clone, Debug)]
pub struct ReaderReport {
    /// Which stream.
    pub stream: StreamId,
    /// Whose.
    pub channel: ChannelId,
    /// The peer's address.
    pub peer: Arc<str>,
    /// What it says of itself.
    pub introduction: Option<Arc<Introduction>>,
    /// Through which door its channel came in.
    pub door: Door,
    /// Where its accounting started. `start + delivered + lost = position`, always.
    pub start: Offset,
    /// The next byte it will get.
    pub position: Offset,
    /// The stream's end as this worker knows it.
    pub end: Offset,
    /// Bytes handed out.
    pub delivered: u64,
    /// Bytes skipped because they were gone.
    pub lost: u64,
    /// Reads that wait for bytes.
    pub pending_reads: u64,
    /// Whether the reader has stalled past its timeout and no longer holds the buffer.
    pub lagging: bool,
    /// How long the full stream waits for it.
    pub stall_timeout: StallTimeout,
    /// When it last took a byte, or attached.
    pub progress_at: Instant,
    /// Its place, if it has one. A place whose host is away is a reader too, which takes nothing.
    pub place: Option<PlaceReport>,
}

/// A reader's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceReport {
    /// By which it is known.
    pub name: Arc<str>,
    /// It holds the buffer from here.
    pub confirmed: Offset,
    /// Until when it waits for its host, who is away; `None` where the host is there.
    pub away_until: Option<Instant>,
}

/// What one engine counts, all of one moment.
#[derive(Clone, Debug, Default)]
pub struct EngineTotals {
    /// Streams at home here.
    pub streams: u64,
    /// Bytes that count against the engine's share of the memory limit.
    pub held_bytes: u64,
    /// That share.
    pub held_bytes_max: u64,
    /// Bytes accepted into streams at home here, ever.
    pub accepted_bytes: u64,
    /// Bytes handed to readers here, ever.
    pub delivered_bytes: u64,
    /// Bytes lost to readers here, ever.
    pub lost_bytes: u64,
    /// The same by type.
    pub traffic: Traffic,
    /// Readers that became lagging, ever.
    pub stalls: u64,
    /// Nanoseconds that writes waited for space; `None` of no engine.
    pub park_time: Option<Histogram>,
    /// Bytes that waited for a reader when a read of it was answered; `None` of no engine.
    pub reader_lag: Option<Histogram>,
}

/// Everything that one engine has, at once.
#[derive(Clone, Debug, Default)]
pub struct EngineReport {
    /// What is counted.
    pub totals: EngineTotals,
    /// Streams at home here, oldest first.
    pub streams: Vec<StreamReport>,
    /// When their bytes came.
    pub marks: Vec<(StreamId, Marks)>,
    /// Readers of channels here.
    pub readers: Vec<ReaderReport>,
    /// Bytes that count against the engine's share of the memory limit.
    pub held_bytes: u64,
}

/// Where a walk over everything that one engine has goes on.
#[derive(Clone, Debug)]
pub enum Walk {
    /// Behind this stream at home.
    Streams(Option<StreamId>),
    /// With these views, the last one first. The table has no order to break off in, so that the
    /// IDs are taken at once, 8 bytes each.
    Views(Vec<StreamId>),
}

/// What the streams of one type have now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// How many there are.
    pub streams: u64,
    /// Bytes that they hold.
    pub buffered_bytes: u64,
    /// Bytes that they may hold.
    pub buffer_bytes: u64,
}

/// What the streams of each type have now.
#[derive(Clone, Copy, Debug)]
pub struct HeldByType([Held; TypeSlot::COUNT]);

impl Default for HeldByType {
    fn default() -> HeldByType {
        HeldByType([Held::default(); TypeSlot::COUNT])
    }
}

impl HeldByType {
    /// Of one type.
    pub fn of(&self, slot: TypeSlot) -> &Held {
        &self.0[slot.index()]
    }

    pub(super) fn of_mut(&mut self, slot: TypeSlot) -> &mut Held {
        &mut self.0[slot.index()]
    }
}

impl Held {
    /// Adds another's.
    pub fn add(&mut self, other: &Held) {
        self.streams += other.streams;
        self.buffered_bytes += other.buffered_bytes;
        self.buffer_bytes += other.buffer_bytes;
    }
}

/// How far behind one reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lag {
    /// Bytes that wait for it.
    pub bytes: u64,
    /// Of which stream.
    pub stream: StreamId,
    /// The next byte it will get.
    pub position: Offset,
}

/// What rows come to, gathered piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Streams, views and readers that were looked at for this.
    pub seen: usize,
    /// Readers by door, as in [`Door::ALL`].
    pub readers: [u64; Door::ALL.len()],
    /// Those that no longer hold the buffer.
    pub lagging: u64,
    /// Those that hold a full buffer and take nothing.
    pub stalled: u64,
    /// Reads that wait for bytes.
    pub parked_reads: u64,
    /// Streams in which writes wait.
    pub full: u64,
    /// Those writes.
    pub parked_writes: u64,
    /// Their bytes.
    pub parked_bytes: u64,
    /// By the slot of the type.
    pub held: HeldByType,
    /// The readers that are furthest behind, the furthest first; at most [`Gauges::LAGS_MAX`].
    pub lags: Vec<Lag>,
}

impl Gauges {
    /// Readers that are told of one by one.
    pub const LAGS_MAX: usize = 5;

    /// Notes how far behind a reader is.
    pub(super) fn note_lag(&mut self, lag: Lag) {
        let is_full = self.lags.len() == Gauges::LAGS_MAX;
        if is_full && self.lags.last().is_some_and(|least| *least >= lag) {
            return;
        }
        let place = self.lags.partition_point(|other| *other > lag);
        self.lags.insert(place, lag);
        self.lags.truncate(Gauges::LAGS_MAX);
    }

    /// Adds what another piece of the same engine says.
    pub fn add(&mut self, other: &Gauges) {
        self.seen += other.seen;
        for (count, more) in self.readers.iter_mut().zip(other.readers) {
            *count += more;
        }
        self.lagging += other.lagging;
        self.stalled += other.stalled;
        self.parked_reads += other.parked_reads;
        self.full += other.full;
        self.parked_writes += other.parked_writes;
        self.parked_bytes += other.parked_bytes;
        for (held, more) in self.held.0.iter_mut().zip(&other.held.0) {
            held.add(more);
        }
        other.lags.iter().for_each(|lag| self.note_lag(*lag));
    }
}

/// Which readers of one stream are asked for.
#[derive(Clone, Copy, Debug)]
pub struct ReadersWanted {
    /// Of which stream.
    pub stream: StreamId,
    /// From this place in the table of its readers.
    pub from: usize,
}

/// Readers that one worker has of one stream.
#[derive(Clone, Debug, Default)]
pub struct ReadersReport {
    /// How many there are.
    pub count: u64,
    /// The offset that the stream has reached for certain, as far as the worker knows.
    pub furthest: Offset,
    /// The next byte of the one that is furthest back.
    pub lowest: Option<Offset>,
    /// What they all have lost.
    pub lost: u64,
    /// The one that is furthest back of those that hold the buffer.
    pub holder: Option<ReaderReport>,
    /// Some of them.
    pub rows: Vec<ReaderReport>,
    /// Where to go on; `None` where these are the last.
    pub next: Option<usize>,
}

/// One stream at home, and its readers there.
#[derive(Clone, Debug)]
pub struct StreamRow {
    /// The stream's own numbers.
    pub stream: StreamReport,
    /// When its bytes came.
    pub marks: Marks,
    /// The other workers that have readers of it.
    pub viewers: Vec<WorkerId>,
    /// The readers here.
    pub readers: ReadersReport,
}

/// A reader that takes nothing counts as stalled after this time; one that takes something every
/// now and then does not flicker.
pub const STALLED_AFTER: Duration = Duration::from_millis(100);

impl ReaderReport {
    /// Whether the full stream waits for it.
    pub fn holds(&self) -> bool {
        !self.lagging && self.stall_timeout != StallTimeout::After(Duration::ZERO)
    }
}
