//! Streams and channels coming and going.

use crate::access::Right;
use crate::id::{ChannelId, StreamId, Token};
use crate::stream::account::{ATTACHMENT_BYTES, stream_bytes};
use crate::stream::engine::Engine;
use crate::stream::engine::attach::{Manner, Site};
use crate::stream::front::Front;
use crate::stream::home::{Ending, Owner, Stream};
use crate::stream::message::{Asker, Body, Grant};
use crate::stream::meta::Meta;
use crate::stream::parties::{Finishing, WaitingFor};
use crate::stream::{AttachOptions, Direction, Effect, From, Properties, Refusal, Reply};
use crate::time::Instant;

impl Engine {
    /// `StreamBroker.create`: subscribers hear of the stream before the creator has its reply.
    pub(super) fn create(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        properties: &Properties,
    ) {
        let result = self.create_here(now, channel, properties);
        self.front.reply(channel, token.clone(), Reply::Stream(result));
    }

    fn create_here(
        &mut self,
        now: Instant,
        channel: ChannelId,
        properties: &Properties,
    ) -> Result<StreamId, Refusal> {
        let limits = &self.front.limits;
        let most = limits.buffer_bytes_max;
        if properties.buffer_bytes == 0 || properties.buffer_bytes > most {
            let size = properties.buffer_bytes;
            return Err(Refusal::InvalidValue(format!("BufferSize is {size}, not 1 to {most}")));
        }
        if properties.history_bytes > properties.buffer_bytes {
            let (history, buffer) = (properties.history_bytes, properties.buffer_bytes);
            return Err(Refusal::InvalidValue(format!(
                "History is {history}, more than BufferSize, which is {buffer}"
            )));
        }
        for (name, value, most) in [
            ("KeepFor", properties.keep_for, limits.keep_for_max),
            ("Linger", properties.linger, limits.linger_max),
        ] {
            if value > most {
                let (value, most) = (value.as_millis(), most.as_millis());
                return Err(Refusal::InvalidValue(format!(
                    "{name} is {value} ms, more than the {most} that this broker allows"
                )));
            }
        }
        let Some(party) = self.front.parties.get(channel) else { return Err(Refusal::Cancelled) };
        if !party.principal.has(Right::Create) {
            return Err(Refusal::Denied(Right::Create));
        }
        let owner = party.as_owner();
        let overhead = stream_bytes(properties);
        let cost = overhead + ATTACHMENT_BYTES;
        let Front { parties, budget, .. } = &mut self.front;
        if let Some(party) = parties.get_mut(channel) {
            party.make_room(cost, budget)?;
        }
        let Some(party) = self.front.parties.get(channel) else { return Err(Refusal::Cancelled) };
        let is_small = self.front.budget.is_small(&party.account, cost);
        self.front.admits_attachment(channel, self.next_id())?;
        self.admits_streams(now, &[properties.buffer_bytes], is_small)?;
        let id = self.take_id();
        if let Some(party) = self.front.parties.get_mut(channel) {
            party.owned.insert(id);
        }
        let meta = Meta::new(id, self.front.me, now, properties, self.front.budget.segments());
        let mut stream = Stream::new(meta.into(), Some(owner));
        stream.key = properties.key.as_deref().map(Box::from);
        stream.is_held = properties.hold;
        stream.overhead = overhead;
        self.introduce(now, stream, Some(channel));
        Ok(id)
    }

    /// The ID that the next stream gets: its remainder by the count of workers is this worker.
    pub(super) fn next_id(&self) -> StreamId {
        StreamId(self.created * u64::from(self.front.workers) + u64::from(self.front.me.0))
    }

    pub(super) fn take_id(&mut self) -> StreamId {
        let id = self.next_id();
        self.created += 1;
        id
    }

    /// Makes a stream known: to its creator, then to whoever subscribed.
    pub(super) fn introduce(&mut self, now: Instant, stream: Stream, creator: Option<ChannelId>) {
        let meta = stream.meta.clone();
        let mut stream = stream;
        stream.type_slot = self.traffic.name(&meta.stream_type);
        self.front.recharge(&mut stream);
        self.front.bill(&mut stream);
        self.streams.insert(Box::new(stream));
        if let Some(creator) = creator {
            let options = AttachOptions::default();
            let _ = self.attach_to(now, creator, Site::Home(meta.id), options, Manner::Own);
        }
        self.announce_there(meta.id, creator);
        self.announce_here(now, &meta);
    }

