//! Copies of a shard's numbers.

use std::sync::Arc;

use crate::id::{ChannelId, Door};
use crate::stream::{EngineReport, Introduction};
use crate::time::Instant;

/// One channel's numbers.
#[derive(Clone, Debug)]
pub struct ChannelReport {
    /// Which channel.
    pub id: ChannelId,
    /// The peer's address.
    pub peer: Arc<str>,
    /// What the peer says of itself.
    pub introduction: Option<Arc<Introduction>>,
    /// Through which door it came in.
    pub door: Door,
    /// When it was opened.
    pub opened_at: Instant,
    /// The services of the peer's Hello, with commas between them.
    pub services: Box<str>,
    /// Commands received.
    pub commands: u64,
    /// Commands answered with an error, or not recognised.
    pub errors: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes waiting to be sent.
    pub unsent_bytes: u64,
}

/// What one shard has.
#[derive(Clone, Debug, Default)]
pub struct ShardReport {
    /// The core's numbers.
    pub engine: EngineReport,
    /// Its open channels.
    pub channels: Vec<ChannelReport>,
    /// Channels opened, ever.
    pub channels_opened: u64,
    /// Commands received, ever.
    pub commands: u64,
    /// Commands answered with an error, or not recognised, ever.
    pub errors: u64,
    /// Channels closed because of a malformed message, ever.
    pub malformed: u64,
    /// Channels closed because the peer never said Hello.
    pub without_hello: u64,
    /// Channels given up at their end because the peer took nothing in.
    pub abandoned: u64,
}
