//! Reading and writing.

use bytes::Bytes;

use crate::access::Right;
use crate::id::{ChannelId, StreamId, Token};
use crate::stream::engine::Engine;
use crate::stream::engine::attach::{Manner, Site};
use crate::stream::home::Ending;
use crate::stream::message::Body;
use crate::stream::park::ParkedWrite;
use crate::stream::parties::WaitingFor;
use crate::stream::readers::{LOST_BYTES_MAX, ParkedRead};
use crate::stream::{AttachOptions, Chunks, Direction, Payload, Refusal, Reply};
use crate::time::Instant;

impl Engine {
    /// Parks a read of a channel that has a place in the stream; `settle` answers it, at once where
    /// there is something for it. False where it takes more than that, and nothing has happened.
    #[inline]
    pub fn park_read(
        &mut self,
        channel: ChannelId,
        id: StreamId,
        token: &Token,
        size: u64,
    ) -> bool {
        let Engine { front, streams, views, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return false };
        if party.pending() >= front.limits.pending_per_channel_max {
            return false;
        }
        // What is finished has no reader any more.
        let Some(key) = party.attachments.get(&id).and_then(|attachment| attachment.reader) else {
            return false;
        };
        if !party.park_read(token, &mut front.budget) {
            return false;
        }
        let read = ParkedRead { token: token.clone(), size };
        if let Some(stream) = streams.get_mut(&id) {
            stream.readers.park(key, read);
            front.mark(stream);
        } else if let Some(view) = views.get_mut(&id) {
            view.readers.park(key, read);
            front.mark_view(view);
        }
        true
    }

    /// Parks a read, or refuses it.
    pub(super) fn read(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        id: StreamId,
        size: u64,
    ) {
        if self.park_read(channel, id, token, size) {
            return;
        }
        let Engine { front, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return };
        let pending = party.pending();
        let Some(attachment) = party.attachments.get_mut(&id) else {
            return self.refuse_read(channel, token, Refusal::NotConnected(id));
        };
        if attachment.is_taken_over {
            return self.refuse_read(channel, token, Refusal::Cancelled);
        }
        if attachment.is_finished && attachment.can_read {
            let lost = attachment.untold.min(LOST_BYTES_MAX);
            attachment.untold -= lost;
            let eos = attachment.untold == 0;
            let reply = Reply::Read { data: Chunks::EMPTY, error: None, lost, eos };
            return front.reply(channel, token.clone(), reply);
        }
        if pending >= front.limits.pending_per_channel_max {
            let error = format!("the channel has {pending} commands pending");
            return self.refuse_read(channel, token, Refusal::Limit(error));
        }
        if attachment.reader.is_some() {
            let error = front.budget.refusal(&party.account);
            return self.refuse_read(channel, token, error);
        }
        if attachment.can_read && attachment.meta.direction == Direction::Bus {
            return self.read_first(now, channel, token, id, size);
        }
        let error = Refusal::WrongDirection("this side of the stream cannot be read");
        self.refuse_read(channel, token, error);
    }

    /// On a bus the first read attaches.
    fn read_first(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        id: StreamId,
        size: u64,
    ) {
        let home = id.home(self.front.workers);
        let options = AttachOptions::default();
        if home != self.front.me {
            let what = WaitingFor::Read { stream: id, size };
            return self.front.ask_to_attach(channel, token, id, options, what);
        }
        match self.attach_to(now, channel, Site::Home(id), options, Manner::Join) {
            Ok(_) => self.read(now, channel, token, id, size),
            Err(error) => self.refuse_read(channel, token, error),
        }
    }

    /// Appends the write, or parks it: whole, or what there is no room for of one larger than the
    /// buffer.
    pub(super) fn write(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        id: StreamId,
        data: Payload<'_>,
    ) {
        if self.writes(channel, id).is_some_and(|mut writes| writes.append(&data)) {
            return self.front.done(channel, token.clone(), Ok(()));
        }
        let Engine { front, streams, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return };
        let Some(attachment) = party.attachments.get_mut(&id) else {
            return front.done(channel, token.clone(), Err(Refusal::NotConnected(id)));
        };
        let is_owner = party.owned.contains(&id);
        if let Err(error) = attachment.meta.permits(&party.principal, is_owner, Right::Write) {
            return front.done(channel, token.clone(), Err(error));
        }
        let home = attachment.meta.home;
        if home != front.me {
            return self.write_there(channel, token, id, data);
        }
        let is_silent = party.readers == 0;
        let (parked_bytes, pending) = (party.parked_bytes, party.pending());
        let Some(stream) = streams.get_mut(&id) else {
            return front.done(channel, token.clone(), Err(Refusal::EndOfFile));
        };
        if let Err(error) = stream.accepts_write(channel) {
            return front.done(channel, token.clone(), Err(error));
        }
        let len = data.len();
        if stream.takes_whole(len as u64)
            && let Err(error) = front.budget.admit_whole(len as u64)
        {
            return front.done(channel, token.clone(), Err(error));
        }
        let (mut taken, mut ceiling) = (0, stream.meta.buffer_bytes);
        if stream.parked.is_empty() {
            let (count, under) = stream.admit(len as u64, len as u64, &front.budget);
            (taken, ceiling) = (count as usize, under);
        }
        // Only a channel that cannot free the space itself may be kept from speaking; another that
        // goes on writing is told no.
        let may_pause = is_silent && !stream.may_be_read_by(channel);
        let rest = (len - taken) as u64;
        let (limits, budget) = (&front.limits, &front.budget);
        if let Err(error) =
            limits.admit_parked(budget, &party.account, may_pause, parked_bytes, pending, rest)
        {
            return front.done(channel, token.clone(), Err(error));
        }
        if taken > 0 {
            front.append(stream, &data, taken, ceiling);
            front.mark(stream);
        }
        if taken == len && stream.parked.is_empty() {
            return front.done(channel, token.clone(), Ok(()));
        }
        let write = ParkedWrite {
            token: token.clone(),
            rest: rest_of(&data, taken),
            size: len as u64,
            since: now,
        };
        stream.parked.push(channel, write);
        if stream.full_since.is_none() {
            stream.full_since = Some(now);
            stream.is_timer_stale = true;
        }
        front.mark(stream);
        front.count_parked(channel, token, len as u64, may_pause);
    }