    /// `StreamBroker.dispose` and `Diagnostics.disposeTestStream`.
    pub(super) fn dispose(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        id: StreamId,
        only_test_streams: bool,
    ) {
        let Some(party) = self.front.parties.get(channel) else { return };
        let asker = party.asker();
        let home = id.home(self.front.workers);
        if home == self.front.me {
            let result = self.dispose_for(now, &asker, id, only_test_streams);
            return self.front.done(channel, token.clone(), result);
        }
        self.front.wait(channel, token, WaitingFor::Dispose);
        self.front.send(home, Body::Dispose { stream: id, asker, only_test_streams });
    }

    /// A channel, of any worker, disposes a stream at home here.
    pub(super) fn dispose_for(
        &mut self,
        now: Instant,
        asker: &Asker,
        id: StreamId,
        only_test_streams: bool,
    ) -> Result<(), Refusal> {
        // Nobody owns a test stream: whoever may create some may dispose some.
        let right = if only_test_streams { Right::Create } else { Right::Manage };
        self.streams.find(asker, id, right)?;
        self.dispose_here(now, id, only_test_streams)
    }

    /// Ends a stream at home here and lets its readers drain it.
    pub(super) fn dispose_here(
        &mut self,
        now: Instant,
        id: StreamId,
        only_test_streams: bool,
    ) -> Result<(), Refusal> {
        let Engine { front, streams, pairs, .. } = self;
        let stream = match streams.get_mut(&id) {
            Some(stream) if !stream.is_disposed => stream,
            _ => return Err(Refusal::no_stream(id)),
        };
        if only_test_streams && !pairs.contains(id) {
            return Err(Refusal::UnknownContext(format!("{id} is no test stream")));
        }
        for (channel, write) in stream.parked.remove_all() {
            let error = Err(write.end_of_file());
            front.answer_write(id, channel, write.token, write.size, error);
        }
        if let Some((channel, token)) = stream.ending.take().and_then(|ending| ending.by) {
            front.answer_write(id, channel, token, 0, Err(Refusal::EndOfFile));
        }
        stream.is_disposed = true;
        stream.is_ended = true;
        stream.full_since = None;
        stream.keep_until = None;
        stream.let_go_from = Some(now.plus(stream.meta.linger));
        stream.has_news = true;
        stream.is_timer_stale = true;
        if !stream.meta.linger.is_zero() {
            stream.linger_until = Some(now.plus(stream.meta.linger));
        }
        for channel in std::mem::take(&mut stream.writers) {
            if channel.worker == front.me {
                front.finish_attachment(channel, id);
            } else {
                front.send(channel.worker, Body::WriterDisposed { channel, stream: id });
            }
        }
        front.mark(stream);
        Ok(())
    }

    /// `StreamBroker.adopt`.
    pub(super) fn adopt(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        id: StreamId,
        key: &str,
    ) {
        let Some(party) = self.front.parties.get(channel) else { return };
        let (asker, owner) = (party.asker(), party.as_owner());
        if let Err(error) = self.front.admits_attachment(channel, id) {
            return self.front.reply(channel, token.clone(), Reply::Adopted(Err(error)));
        }
        let home = id.home(self.front.workers);
        if home != self.front.me {
            let key = key.into();
            self.front.wait(channel, token, WaitingFor::Adopt);
            return self.front.send(home, Body::Adopt { stream: id, asker, owner, key });
        }
        let result = self.adopt_here(now, &asker, owner, id, key);
        if result.is_ok() {
            self.own(channel, id);
            let options = AttachOptions::default();
            let _ = self.attach_to(now, channel, Site::Home(id), options, Manner::Own);
        }
        self.front.reply(channel, token.clone(), Reply::Adopted(result));
    }

    /// Notes that a stream ends with the channel.
    pub(super) fn own(&mut self, channel: ChannelId, id: StreamId) {
        if let Some(party) = self.front.parties.get_mut(channel) {
            party.owned.insert(id);
        }
    }

