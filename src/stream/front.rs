//! The side of an engine that faces its channels and the other engines.

use std::collections::{BTreeSet, VecDeque};

use crate::id::{ChannelId, StreamId, Token, WorkerId};
use crate::stats::Histogram;
use crate::stream::account::write_bytes;
use crate::stream::budget::Budget;
use crate::stream::home::{Payer, Stream};
use crate::stream::log::Log;
use crate::stream::message::Body;
use crate::stream::meta::Meta;
use crate::stream::notice::Notices;
use crate::stream::outgoing::Outgoing;
use crate::stream::parties::{Finishing, Parties, Waiting, WaitingFor};
use crate::stream::readers::{Reader, Readers};
use crate::stream::view::View;
use crate::stream::{CoreLimits, Effect, Happening, Notice, Payload, Refusal, Reply};
use crate::time::Instant;

/// A read that is answered with so many bytes counts as two of a turn's: a reader that does not
/// take raw bytes is sent a copy in text.
const SERVE_BYTES: usize = 8 << 10;

/// Everything of an engine but its streams: a stream can be worked on while this is at hand.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) me: WorkerId,
    pub(super) workers: u16,
    pub(super) limits: CoreLimits,
    pub(super) parties: Parties,
    pub(super) effects: VecDeque<Effect>,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) budget: Budget,
    /// Streams and views to settle.
    pub(super) dirty: VecDeque<StreamId>,
    pub(super) timers: BTreeSet<(Instant, StreamId)>,
    /// Streams whose creator is gone, or was the broker, in order of age.
    pub(super) ownerless: BTreeSet<StreamId>,
    /// Whether a channel has gone that effects may still name.
    pub(super) has_closed: bool,
    pub(super) settled_at: Instant,
    /// Reads that may still be answered in this turn; a long one counts as several.
    pub(super) serves_left: usize,
    /// Whose message goes on beyond the limit.
    pub(super) favoured: Option<ChannelId>,
    /// Channels whose end was asked for while a command waited that is answered now.
    pub(super) finish_now: Vec<ChannelId>,
    /// Counts calls of `settle`.
    pub(super) turn: u64,
    pub(super) notices: Notices,
    /// Readers that became lagging, ever.
    pub(super) stalls: u64,
    /// Nanoseconds that writes waited for space.
    pub(super) park_time: Histogram,
    /// Bytes that waited for a reader when a read of it was answered.
    pub(super) reader_lag: Histogram,
}

impl Front {
    pub(super) fn reply(&mut self, channel: ChannelId, token: Token, reply: Reply) {
        self.effects.push_back(Effect::Reply { channel, token, reply });
    }

    pub(super) fn done(&mut self, channel: ChannelId, token: Token, result: Result<(), Refusal>) {
        self.reply(channel, token, Reply::Done(result));
    }

    pub(super) fn send(&mut self, to: WorkerId, body: Body) {
        debug_assert_ne!(to, self.me);
        self.outgoing[to.index()].queue.push_back(body);
    }

    /// Every worker but this one.
    pub(super) fn others(&self) -> impl Iterator<Item = WorkerId> + use<> {
        let me = self.me;
        (0..self.workers).map(WorkerId).filter(move |worker| *worker != me)
    }

    pub(super) fn mark(&mut self, stream: &mut Stream) {
        if !stream.is_dirty {
            stream.is_dirty = true;
            self.dirty.push_back(stream.meta.id);
        }
    }

    pub(super) fn mark_view(&mut self, view: &mut View) {
        if !view.is_dirty {
            view.is_dirty = true;
            self.dirty.push_back(view.meta.id);
        }
    }

    /// Makes the channel wait for the answer of another worker.
    pub(super) fn wait(&mut self, channel: ChannelId, token: &Token, what: WaitingFor) {
        if let Some(party) = self.parties.get_mut(channel) {
            debug_assert!(party.waiting.is_none());
            party.waiting = Some(Waiting { token: token.clone(), what });
        }
    }

    /// Takes the command for which the channel waits; its answer is here. Pair with `resume`.
    pub(super) fn take_waiting(&mut self, channel: ChannelId) -> Option<Waiting> {
        self.parties.get_mut(channel)?.waiting.take()
    }

    /// Lets the channel go on if nothing holds it back any more.
    pub(super) fn resume(&mut self, id: ChannelId) {
        let Some(party) = self.parties.get_mut(id) else { return };
        if party.must_wait() {
            return;
        }
        if party.finishing == Finishing::Asked {
            self.finish_now.push(id);
        }
        self.effects.push_back(Effect::Resume { channel: id });
    }

