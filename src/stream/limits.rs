//! The core's bounds, each with its default and why.

use crate::stream::Refusal;

/// Bounds of one engine. Every one has a test at it and one past it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Streams with their home on this engine.
    pub streams_max: usize,
    /// Largest `BufferSize`.
    pub buffer_bytes_max: u64,
    /// Test stream pairs on this engine; they outlive the channel that made them.
    pub test_streams_max: usize,
    /// Streams that one channel is attached to at once.
    pub attachments_per_channel_max: usize,
    /// Subscriptions of one channel.
    pub subscriptions_per_channel_max: usize,
    /// Commands of one channel that may pend at once (reads, writes, ends).
    pub pending_per_channel_max: usize,
    /// Parked bytes of one channel above which its socket is not read, where that cannot deadlock.
    pub parked_bytes_pause: u64,
    /// Parked bytes of one channel above which its writes are refused, where pausing could deadlock.
    pub parked_bytes_max: u64,
    /// Streams that one channel has read to their end and not yet disconnected from; the oldest is
    /// forgotten beyond.
    pub finished_per_channel_max: usize,
    /// Bytes served to one channel in one turn, so that one with many reads under way cannot pin more
    /// than a buffer before its own bound on unsent bytes is looked at.
    pub served_bytes_per_turn: usize,
    /// Messages queued for one other worker above which the channels that feed it wait.
    pub outbox_messages_pause: usize,
}

impl Limits {
    /// Whether a channel that has `parked` bytes in `pending` parked commands may park `more`. One that
    /// can be paused instead is; and one write always may, since a message has its own bound.
    pub(super) fn admit_parked(
        &self,
        may_pause: bool,
        parked: u64,
        pending: usize,
        more: u64,
    ) -> Result<(), Refusal> {
        if may_pause {
            return Ok(());
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

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            streams_max: 65_536,
            buffer_bytes_max: 1 << 30,
            test_streams_max: 256,
            attachments_per_channel_max: 16_384,
            subscriptions_per_channel_max: 1_024,
            pending_per_channel_max: 4_096,
            parked_bytes_pause: 1 << 20,
            parked_bytes_max: 8 << 20,
            finished_per_channel_max: 1_024,
            served_bytes_per_turn: 1 << 20,
            outbox_messages_pause: 1_024,
        }
    }
}
