//! The core's bounds, each with its default and why.

use std::time::Duration;

use crate::stream::Refusal;
use crate::stream::account::{Account, WRITE_BYTES};
use crate::stream::budget::Budget;

/// Bounds of one engine. Every one has a test at it and one past it.
#[derive(Clone, Debug)]
pub struct CoreLimits {
    /// Streams with their home on this engine.
    pub streams_max: usize,
    /// Largest `BufferSize`.
    pub buffer_bytes_max: u64,
    /// Test stream pairs on this engine; they outlive the channel that made them.
    pub test_streams_max: usize,
    /// Places in one stream.
    pub places_per_stream_max: usize,
    /// The longest that a place may wait for its host.
    pub keep_for_max: Duration,
    /// Streams that one channel is attached to at once.
    pub attachments_per_channel_max: usize,
    /// Subscriptions of one channel.
    pub subscriptions_per_channel_max: usize,
    /// Commands of one channel that may pend at once (reads, writes, ends).
    pub pending_per_channel_max: usize,
    /// Parked bytes of one channel above which its socket is not read, where that cannot deadlock.
    pub parked_bytes_pause: u64,
    /// Parked bytes of one channel above which its writes are refused, where pausing could
    /// deadlock.
    pub parked_bytes_max: u64,
    /// Streams that one channel has read to their end and not yet disconnected from; the oldest is
    /// forgotten beyond.
    pub finished_per_channel_max: usize,
    /// Bytes served to one channel in one turn, so that one with many reads under way cannot pin
    /// more than a buffer before its own bound on unsent bytes is looked at.
    pub served_bytes_per_turn: usize,
    /// Messages queued for one other worker above which the channels that feed it wait.
    pub outgoing_messages_pause: usize,
    /// Bytes that streams with their home here, and channels here, may hold together: this engine's
    /// share of the broker's memory limit. A share and not the whole, since engines see nothing of
    /// each other; connections are dealt evenly, so the shares are used about evenly.
    pub memory_bytes_max: u64,
    /// The part of that which is set aside for each stream (at most its `BufferSize`): with it a
    /// stream goes on when others hold the rest. It is about what an idle stream costs anyway.
    pub stream_bytes_min: u64,
    /// What one channel may hold in a message under way though its account has no room: the packets
    /// of ordinary clients (64 KiB, in base64 too), and every command that makes memory free.
    pub short_bytes: u64,
    /// Longest `Linger`.
    pub linger_max: Duration,
}

impl CoreLimits {
    /// Whether a channel that has `parked` bytes in `pending` parked commands may park `more`. One
    /// that can be paused instead is; and a first short write always may, since a message has its
    /// own bound.
    pub(super) fn admit_parked(
        &self,
        budget: &Budget,
        account: &Account,
        may_pause: bool,
        parked: u64,
        pending: usize,
        more: u64,
    ) -> Result<(), Refusal> {
        if may_pause {
            return Ok(());
        }
        if parked > 0 || more > self.short_bytes {
            budget.admit(account, WRITE_BYTES + more)?;
        }
        if parked > 0 && parked + more > self.parked_bytes_max {
            return Err(Refusal::Limit(format!(
                "the channel has {parked} bytes parked; wait for replies before writing more"
            )));
        }
        if pending >= self.pending_per_channel_max {
            return Err(Refusal::Limit(format!(
                "the channel has {pending} commands pending; wait for replies before sending more"
            )));
        }
        Ok(())
    }
}

impl Default for CoreLimits {
    fn default() -> CoreLimits {
        CoreLimits {
            streams_max: 65_536,
            buffer_bytes_max: 1 << 30,
            test_streams_max: 256,
            places_per_stream_max: 64,
            keep_for_max: Duration::from_secs(3600),
            attachments_per_channel_max: 16_384,
            subscriptions_per_channel_max: 1_024,
            pending_per_channel_max: 4_096,
            parked_bytes_pause: 1 << 20,
            parked_bytes_max: 8 << 20,
            finished_per_channel_max: 1_024,
            served_bytes_per_turn: 1 << 20,
            outgoing_messages_pause: 1_024,
            memory_bytes_max: 1 << 30,
            stream_bytes_min: 4 << 10,
            short_bytes: 128 << 10,
            linger_max: Duration::from_secs(3600),
        }
    }
}
