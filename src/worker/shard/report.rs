//! Copies of a shard's numbers.

use std::sync::Arc;

use crate::id::ChannelId;
use crate::stream::EngineReport;

/// One channel's numbers.
#[derive(Clone, Debug)]
pub struct ChannelReport {
    /// Which channel.
    pub id: ChannelId,
    /// The peer's address.
    pub peer: Arc<str>,
    /// Commands received.
    pub commands: u64,
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
    /// Channels closed because of a malformed message, ever.
    pub malformed: u64,
}
