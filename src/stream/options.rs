//! What a stream's creator and its readers may choose (design: "The wire contract beyond the
//! specification").

use std::sync::Arc;
use std::time::Duration;

use crate::id::Offset;

/// Who writes and who reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The creator writes, others read.
    #[default]
    Out,
    /// The creator reads, others write: a standard input.
    In,
    /// Anyone reads and writes.
    Bus,
}

impl Direction {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Out => "out",
            Direction::In => "in",
            Direction::Bus => "bus",
        }
    }
}

/// How long a full stream waits for a reader that does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallTimeout {
    /// So long; zero never waits.
    After(Duration),
    /// For ever: lossless.
    Never,
}

impl Default for StallTimeout {
    /// Long enough for a host that pauses to think, short enough that nobody calls the operator.
    fn default() -> StallTimeout {
        StallTimeout::After(Duration::from_millis(5000))
    }
}

/// What `create` may say of a stream.
#[derive(Clone, Debug)]
pub struct Properties {
    /// The stream's type; any string.
    pub stream_type: String,
    /// The context it belongs to.
    pub context: Option<String>,
    /// A name for people.
    pub name: Option<String>,
    /// Who writes and who reads.
    pub direction: Direction,
    /// The most bytes kept, at least 1 and at most
    /// [`CoreLimits::buffer_bytes_max`](crate::stream::CoreLimits).
    pub buffer_bytes: u64,
    /// Bytes kept after everyone has read them, at most `buffer_bytes`.
    pub history_bytes: u64,
    /// How long a full stream waits for a reader that does not read.
    pub stall_timeout: StallTimeout,
    /// Whether everything is kept (writes park) until the first reader attaches.
    pub hold: bool,
    /// How long a disposed stream stays readable for late hosts.
    pub linger: Duration,
    /// The secret that lets the creator take the stream up again.
    pub key: Option<String>,
    /// How long a keyed stream waits for its creator after the creator's channel broke.
    pub keep_for: Duration,
    /// The offset of the first byte: a copy of a stream goes on where the original does. Peers
    /// cannot choose it.
    pub origin: Offset,
}

impl Properties {
    /// Default `BufferSize`: a second of a fast console, and little next to a machine's memory.
    pub const BUFFER_BYTES: u64 = 1 << 20;
    /// Default `History`: a boot log.
    pub const HISTORY_BYTES: u64 = 64 << 10;

    /// All defaults for a stream of this type.
    pub fn new(stream_type: &str) -> Properties {
        Properties {
            stream_type: stream_type.to_owned(),
            context: None,
            name: None,
            direction: Direction::default(),
            buffer_bytes: Properties::BUFFER_BYTES,
            history_bytes: Properties::HISTORY_BYTES,
            stall_timeout: StallTimeout::default(),
            hold: false,
            linger: Duration::ZERO,
            key: None,
            keep_for: Duration::ZERO,
            origin: Offset::ZERO,
        }
    }
}

/// Where a reader starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// The oldest byte kept.
    #[default]
    Oldest,
    /// The next byte to come.
    Latest,
    /// This byte, or the oldest kept after it.
    Offset(Offset),
}

/// The longest name of a place, in bytes.
pub const PLACE_NAME_BYTES_MAX: usize = 255;

/// The place that a reader takes in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placing {
    /// By which it is known; at most [`PLACE_NAME_BYTES_MAX`] bytes.
    pub name: Arc<str>,
    /// How long it stays after its channel broke, at most
    /// [`CoreLimits::keep_for_max`](crate::stream::CoreLimits).
    pub keep_for: Duration,
    /// Where to start; if `None`, behind what was confirmed, or at the oldest byte where the place
    /// is new.
    pub from: Option<From>,
}

/// What `attach` may say of a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// Where to start.
    pub from: From,
    /// The reader's own value; the stream's where `None`.
    pub stall_timeout: Option<StallTimeout>,
}
