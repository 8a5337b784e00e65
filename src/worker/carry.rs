//! What a worker does with one connection: reads it into the shard, writes the shard's output, sees
//! it to its end.
//!
//! Readiness is edge-triggered, and remembered by the transport. Whoever queues output tries to
//! send at once; when the transport takes no more, the next readiness goes on. Whoever stops
//! receiving while more may come (`Transport::may_receive`) comes again when the session is queued
//! (its turn was over) or when the shard names its channel ready (it was paused).

use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tracing::debug;

use crate::id::ChannelId;
use crate::transport::{Received, Transport};
use crate::wire::Output;
use crate::worker::budget::{
    DISCARD_BYTES_MAX, READ_AHEAD_BYTES, RECEIVE_BUFFER_BYTES, RECEIVE_BYTES_SHORT,
    SLICES_PER_WRITE,
};
use crate::worker::session::{Linger, Session, SessionKey, Stage};
use crate::worker::{Poller, Ready, Worker};

impl<P: Poller> Worker<P> {
    /// Notes what the poller says of one connection, and queues its session.
    pub(super) fn note(&mut self, ready: Ready) {
        let key = SessionKey(ready.key);
        let Some(session) = self.sessions.get_mut(key) else { return };
        let had_end = session.transport.has_end();
        session.transport.note(ready.readiness);
        if !had_end
            && session.transport.has_end()
            && let Stage::Open(channel) = session.stage
        {
            self.shard.expect_end(self.now, channel);
        }
        self.enqueue(key, false);
    }

    /// Has the session attended to in this turn, or in the next where this one is past that point.
    /// `is_behind`: it has had its share of a turn, and has more to say.
    pub(super) fn enqueue(&mut self, key: SessionKey, is_behind: bool) {
        if let Some(session) = self.sessions.get_mut(key)
            && !std::mem::replace(&mut session.is_queued, true)
        {
            session.queued_at = self.now.instant;
            let writes = match session.stage {
                Stage::Open(channel) => self.shard.writes(channel),
                Stage::Lingering(_) => false,
            };
            match (writes, is_behind) {
                (true, _) => self.writers.push_back(key),
                (false, true) => self.backlog.push_back(key),
                (false, false) => self.queue.push_back(key),
            }
        }
    }

