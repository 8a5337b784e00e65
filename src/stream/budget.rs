//! The memory that one engine and its channels may hold, and who waits for some.

use std::collections::VecDeque;

use crate::id::StreamId;
use crate::stream::account::Account;
use crate::stream::readers::READ_REPLY_BYTES_MAX;
use crate::stream::segments::Segments;
use crate::stream::{CoreLimits, Refusal};

/// What streams may borrow for writes that must be taken whole: this part of the limit.
const LENT_PART: u64 = 8;

/// This part of the limit may wait to be sent before outputs hold no more than they need.
const UNSENT_PART: u64 = 8;

/// This part of the limit is left to accounts of no more than [`ACCOUNT_BYTES_SMALL`].
const NEWCOMERS_PART: u64 = 32;

/// What a newcomer has that does ordinary things.
const ACCOUNT_BYTES_SMALL: u64 = 64 << 10;

/// Messages that are being received may hold this part of the limit on top of it.
const MESSAGES_PART: u64 = 8;

/// What every account may have, whatever others hold: a stream or two, a few attachments. It is
/// about what a channel costs anyway.
const ACCOUNT_BYTES_MIN: u64 = 16 << 10;

/// One engine's share of the memory limit.
///
/// What counts: the log of each stream at home here, and at least
/// [`CoreLimits::stream_bytes_min`] of it whether it is used or not; segments that a log has let go
/// and an output has not; and what each party makes the broker hold (its [`Account`]). A view
/// shares its home's bytes, so it does not count.
///
/// Three rules share it out, so that whoever comes finds room:
///
/// - An account may grow as long as it holds no more than what is free, and to a few KiB always. So
///   one peer has at most half, and of n peers each at most one part in n + 1. Large accounts leave
///   a little free on top: they grow in steps, and a newcomer must find room between two.
/// - A stream's bytes beyond the part that is set aside for it leave the last eighth free.
/// - Replies to reads leave the last quarter free: what viewers do not take in holds up no writer.
///
/// A write that is to be taken whole and that is larger than what is set aside borrows: it has been
/// held as a parked write before, so moving it costs nothing, and its stream has nothing else to
/// keep then. All that is lent this way is an eighth of the limit at most.
///
/// Over a bound nothing is dropped. A stream's buffer is as large as what it has then, and never
/// smaller than the part that is set aside for it: a stream whose readers read goes on, whoever
/// else holds the memory.
#[derive(Debug)]
pub(super) struct Budget {
    max: u64,
    /// Logs.
    streams: u64,
    /// All accounts.
    accounts: u64,
    /// Streams whose owner is gone or on another worker, but for their bytes.
    ownerless: u64,
    segments: Segments,
    /// Of the accounts, the messages that are being received.
    receiving: u64,
    /// Of those, the one that goes on beyond the limit.
    beyond: u64,
    /// Of the accounts, writes that were parked though there was no room: refusing them would have
    /// lost what an agent says.
    overparked: Overparked,
    /// Handed to readers in this turn.
    served: u64,
    /// Streams with parked writes that only lack memory.
    starved: VecDeque<StreamId>,
}

/// Writes that were parked without room for them, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Overparked {
    /// Those that came in messages short enough not to wait for room.
    pub(super) short: u64,
    /// That of the message that went on beyond the limit.
    pub(super) long: u64,
}

impl Overparked {
    pub(super) fn sum(self) -> u64 {
        self.short + self.long
    }

    /// What is left of it where no more than `most` is parked. One write at a time is parked
    /// without room, so this is all or nothing.
    pub(super) fn at_most(self, most: u64) -> Overparked {
        let long = self.long.min(most);
        Overparked { short: self.short.min(most - long), long }
    }
}

impl std::ops::AddAssign for Overparked {
    fn add_assign(&mut self, other: Overparked) {
        self.short += other.short;
        self.long += other.long;
    }
}

/// What the sums of a budget should be, from what is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) streams: u64,
    pub(super) accounts: u64,
    pub(super) ownerless: u64,
    pub(super) overparked: Overparked,
    /// Of counted segments, what logs have.
    pub(super) kept: u64,
}

impl Budget {
    pub(super) fn new(max: u64) -> Budget {
        let segments = Segments::default();
        segments.set_unsent_max(max / UNSENT_PART);
        Budget {
            max,
            streams: 0,
            accounts: 0,
            ownerless: 0,
            segments,
            receiving: 0,
            beyond: 0,
            overparked: Overparked::default(),
            served: 0,
            starved: VecDeque::new(),
        }
    }

    /// Changes the limit. What is held beyond a lower one stays until it is read.
    pub(super) fn set_max(&mut self, max: u64) {
        self.max = max;
        self.segments.set_unsent_max(max / UNSENT_PART);
    }

    /// Everything that counts.
    pub(super) fn held(&self) -> u64 {
        self.streams + self.accounts + self.ownerless + self.segments.unsent()
    }

    /// What may still be held. What could not wait for room comes on top, so that a newcomer finds
    /// some: short messages under way, which may be the commands that make memory free, the one
    /// that goes on beyond the limit, and writes parked without room.
    pub(super) fn free(&self) -> u64 {
        let short = (self.receiving - self.beyond).min(self.max / MESSAGES_PART);
        self.max.saturating_sub(self.held() - (short + self.beyond + self.overparked.sum()))
    }