    /// Makes the channel wait while the queue to another worker is long.
    pub(super) fn pause_if_congested(&mut self, id: ChannelId, to: WorkerId) {
        let outgoing = &mut self.outgoing[to.index()];
        if outgoing.queue.len() < self.limits.outgoing_messages_pause {
            return;
        }
        if let Some(party) = self.parties.get_mut(id)
            && !party.is_congested
        {
            party.is_congested = true;
            outgoing.paused.push(id);
        }
    }

    /// Counts a write or an end of a channel of this worker as pending.
    pub(super) fn count_parked(
        &mut self,
        id: ChannelId,
        token: &Token,
        bytes: u64,
        may_pause: bool,
    ) {
        let Some(party) = self.parties.get_mut(id) else { return };
        party.parked_writes += 1;
        party.parked_bytes += bytes;
        let is_short = bytes <= self.limits.short_bytes;
        party.park_write(write_bytes(token, bytes), is_short, &mut self.budget);
        let is_over = party.overparked.sum() > 0
            || !self.budget.has_room(&party.account, 0)
            || party.parked_bytes >= self.limits.parked_bytes_pause
            || party.pending() >= self.limits.pending_per_channel_max;
        if may_pause && is_over {
            party.parks_too_much = true;
        }
    }

    /// Appends to a stream what `room_for` under the same ceiling has found room for.
    pub(super) fn append(
        &mut self,
        stream: &mut Stream,
        payload: &Payload<'_>,
        count: usize,
        ceiling: u64,
    ) {
        stream.make_room(count as u64, ceiling);
        stream.append(payload, count);
        self.recharge(stream);
    }

    /// Counts what a stream holds now.
    pub(super) fn recharge(&mut self, stream: &mut Stream) {
        let least = self.limits.stream_bytes_min.min(stream.meta.buffer_bytes);
        let held = stream.log.len().max(least) + stream.places.bytes();
        if held != stream.charged {
            self.budget.recharge(&mut stream.charged, held);
        }
    }

    /// Answers a write or an end that was counted as pending, wherever its channel is.
    pub(super) fn answer_write(
        &mut self,
        stream: StreamId,
        channel: ChannelId,
        token: Token,
        size: u64,
        result: Result<(), Refusal>,
    ) {
        if channel.worker != self.me {
            let body = Body::Replied { channel, stream, token, size, result };
            return self.send(channel.worker, body);
        }
        self.uncount_parked(channel, &token, size);
        self.done(channel, token, result);
    }

    fn uncount_parked(&mut self, id: ChannelId, token: &Token, size: u64) {
        let (bytes, count) =
            (self.limits.parked_bytes_pause / 2, self.limits.pending_per_channel_max / 2);
        let Some(party) = self.parties.get_mut(id) else { return };
        party.parked_writes -= 1;
        party.parked_bytes -= size;
        party.unpark_write(write_bytes(token, size), &mut self.budget);
        let is_below = party.parked_bytes <= bytes && party.pending() <= count;
        if party.parks_too_much && is_below {
            party.parks_too_much = false;
            self.resume(id);
        }
    }

    /// The same for a reader, whose place may be confirmed as far as it got.
    pub(super) fn finish_reader(&mut self, reader: &Reader, stream: StreamId) {
        let party = self.parties.get_mut(reader.channel);
        let attachment = party.and_then(|party| party.attachments.get_mut(&stream));
        if let Some(place) = attachment.and_then(|attachment| attachment.place.as_mut()) {
            place.position = reader.cursor;
        }
        self.finish_attachment(reader.channel, stream);
    }

    /// The channel has seen the last of the stream: its reader, if it had one, is gone. `disposed`
    /// is told once; the connection stays known for a while, so that a later `disconnect` succeeds.
    /// A stream that goes before a subscription's reply has told of it was never there for that
    /// peer.
    pub(super) fn finish_attachment(&mut self, id: ChannelId, stream: StreamId) {
        let Some(party) = self.parties.get_mut(id) else { return };
        let Some(attachment) = party.attachments.get_mut(&stream) else { return };
        let meta = attachment.meta.clone();
        if party.forget_found(&meta, &mut self.budget) {
            // It may have read nothing for so long that it was let go.
            party.take_back(&meta, &mut self.budget);
            return;
        }
        let Some(attachment) = party.attachments.get_mut(&stream) else { return };
        if attachment.is_finished {
            return;
        }
        attachment.is_finished = true;
        party.readers -= usize::from(attachment.reader.take().is_some());
        let stream_type = attachment.meta.stream_type.clone();
        self.budget.charge(&mut party.account, meta.name_bytes());
        if attachment.place.is_none() {
            // A place may still be confirmed; those are bounded as attachments are.
            party.finished.push_back(stream);
        }
        if party.finished.len() > self.limits.finished_per_channel_max
            && let Some(oldest) = party.finished.pop_front()
        {
            party.remove_attachment(oldest, &mut self.budget);
        }
        let _ = party.make_room(0, &mut self.budget);
        self.effects.push_back(Effect::Disposed { channel: id, stream_type, stream });
    }