    fn adopt_here(
        &mut self,
        _now: Instant,
        asker: &Asker,
        owner: Owner,
        id: StreamId,
        key: &str,
    ) -> Result<crate::id::Offset, Refusal> {
        let Engine { front, streams, .. } = self;
        let channel = asker.channel;
        let stream = streams.find(asker, id, Right::Create)?;
        if stream.key.as_deref() != Some(key) {
            return Err(Refusal::WrongKey(id));
        }
        // An end that the old channel asked for and that still waits is taken back with what it
        // waits for.
        let by = stream.ending.as_ref().map(|ending| ending.by.as_ref().map(|(by, _)| *by));
        let is_taken_back = by.is_none_or(|by| by.is_some_and(|by| stream.is_owner(by)));
        if stream.is_ended || stream.is_disposed || !is_taken_back {
            return Err(Refusal::EndOfFile);
        }
        let old = stream.owner.replace(owner).map(|old| old.channel);
        front.bill(stream);
        stream.keep_until = None;
        stream.is_timer_stale = true;
        front.mark(stream);
        let position = stream.log.end();
        if let Some(old) = old.filter(|old| *old != channel) {
            front.cancel_writes(stream, old);
            if !stream.meta.may_read(false) && !stream.writers.contains(&old) {
                stream.writers.push(old);
            }
            if old.worker == front.me {
                self.lose_ownership(old, id);
            } else {
                front.send(old.worker, Body::TakenOver { channel: old, stream: id });
            }
        }
        Ok(position)
    }

    /// A channel of another worker adopts.
    pub(super) fn adopt_from_afar(
        &mut self,
        now: Instant,
        asker: &Asker,
        owner: Owner,
        id: StreamId,
        key: &str,
    ) -> Result<(crate::id::Offset, Grant), Refusal> {
        let position = self.adopt_here(now, asker, owner, id, key)?;
        let is_bus = self.streams.get(&id).is_some_and(|s| s.meta.direction == Direction::Bus);
        if is_bus {
            let grant = self.grant_silently(id, asker.channel);
            return grant.map(|grant| (position, grant));
        }
        Ok((position, self.grant(now, asker, id, From::Oldest, false)?))
    }

    /// Ends a stream whose end was asked for, if nothing parked comes before it.
    pub(super) fn end_if_due(&mut self, now: Instant, id: StreamId) {
        let Engine { front, streams, .. } = self;
        let Some(stream) = streams.get_mut(&id) else { return };
        if stream.ending.is_none() || !stream.parked.is_empty() {
            return front.mark(stream);
        }
        let Some(ending) = stream.ending.take() else { return };
        stream.is_ended = true;
        stream.has_news = true;
        front.mark(stream);
        if let Some((channel, token)) = ending.by {
            front.answer_write(id, channel, token, 0, Ok(()));
        }
        if ending.then_dispose {
            let _ = self.dispose_here(now, id, false);
        }
    }

    /// A channel has gone that may have parked something here, and may be the stream's creator.
    pub(super) fn lose_channel(&mut self, now: Instant, id: StreamId, channel: ChannelId) {
        let Engine { front, streams, .. } = self;
        let Some(stream) = streams.get_mut(&id) else { return };
        // An end behind writes that never got in is not the end that was meant.
        let lost_writes = !stream.parked.remove_channel(channel).is_empty();
        let asked_for_end = stream.take_ending_of(channel).is_some() && !lost_writes;
        stream.writers.retain(|writer| *writer != channel);
        stream.places.leave(now, channel);
        stream.is_timer_stale = true;
        front.mark(stream);
        if !stream.is_owner(channel) || stream.is_disposed {
            return;
        }
        stream.owner = None;
        front.bill(stream);
        if self.is_draining {
            return;
        }
        let keeps = stream.key.is_some() && !stream.meta.keep_for.is_zero();
        if keeps && !asked_for_end && !stream.refuses_writes() {
            stream.keep_until = Some(now.plus(stream.meta.keep_for));
            stream.is_timer_stale = true;
            return;
        }
        self.end_orphan(now, id, asked_for_end);
    }