    fn write_there(&mut self, channel: ChannelId, token: &Token, id: StreamId, data: Payload<'_>) {
        let Engine { front, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return };
        let (parked_bytes, pending) = (party.parked_bytes, party.pending());
        let is_owner = party.owned.contains(&id);
        let is_silent = party.readers == 0;
        let Some(attachment) = party.attachments.get_mut(&id) else { return };
        let meta = &attachment.meta;
        if attachment.is_finished {
            let error = match meta.may_write(is_owner) {
                true => Refusal::EndOfFile,
                false => Refusal::WrongDirection("this side of the stream cannot be written"),
            };
            return front.done(channel, token.clone(), Err(error));
        }
        let may_be_read = meta.direction == Direction::Bus || meta.may_read(is_owner);
        let may_pause = is_silent && !may_be_read;
        let len = data.len() as u64;
        let (limits, budget) = (&front.limits, &front.budget);
        if let Err(error) =
            limits.admit_parked(budget, &party.account, may_pause, parked_bytes, pending, len)
        {
            return front.done(channel, token.clone(), Err(error));
        }
        attachment.remote_pending += 1;
        let home = meta.home;
        let data = rest_of(&data, 0);
        front.send(home, Body::Write { stream: id, channel, token: token.clone(), data });
        front.count_parked(channel, token, len, may_pause);
        front.pause_if_congested(channel, home);
    }

    /// A write of a channel of another worker.
    pub(super) fn write_from_afar(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: Token,
        id: StreamId,
        data: Bytes,
    ) {
        let Engine { front, streams, .. } = self;
        let size = data.len() as u64;
        let accepted = match streams.get_mut(&id) {
            Some(stream) => stream.accepts_write(channel).map(|()| stream),
            None => Err(Refusal::EndOfFile),
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => return front.answer_write(id, channel, token, size, Err(error)),
        };
        if stream.takes_whole(size)
            && let Err(error) = front.budget.admit_whole(size)
        {
            return front.answer_write(id, channel, token, size, Err(error));
        }
        let mut taken = 0;
        if stream.parked.is_empty() {
            let (count, ceiling) = stream.admit(size, size, &front.budget);
            taken = count as usize;
            front.append(stream, &Payload::Owned(data.clone()), taken, ceiling);
        }
        front.mark(stream);
        if taken as u64 == size && stream.parked.is_empty() {
            return front.answer_write(id, channel, token, size, Ok(()));
        }
        stream
            .parked
            .push(channel, ParkedWrite { token, rest: data.slice(taken..), size, since: now });
        if stream.full_since.is_none() {
            stream.full_since = Some(now);
            stream.is_timer_stale = true;
        }
    }

    /// Ends the stream behind everything that was accepted or parked before.
    pub(super) fn eos(&mut self, now: Instant, channel: ChannelId, token: &Token, id: StreamId) {
        let Engine { front, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return };
        let Some(attachment) = party.attachments.get_mut(&id) else {
            return front.done(channel, token.clone(), Err(Refusal::NotConnected(id)));
        };
        let is_owner = party.owned.contains(&id);
        if let Err(error) = attachment.meta.permits(&party.principal, is_owner, Right::Write) {
            return front.done(channel, token.clone(), Err(error));
        }
        let home = attachment.meta.home;
        let is_finished = attachment.is_finished;
        if home == front.me {
            front.count_parked(channel, token, 0, false);
            return self.eos_here(now, channel, token.clone(), id);
        }
        if is_finished {
            return front.done(channel, token.clone(), Err(Refusal::EndOfFile));
        }
        attachment.remote_pending += 1;
        front.count_parked(channel, token, 0, false);
        front.send(home, Body::Eos { stream: id, channel, token: token.clone() });
        front.pause_if_congested(channel, home);
    }

    /// The end of a stream at home here, asked for by a channel of any worker.
    pub(super) fn eos_here(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: Token,
        id: StreamId,
    ) {
        let Engine { front, streams, .. } = self;
        let Some(stream) = streams.get_mut(&id) else {
            return front.answer_write(id, channel, token, 0, Err(Refusal::EndOfFile));
        };
        if let Err(error) = stream.accepts_write(channel) {
            return front.answer_write(id, channel, token, 0, Err(error));
        }
        stream.ending = Some(Ending { by: Some((channel, token)), then_dispose: false });
        self.end_if_due(now, id);
    }
}

/// The bytes of a payload from `taken` on, kept.
fn rest_of(data: &Payload<'_>, taken: usize) -> Bytes {
    match data {
        Payload::Borrowed(slice) => Bytes::copy_from_slice(&slice[taken..]),
        Payload::Owned(bytes) => bytes.slice(taken..),
    }
}