    /// Does what there is to do for one session; reads about `budget` bytes from it.
    pub(super) fn attend(&mut self, key: SessionKey, budget: usize) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.is_queued = false;
        match session.stage {
            Stage::Open(channel) => {
                self.send(key);
                let had_room = self.may_send(key);
                self.receive(key, channel, budget);
                // What the two ends agree on goes both ways, and nothing else may tell.
                if self.wants_to_write(key) || (!had_room && self.may_send(key)) {
                    self.send(key);
                }
            }
            Stage::Lingering(_) => self.linger(key),
        }
    }

    /// Queues a session that the shard has named ready, if it can be read now.
    pub(super) fn queue_if_due(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Stage::Open(channel) = session.stage else { return };
        let has_leftover = !session.leftover.is_empty();
        let has_input = session.transport.may_receive() || has_leftover;
        if session.transport.is_broken() || (has_input && self.shard.wants_input(channel)) {
            self.enqueue(key, has_leftover);
        }
    }

    /// Hands input to the shard until there is none, it takes no more, or the budget is spent.
    fn receive(&mut self, key: SessionKey, channel: ChannelId, mut budget: usize) {
        loop {
            let Some(session) = self.sessions.get_mut(key) else { return };
            if !self.shard.wants_input(channel) {
                // Nobody would notice otherwise: a paused channel is not read.
                if session.transport.is_broken() {
                    self.abort(key, channel, "connection broke while the channel was paused");
                }
                return;
            }
            if !session.leftover.is_empty() {
                let mut input = &session.leftover[..];
                self.shard.receive(self.now, channel, &mut input);
                let rest = input.len();
                session.leftover.advance(session.leftover.len() - rest);
                if rest > 0 {
                    // Its work for this turn is done, or it waits and will be named ready.
                    self.queue_if_due(key);
                    return;
                }
                session.leftover = Bytes::new();
                continue;
            }
            if !session.transport.may_receive() {
                return;
            }
            if budget == 0 {
                self.enqueue(key, true);
                return;
            }
            match self.read_once(key, channel, budget) {
                Received::Bytes(count) => budget = budget.saturating_sub(count),
                Received::Nothing => return,
                Received::End => {
                    self.end_of_input(key, channel);
                    return;
                }
                Received::Broken(error) => {
                    self.abort(key, channel, &error.to_string());
                    return;
                }
            }
        }
    }

    /// Receives once, straight into a large block where one is under way, and into a receive buffer
    /// behind it.
    fn read_once(&mut self, key: SessionKey, channel: ChannelId, budget: usize) -> Received {
        let Some(session) = self.sessions.get_mut(key) else { return Received::Nothing };
        let mut buffer = self.buffers.take();
        let transport = &mut session.transport;
        let (outcome, direct) = match self.shard.direct(channel) {
            Some(block) if !block.is_empty() => {
                let direct = block.len();
                let room = room_behind(direct);
                (transport.receive(&mut [block, &mut buffer[..room]]), direct)
            }
            _ => {
                // Each read lets in what it brings before anybody can object.
                let room = if self.shard.is_full_of_messages() {
                    RECEIVE_BYTES_SHORT
                } else {
                    RECEIVE_BUFFER_BYTES.min(budget)
                };
                (transport.receive(&mut [&mut buffer[..room]]), 0)
            }
        };
        let buffer = buffer.freeze();
        let outcome = match outcome {
            Received::Bytes(count) => self.take_in(key, channel, count, direct, &buffer),
            outcome => outcome,
        };
        self.buffers.give_back(buffer);
        outcome
    }

    /// Hands on what one read brought: `count` bytes, up to `direct` of them in the large block.
    fn take_in(
        &mut self,
        key: SessionKey,
        channel: ChannelId,
        count: usize,
        direct: usize,
        buffer: &Bytes,
    ) -> Received {
        self.counters.received_bytes += count as u64;
        let filled = count.min(direct);
        if filled > 0 {
            self.shard.filled(self.now, channel, filled);
        }
        let mut input = &buffer[..count - filled];
        if !input.is_empty() {
            self.shard.receive_from(self.now, channel, buffer, &mut input);
            if !input.is_empty() {
                if let Some(session) = self.sessions.get_mut(key) {
                    session.leftover = Bytes::copy_from_slice(input);
                }
                self.queue_if_due(key);
                return Received::Nothing;
            }
        }
        Received::Bytes(count)
    }

    /// The peer's FIN, with all input taken in before it.
    fn end_of_input(&mut self, key: SessionKey, channel: ChannelId) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.transport.is_broken() {
            // The error was reported once, on the write that met it; the read only says that
            // nothing follows.
            self.abort(key, channel, "connection broke");
        } else {
            self.shard.receive_end(self.now, channel);
        }
    }

    /// Gives up a broken connection and its channel.
    fn abort(&mut self, key: SessionKey, channel: ChannelId, reason: &str) {
        debug!(worker = %self.id, %channel, reason, "channel aborted");
        self.counters.broken += 1;
        self.shard.abort(self.now, channel);
        self.remove(key);
    }

    /// Sends what the channel has to send, as far as the transport takes it. True when anything
    /// left.
    pub(super) fn send(&mut self, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let Stage::Open(channel) = session.stage else { return false };
        if !session.transport.may_send() && !session.transport.wants_to_write() {
            return false;
        }
        let output = self.shard.output(channel);
        let (count, outcome) = write(&mut session.transport, output);
        self.counters.sent_bytes += count;
        if let Err(error) = outcome {
            debug!(worker = %self.id, %channel, %error, "peer takes no more");
            // What it sent before is still to be read; the read then meets the end.
            self.enqueue(key, false);
        }
        if count > 0 {
            self.shard.sent(self.now, channel);
        }
        count > 0
    }

    fn may_send(&mut self, key: SessionKey) -> bool {
        self.sessions.get_mut(key).is_some_and(|session| session.transport.may_send())
    }

    fn wants_to_write(&mut self, key: SessionKey) -> bool {
        self.sessions.get_mut(key).is_some_and(|session| session.transport.wants_to_write())
    }

    /// Begins the end of a connection whose channel is over.
    pub(super) fn begin_linger(&mut self, key: SessionKey, output: Output) {
        let deadline = self.now.instant.plus(self.linger_timeout);
        let Some(session) = self.sessions.get_mut(key) else { return };
        if let Stage::Open(channel) = session.stage {
            debug!(worker = %self.id, %channel, unsent = output.len(), "channel closed");
        }
        session.leftover = Bytes::new();
        session.stage =
            Stage::Lingering(Linger { output, has_sent: false, is_finishing: false, discarded: 0 });
        self.lingering.push_back((deadline, key));
        self.linger(key);
    }

    /// Goes on with the end of a connection: the rest of the output, our FIN, the peer's FIN.
    fn linger(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Stage::Lingering(linger) = &mut session.stage else { return };
        let (count, outcome) = write(&mut session.transport, &mut linger.output);
        self.counters.sent_bytes += count;
        linger.has_sent |= count > 0;
        // What is broken takes nothing more; the write that met it may have been an earlier one.
        let mut is_over = outcome.is_err() || session.transport.is_broken();
        if linger.output.is_empty() && !linger.is_finishing {
            linger.is_finishing = true;
            is_over |= session.transport.finish().is_err();
        }
        let mut buffer = self.buffers.take();
        is_over |= !is_over && self.discard(key, &mut buffer);
        self.buffers.give_back(buffer.freeze());
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Stage::Lingering(linger) = &session.stage else { return };
        let transport = &session.transport;
        let has_ended = transport.has_end() && !transport.may_receive();
        if is_over || (has_ended && transport.is_finished()) {
            self.remove(key);
        } else if transport.wants_to_write() || (transport.may_send() && !linger.output.is_empty())
        {
            self.enqueue(key, false);
        }
    }

    /// Throws away what a peer still sends, a turn's share of it. True when it is too much, or the
    /// connection broke.
    fn discard(&mut self, key: SessionKey, buffer: &mut [u8]) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return true };
        let mut budget = self.budget.receive_bytes_min;
        while session.transport.may_receive() {
            if budget == 0 {
                self.enqueue(key, true);
                return false;
            }
            match session.transport.receive(&mut [&mut *buffer]) {
                Received::Bytes(count) => {
                    budget = budget.saturating_sub(count);
                    let Stage::Lingering(linger) = &mut session.stage else { return false };
                    linger.discarded += count as u64;
                    if linger.discarded > DISCARD_BYTES_MAX {
                        return true;
                    }
                }
                Received::Nothing | Received::End => return false,
                Received::Broken(_) => return true,
            }
        }
        false
    }

    /// Closes the connections whose linger timeout is over. A peer that still takes the last bytes
    /// in is given the whole time again.
    pub(super) fn end_lingering(&mut self) {
        while let Some(&(deadline, key)) = self.lingering.front() {
            let session = self.sessions.get_mut(key);
            if session.is_some() && deadline > self.now.instant {
                break;
            }
            self.lingering.pop_front();
            let Some(Session { stage: Stage::Lingering(linger), .. }) = session else { continue };
            if std::mem::take(&mut linger.has_sent) {
                let deadline = self.now.instant.plus(self.linger_timeout);
                self.lingering.push_back((deadline, key));
            } else {
                self.remove(key);
            }
        }
    }
}

/// How many bytes to read behind `direct` bytes that go into a large block. Behind a long one
/// another may come, whose front would be copied if it were received here.
fn room_behind(direct: usize) -> usize {
    if direct < RECEIVE_BUFFER_BYTES / 2 { RECEIVE_BUFFER_BYTES } else { READ_AHEAD_BYTES }
}

/// Sends until the output is empty or the transport takes no more: how many bytes left, and how it
/// ended.
fn write(transport: &mut impl Transport, output: &mut Output) -> (u64, io::Result<()>) {
    let mut total = 0;
    if transport.wants_to_write()
        && let Err(error) = transport.flush()
    {
        return (total, Err(error));
    }
    while transport.may_send() && !output.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let filled = output.fill_slices(&mut slices);
        match transport.send(&slices[..filled]) {
            Ok(count) => {
                output.advance(count);
                total += count as u64;
            }
            Err(error) => return (total, Err(error)),
        }
    }
    (total, Ok(()))
}