    /// The creator is gone for good: end as `eos` would, and let the stream go once it is drained.
    pub(super) fn end_orphan(&mut self, now: Instant, id: StreamId, asked_for_end: bool) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.keep_until = None;
        if stream.is_ended {
            let _ = self.dispose_here(now, id, false);
            return;
        }
        match &mut stream.ending {
            Some(ending) => ending.then_dispose = true,
            None => {
                stream.is_cut_off = !asked_for_end;
                stream.ending = Some(Ending { by: None, then_dispose: true });
            }
        }
        self.end_if_due(now, id);
    }

    /// The peer will send nothing more: what still pends is answered with `Cancelled`, then
    /// [`Effect::Finished`] comes (at once, or after other workers have answered). The caller hands
    /// in no further command.
    pub fn finish(&mut self, now: Instant, channel: ChannelId) {
        let Some(party) = self.front.parties.get_mut(channel) else { return };
        if party.finishing != Finishing::No {
            return;
        }
        party.finishing = Finishing::Asked;
        if party.telling_of().is_some() {
            // The peer listens no more.
            return self.end_telling(channel);
        }
        if party.waiting.is_none() {
            self.finish_now(now, channel);
        }
    }

    pub(super) fn finish_now(&mut self, _now: Instant, channel: ChannelId) {
        let Engine { front, streams, views, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return };
        let mut places: Vec<_> = party
            .attachments
            .iter()
            .filter(|(id, attachment)| {
                // One that has lost its place may still write here.
                let is_here = streams.contains_key(id);
                !attachment.is_finished || attachment.remote_pending > 0 || is_here
            })
            .map(|(id, attachment)| (*id, attachment.reader, attachment.remote_pending > 0))
            .collect();
        places.sort_unstable_by_key(|(id, ..)| *id);
        let mut asked = 0;
        for (id, reader, is_pending_there) in places {
            let readers = match (streams.get_mut(&id), views.get_mut(&id)) {
                (Some(stream), _) => {
                    front.cancel_writes(stream, channel);
                    front.mark(stream);
                    Some(&mut stream.readers)
                }
                (None, Some(view)) => Some(&mut view.readers),
                (None, None) => None,
            };
            if let (Some(readers), Some(key)) = (readers, reader) {
                front.cancel_parked_reads(readers, key, channel);
            }
            if is_pending_there {
                let home = id.home(front.workers);
                front.send(home, Body::Cancel { stream: id, channel });
                asked += 1;
            }
        }
        front.await_cancelled(channel, asked);
    }

    /// Forgets a channel and all that it owned. No effect names it afterwards.
    pub fn close(&mut self, now: Instant, channel: ChannelId) {
        let Some(mut party) = self.front.parties.remove(channel) else { return };
        self.forget_favoured(channel);
        party.release_all(&mut self.front.budget);
        let subscribing = match party.waiting.map(|waiting| waiting.what) {
            Some(WaitingFor::Subscribe { stream_type, .. }) => Some(stream_type),
            _ => None,
        };
        for stream_type in party.subscriptions.iter().chain(&subscribing) {
            self.lose_subscriber(channel, stream_type);
        }
        let mut touched: Vec<StreamId> = party.owned.into_iter().collect();
        for (id, attachment) in party.attachments {
            touched.push(id);
            let Some(key) = attachment.reader else { continue };
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.readers.detach(key);
                self.front.mark(stream);
            } else if let Some(view) = self.views.get_mut(&id) {
                view.readers.detach(key);
                self.front.mark_view(view);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for id in touched {
            let home = id.home(self.front.workers);
            if home == self.front.me {
                self.lose_channel(now, id, channel);
            } else {
                self.front.send(home, Body::ChannelClosed { stream: id, channel });
            }
        }
        self.front.has_closed = true;
    }
}

impl Front {
    /// Answers a reader's reads; it stays.
    fn cancel_parked_reads(
        &mut self,
        readers: &mut crate::stream::readers::Readers,
        key: crate::stream::readers::ReaderKey,
        channel: ChannelId,
    ) {
        for read in readers.take_reads(key) {
            if let Some(party) = self.parties.get_mut(channel) {
                party.unpark_read(&read.token, &mut self.budget);
            }
            let error = Some(Refusal::Cancelled);
            let data = crate::stream::Chunks::EMPTY;
            let reply = Reply::Read { data, error, lost: 0, eos: true };
            self.reply(channel, read.token, reply);
        }
    }

    /// So many other workers have yet to answer; at none the channel's end is complete.
    pub(super) fn await_cancelled(&mut self, id: ChannelId, workers: usize) {
        let Some(party) = self.parties.get_mut(id) else { return };
        party.finishing = Finishing::Cancelling(workers);
        if workers == 0 {
            self.effects.push_back(Effect::Finished { channel: id });
        }
    }
}