    /// Answers what the readers of one stream have parked, as far as there is something for them.
    /// Returns whether something is left for the next turn.
    pub(super) fn serve(
        &mut self,
        now: Instant,
        meta: &Meta,
        readers: &mut Readers,
        log: &mut Log,
        is_ended: bool,
        is_disposed: bool,
    ) -> bool {
        let mut deferred = Vec::new();
        while self.serves_left > 0
            && let Some(key) = readers.pop_ready()
        {
            let id = readers.get(key).channel;
            let Some(party) = self.parties.get_mut(id) else { continue };
            if party.reads_paused {
                continue;
            }
            loop {
                if readers.get(key).reads.is_empty() {
                    break;
                }
                let reply_max = self.budget.reply_max(&self.limits);
                let most = self.limits.served_bytes_per_turn.min(reply_max as usize);
                if self.serves_left == 0 || !party.may_be_served(self.turn, most) {
                    deferred.push(key);
                    break;
                }
                let Some(read) = readers.serve(now, key, log, is_ended, reply_max) else {
                    readers.wait(key);
                    break;
                };
                party.unpark_read(&read.token, &mut self.budget);
                let cost = 1 + read.data.len() / SERVE_BYTES;
                self.serves_left = self.serves_left.saturating_sub(cost);
                party.served_bytes += read.data.len();
                let (served, lost) = (read.data.len() as u64, read.lost);
                let reader = readers.get(key);
                let policy = reader.stall_timeout.into();
                self.reader_lag.record(log.end().since(reader.cursor) + served + lost);
                if lost > 0 {
                    self.notices.push(Notice {
                        stream: meta.id,
                        stream_type: meta.stream_type.clone(),
                        channel: id,
                        peer: party.peer.clone(),
                        introduction: party.introduction.clone(),
                        stall_timeout: reader.stall_timeout,
                        what: Happening::Lost { bytes: lost },
                    });
                }
                readers.delivery.count(party.door, policy, served, lost);
                self.budget.serve(read.data.len() as u64);
                let reply =
                    Reply::Read { data: read.data, error: None, lost: read.lost, eos: read.eos };
                self.effects.push_back(Effect::Reply { channel: id, token: read.token, reply });
            }
            let reader = readers.get(key);
            if is_disposed && reader.has_read_end && reader.reads.is_empty() {
                let reader = readers.detach(key);
                self.finish_reader(&reader, meta.id);
            }
        }
        let has_more = !deferred.is_empty() || readers.has_ready();
        for key in deferred {
            readers.make_ready(key);
        }
        has_more
    }

    /// Charges a stream to its owner's account, or to none where the owner is gone or elsewhere.
    pub(super) fn bill(&mut self, stream: &mut Stream) {
        self.unbill(stream);
        let owner = stream.owner.as_ref().map(|owner| owner.channel);
        match owner.and_then(|owner| self.parties.get_mut(owner)) {
            Some(party) => {
                self.budget.charge(&mut party.account, stream.overhead);
                stream.payer = Payer::Channel(party.id);
            }
            None => {
                self.budget.charge_ownerless(stream.overhead);
                stream.payer = Payer::Nobody;
            }
        }
        if owner.is_none() {
            self.ownerless.insert(stream.meta.id);
        }
    }

    /// Charges nobody any more.
    pub(super) fn unbill(&mut self, stream: &mut Stream) {
        self.ownerless.remove(&stream.meta.id);
        match std::mem::take(&mut stream.payer) {
            Payer::Unbilled => {}
            Payer::Nobody => self.budget.release_ownerless(stream.overhead),
            // The account of a party that is gone was released whole.
            Payer::Channel(payer) => {
                if let Some(party) = self.parties.get_mut(payer) {
                    self.budget.release(&mut party.account, stream.overhead);
                }
            }
        }
    }

    /// Sets the timer of a stream or view.
    pub(super) fn arm(&mut self, id: StreamId, timer: &mut Option<Instant>, at: Option<Instant>) {
        if *timer == at {
            return;
        }
        if let Some(old) = timer.take() {
            self.timers.remove(&(old, id));
        }
        if let Some(new) = at {
            self.timers.insert((new, id));
        }
        *timer = at;
    }
}