    /// What streams may still grow by beyond what is set aside for them.
    pub(super) fn free_for_streams(&self) -> u64 {
        self.free().saturating_sub(self.max / 8)
    }

    /// What may still wait to be sent to readers.
    fn free_for_replies(&self) -> u64 {
        self.free().saturating_sub(self.max / 4 + self.served)
    }

    /// Whether everything is held even without the messages that are being received.
    pub(super) fn is_spent_but_receiving(&self) -> bool {
        self.held() - self.receiving >= self.max
    }

    /// Whether messages that are being received hold so much that only short ones may go on.
    pub(super) fn is_full_of_messages(&self) -> bool {
        self.receiving - self.beyond + self.overparked.short > self.max / MESSAGES_PART
    }

    /// A turn begins.
    pub(super) fn begin_turn(&mut self) {
        self.served = 0;
    }

    /// What counts the segments of the logs here.
    pub(super) fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Bytes have been handed to a reader.
    pub(super) fn serve(&mut self, bytes: u64) {
        self.served += bytes;
    }

    /// The most bytes of one read reply now.
    pub(super) fn reply_max(&self, limits: &CoreLimits) -> u64 {
        let least = limits.stream_bytes_min;
        (self.free_for_replies() / 2).clamp(least, READ_REPLY_BYTES_MAX.max(least))
    }

    /// The most bytes that may wait to be sent to one reader now.
    pub(super) fn unsent_max(&self, limits: &CoreLimits) -> u64 {
        self.free_for_replies().max(limits.stream_bytes_min)
    }

    /// Corrects what one stream counts.
    pub(super) fn recharge(&mut self, charged: &mut u64, now: u64) {
        self.streams = self.streams - *charged + now;
        *charged = now;
    }

    /// Whether an account may grow by `more`.
    pub(super) fn has_room(&self, account: &Account, more: u64) -> bool {
        let grown = account.held.saturating_add(more);
        let left = if grown > ACCOUNT_BYTES_SMALL { self.max / NEWCOMERS_PART } else { 0 };
        grown <= ACCOUNT_BYTES_MIN || grown <= self.free().saturating_sub(more + left)
    }

    /// The same, and why not.
    pub(super) fn admit(&self, account: &Account, more: u64) -> Result<(), Refusal> {
        if self.has_room(account, more) {
            return Ok(());
        }
        Err(self.refusal(account))
    }

    /// Whether an account that grew by `more` would have no more than what each may always have.
    pub(super) fn is_small(&self, account: &Account, more: u64) -> bool {
        account.held + more <= ACCOUNT_BYTES_MIN
    }

    /// Why an account may not grow.
    pub(super) fn refusal(&self, account: &Account) -> Refusal {
        let (held, free) = (account.held, self.free());
        Refusal::Limit(format!(
            "the channel makes the broker hold {held} bytes, and may hold no more than the {free} \
             that are free; read what was sent, disconnect or dispose"
        ))
    }

    pub(super) fn charge(&mut self, account: &mut Account, bytes: u64) {
        account.held += bytes;
        self.accounts += bytes;
    }

    pub(super) fn release(&mut self, account: &mut Account, bytes: u64) {
        account.held -= bytes;
        self.accounts -= bytes;
    }

    /// Charges what one part of an account is now in place of what it was.
    pub(super) fn replace(&mut self, account: &mut Account, old: u64, new: u64) {
        account.held = account.held - old + new;
        self.accounts = self.accounts - old + new;
    }

    /// The same for messages that are being received, which are known apart.
    pub(super) fn replace_receiving(&mut self, old: u64, new: u64) {
        self.receiving = self.receiving - old + new;
    }

    /// So much of them is of the one message that goes on beyond the limit.
    pub(super) fn set_beyond(&mut self, bytes: u64) {
        self.beyond = bytes;
    }

    /// Whether the write of a message that went on beyond the limit is parked.
    pub(super) fn has_parked_beyond(&self) -> bool {
        self.overparked.long > 0
    }

    /// What a party has parked without room is `new` in place of `old`.
    pub(super) fn replace_overparked(&mut self, old: Overparked, new: Overparked) {
        self.overparked.short = self.overparked.short - old.short + new.short;
        self.overparked.long = self.overparked.long - old.long + new.long;
    }

    pub(super) fn charge_ownerless(&mut self, bytes: u64) {
        self.ownerless += bytes;
    }

    pub(super) fn release_ownerless(&mut self, bytes: u64) {
        self.ownerless -= bytes;
    }

    /// Whether streams without an owner hold so much that the oldest must go before there are more.
    pub(super) fn is_full_of_ownerless(&self) -> bool {
        self.ownerless > self.max / 4
    }

    /// Whether the sums are those of the parts.
    pub(super) fn is_sound(&self, parts: &Parts) -> bool {
        let kept = self.segments.kept();
        let Budget { streams, accounts, ownerless, overparked, .. } = *self;
        *parts == Parts { streams, accounts, ownerless, overparked, kept }
            && self.beyond <= self.receiving
            && self.receiving + overparked.sum() <= accounts
    }

    /// Notes a stream whose parked writes lack nothing but memory. Each is noted once.
    pub(super) fn starve(&mut self, stream: StreamId) {
        self.starved.push_back(stream);
    }

    /// Whether a stream waits for memory that may come free on another thread.
    pub(super) fn is_awaited(&self) -> bool {
        !self.starved.is_empty() && self.segments.unsent() > 0
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
