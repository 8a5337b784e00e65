//! The memory that one engine and its channels may hold, and who waits for some.

use std::collections::VecDeque;

use crate::id::StreamId;
use crate::stream::readers::READ_REPLY_BYTES_MAX;
use crate::stream::{CoreLimits, Refusal};

/// What streams may borrow for writes that must be taken whole: this part of the limit.
const LENT_PART: u64 = 8;

/// One engine's share of the memory limit.
///
/// What counts: the log of each stream at home here, and at least
/// [`CoreLimits::stream_bytes_min`] of it whether it is used or not; the writes that channels of
/// this worker have parked, wherever the stream is; what the driver says of messages under way in
/// and out. A view shares its home's bytes, so it does not count.
///
/// A write that is to be taken whole and that is larger than what is set aside borrows: it has been
/// held as a parked write before, so moving it costs nothing, and its stream has nothing else to
/// keep then. All that is lent this way is an eighth of the limit at most.
///
/// Over the limit nothing is dropped. A stream's buffer is as large as what it has then, and never
/// smaller than the part that is set aside for it: a stream whose readers read goes on, whoever
/// else holds the memory. So the streams together stay within the limit, and what comes on top is
/// one message a channel, since a channel that writes is not read again before its write has found
/// space.
#[derive(Debug)]
pub(super) struct Budget {
    max: u64,
    streams: u64,
    parked: u64,
    unsent: u64,
    receiving: u64,
    /// Handed to readers in this turn, before the driver could count it.
    served: u64,
    /// Streams with parked writes that only lack memory.
    starved: VecDeque<StreamId>,
}

impl Budget {
    pub(super) fn new(max: u64) -> Budget {
        Budget {
            max,
            streams: 0,
            parked: 0,
            unsent: 0,
            receiving: 0,
            served: 0,
            starved: VecDeque::new(),
        }
    }

    /// Changes the limit. What is held beyond a lower one stays until it is read.
    pub(super) fn set_max(&mut self, max: u64) {
        self.max = max;
    }

    fn but_receiving(&self) -> u64 {
        self.streams + self.parked + self.unsent + self.served
    }

    /// Everything that counts.
    pub(super) fn held(&self) -> u64 {
        self.but_receiving() + self.receiving
    }

    /// What may still be held.
    pub(super) fn free(&self) -> u64 {
        self.max.saturating_sub(self.held())
    }

    /// Whether nothing more may be held.
    pub(super) fn is_spent(&self) -> bool {
        self.free() == 0
    }

    /// Whether that is so even without the messages that are being received.
    pub(super) fn is_spent_but_receiving(&self) -> bool {
        self.but_receiving() >= self.max
    }

    /// What the driver holds for the channels.
    pub(super) fn set_outside(&mut self, unsent: u64, receiving: u64) {
        (self.unsent, self.receiving) = (unsent, receiving);
    }

    /// A turn begins; what the last one served is among the driver's unsent bytes now.
    pub(super) fn begin_turn(&mut self) {
        self.served = 0;
    }

    /// Bytes have been handed to a reader.
    pub(super) fn serve(&mut self, bytes: u64) {
        self.served += bytes;
    }

    /// The most bytes of one read reply now.
    pub(super) fn reply_max(&self, limits: &CoreLimits) -> u64 {
        self.free().clamp(limits.short_bytes, READ_REPLY_BYTES_MAX.max(limits.short_bytes))
    }

    /// Corrects what one stream counts.
    pub(super) fn recharge(&mut self, charged: &mut u64, now: u64) {
        self.streams = self.streams - *charged + now;
        *charged = now;
    }

    pub(super) fn park(&mut self, bytes: u64) {
        self.parked += bytes;
    }

    pub(super) fn unpark(&mut self, bytes: u64) {
        self.parked -= bytes;
    }

    /// Whether `more` bytes may be held that could as well be refused.
    pub(super) fn admit(&self, more: u64) -> Result<(), Refusal> {
        if more <= self.free() {
            return Ok(());
        }
        let max = self.max;
        Err(Refusal::Limit(format!(
            "a worker of the broker holds all of its {max} bytes of memory; read or dispose streams"
        )))
    }

    /// Notes a stream whose parked writes lack nothing but memory. Each is noted once.
    pub(super) fn starve(&mut self, stream: StreamId) {
        self.starved.push_back(stream);
    }

    /// The stream that has waited longest.
    pub(super) fn first_starved(&self) -> Option<StreamId> {
        self.starved.front().copied()
    }

    /// The same, which is noted no longer.
    pub(super) fn pop_starved(&mut self) -> Option<StreamId> {
        self.starved.pop_front()
    }

    /// Whether a stream that counts `charged` may hold `size` bytes instead: one write, taken whole
    /// though there is no memory for it.
    pub(super) fn may_lend(&self, charged: u64, size: u64) -> bool {
        self.streams - charged + size <= self.whole_write_max()
    }

    fn whole_write_max(&self) -> u64 {
        self.max + self.max / LENT_PART
    }

    /// Whether a write that must be taken whole can be, however much memory comes free.
    pub(super) fn admit_whole(&self, size: u64) -> Result<(), Refusal> {
        let most = self.whole_write_max();
        if size <= most {
            return Ok(());
        }
        Err(Refusal::Limit(format!(
            "the write has {size} bytes and a worker of the broker memory for {most}; write less at once"
        )))
    }
}
