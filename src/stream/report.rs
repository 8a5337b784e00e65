//! Copies of the core's numbers, for `list`, `/stats` and tests.

use std::sync::Arc;

use crate::id::{ChannelId, Offset, StreamId};
use crate::stats::Histogram;
use crate::stream::{Direction, Introduction, Marks, StallTimeout, Traffic};
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

/// What one engine has.
#[derive(Clone, Debug, Default)]
pub struct EngineReport {
    /// Streams at home here.
    pub streams: Vec<StreamReport>,
    /// When the bytes of those streams came that have readers.
    pub marks: Vec<(StreamId, Marks)>,
    /// Readers of channels here.
    pub readers: Vec<ReaderReport>,
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
