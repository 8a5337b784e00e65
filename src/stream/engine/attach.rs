//! Connecting and disconnecting: how a reader comes to its place, and leaves it.

use std::sync::Arc;

use crate::id::{ChannelId, Offset, StreamId, Token, WorkerId};
use crate::stream::engine::Engine;
use crate::stream::front::Front;
use crate::stream::home::{RemoteView, Stream};
use crate::stream::message::{Asker, Body, Grant};
use crate::stream::meta::Meta;
use crate::stream::parties::{Attachment, WaitingFor};
use crate::stream::readers::{Reader, ReaderKey, Readers};
use crate::stream::view::View;
use crate::stream::{AttachOptions, Chunks, Effect, From, Refusal, Reply};
use crate::time::Instant;

impl Engine {
    /// `Streams.connect`: attach from the oldest byte kept; nothing happens where already attached.
    pub(super) fn connect(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        id: StreamId,
    ) {
        if let Some(attachment) = self.attachment(channel, id)
            && (attachment.is_finished || attachment.reader.is_some() || !attachment.can_read)
        {
            return self.front.done(channel, token.clone(), Ok(()));
        }
        if let Err(error) = self.admits_attachment(channel, id) {
            return self.front.done(channel, token.clone(), Err(error));
        }
        let options = AttachOptions::default();
        let home = id.home(self.front.workers);
        if home == self.front.me {
            let result = self.attach_here(now, channel, id, options, false);
            return self.front.done(channel, token.clone(), result.map(|_| ()));
        }
        self.front.ask_to_attach(channel, token, id, options, WaitingFor::Connect);
    }

    /// `StreamBroker.attach`: attach at a chosen position, or move there.
    pub(super) fn attach(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        id: StreamId,
        options: AttachOptions,
    ) {
        if let Err(error) = self.admits_attachment(channel, id) {
            return self.front.reply(channel, token.clone(), Reply::Attached(Err(error)));
        }
        let home = id.home(self.front.workers);
        if home == self.front.me {
            let result = self.attach_here(now, channel, id, options, true);
            return self.front.reply(channel, token.clone(), Reply::Attached(result));
        }
        self.front.ask_to_attach(channel, token, id, options, WaitingFor::Attach(options));
    }

    fn attachment(&self, channel: ChannelId, id: StreamId) -> Option<&Attachment> {
        self.front.parties.get(channel)?.attachments.get(&id)
    }

    fn admits_attachment(&self, channel: ChannelId, id: StreamId) -> Result<(), Refusal> {
        let Some(party) = self.front.parties.get(channel) else { return Ok(()) };
        let most = self.front.limits.attachments_per_channel_max;
        if party.attachments.len() >= most && !party.attachments.contains_key(&id) {
            let error = format!("the channel is attached to {most} streams; disconnect from some");
            return Err(Refusal::Limit(error));
        }
        Ok(())
    }

    /// Attaches a channel of this worker to a stream at home here. `moves`: a reader that is there
    /// already is moved.
    pub(super) fn attach_here(
        &mut self,
        now: Instant,
        channel: ChannelId,
        id: StreamId,
        options: AttachOptions,
        moves: bool,
    ) -> Result<(Offset, u64), Refusal> {
        let Engine { front, streams, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return Err(Refusal::Cancelled) };
        let attachment = party.attachments.get(&id);
        let is_reader = attachment.is_some_and(|attachment| attachment.reader.is_some());
        let stream = streams.find_to_attach(&party.asker(), id)?;
        if !is_reader && !stream.accepts(now, Some(channel)) {
            return Err(Refusal::no_stream(id));
        }
        let (position, lost) = stream.resolve(options.from)?;
        let meta = stream.meta.clone();
        let can_read = meta.may_read(stream.is_owner(channel));
        let timeout = options.stall_timeout.unwrap_or(meta.stall_timeout);
        let attachment = attachment_of(&mut party.attachments, &meta, can_read);
        if std::mem::take(&mut attachment.is_finished) {
            party.finished.retain(|finished| *finished != id);
        }
        if !can_read {
            stream.add_writer(channel);
            front.stop_reading(&mut stream.readers, channel, id);
            front.mark(stream);
            return Ok((stream.log.end(), 0));
        }
        stream.writers.retain(|writer| *writer != channel);
        match attachment.reader {
            Some(key) if moves => stream.readers.move_to(now, key, position, timeout),
            Some(key) => return Ok((stream.readers.get(key).cursor, 0)),
            None => {
                attachment.reader = Some(stream.readers.attach(now, channel, position, timeout));
                party.readers += 1;
            }
        }
        stream.is_held = false;
        stream.is_timer_stale = true;
        front.mark(stream);
        Ok((position, lost))
    }

    /// Attaches a channel without making it a reader: a creator, or one that only writes.
    pub(super) fn attach_silently(&mut self, channel: ChannelId, id: StreamId) {
        let Engine { front, streams, .. } = self;
        let Some(stream) = streams.get_mut(&id) else { return };
        let Some(party) = front.parties.get_mut(channel) else { return };
        let can_read = stream.meta.may_read(stream.is_owner(channel));
        let attachment = attachment_of(&mut party.attachments, &stream.meta, can_read);
        attachment.is_finished = false;
        if !can_read {
            front.stop_reading(&mut stream.readers, channel, id);
            front.mark(stream);
        } else if attachment.reader.is_some() {
            return;
        }
        stream.add_writer(channel);
    }

    /// `Streams.disconnect`: `disposed`, then what was parked is answered, then the reply.
    pub(super) fn disconnect(&mut self, channel: ChannelId, token: &Token, id: StreamId) {
        let Engine { front, streams, views, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return };
        let Some(attachment) = party.attachments.remove(&id) else {
            return front.done(channel, token.clone(), Err(Refusal::NotConnected(id)));
        };
        if attachment.is_finished {
            party.finished.retain(|finished| *finished != id);
            if attachment.remote_pending == 0 {
                return front.done(channel, token.clone(), Ok(()));
            }
            // Writes crossed the end; their answers come first.
            front.wait(channel, token, WaitingFor::Disconnect);
            return front.send(attachment.meta.home, Body::Cancel { stream: id, channel });
        }
        party.readers -= usize::from(attachment.reader.is_some());
        let stream_type = attachment.meta.stream_type.clone();
        front.effects.push_back(Effect::Disposed { channel, stream_type, stream: id });
        if let Some(stream) = streams.get_mut(&id) {
            if let Some(key) = attachment.reader {
                let reader = stream.readers.detach(key);
                front.cancel_reads(reader);
            }
            front.cancel_writes(stream, channel);
            stream.writers.retain(|writer| *writer != channel);
            front.mark(stream);
            return front.done(channel, token.clone(), Ok(()));
        }
        if let (Some(key), Some(view)) = (attachment.reader, views.get_mut(&id)) {
            let reader = view.readers.detach(key);
            front.cancel_reads(reader);
            front.mark_view(view);
        }
        let home = attachment.meta.home;
        if attachment.remote_pending > 0 {
            front.wait(channel, token, WaitingFor::Disconnect);
            return front.send(home, Body::Cancel { stream: id, channel });
        }
        front.send(home, Body::Leave { stream: id, channel });
        front.done(channel, token.clone(), Ok(()));
    }

    /// Gives another worker leave to read a stream at home here, and the bytes it needs for that.
    pub(super) fn grant(
        &mut self,
        now: Instant,
        asker: &Asker,
        id: StreamId,
        from: From,
    ) -> Result<Grant, Refusal> {
        let channel = asker.channel;
        let to = channel.worker;
        let stream = self.streams.find_to_attach(asker, id)?;
        if !stream.accepts(now, Some(channel)) && !stream.has_readers_on(to) {
            return Err(Refusal::no_stream(id));
        }
        let (position, lost) = stream.resolve(from)?;
        if !stream.meta.may_read(stream.is_owner(channel)) {
            stream.add_writer(channel);
            return Ok(stream.grant_to_writer());
        }
        stream.is_held = false;
        stream.writers.retain(|writer| *writer != channel);
        let grant = stream.grant_to_reader(to, position, lost);
        self.front.mark(stream);
        Ok(grant)
    }

    /// Connects a channel of another worker that does not read yet.
    pub(super) fn grant_silently(
        &mut self,
        id: StreamId,
        channel: ChannelId,
    ) -> Result<Grant, Refusal> {
        let Some(stream) = self.streams.get_mut(&id) else { return Err(Refusal::no_stream(id)) };
        stream.add_writer(channel);
        Ok(stream.grant_to_writer())
    }

    /// Takes a home's leave in: the view is there afterwards, with the bytes that belong to it.
    pub(super) fn take_grant(&mut self, grant: &Grant) {
        let Some(attaches) = grant.attach else { return };
        let view = self.views.entry(grant.meta.id).or_insert_with(|| {
            self.past.name(&grant.meta.stream_type);
            View::new(grant.meta.clone(), grant.sent_from).into()
        });
        view.attaches_seen = attaches;
        if grant.sent_from < view.log.start() {
            view.log.prepend(grant.sent_from, grant.sent.clone());
            view.home_start = view.home_start.min(grant.sent_from);
        }
        view.log.extend(grant.sent_from, grant.sent.clone());
        view.has_news = true;
        view.is_timer_stale = true;
        view.told = grant.told;
        self.front.mark_view(view);
    }

    /// Attaches a channel of this worker as the home's leave says. `moves`: a reader that is there
    /// already is moved.
    pub(super) fn attach_there(
        &mut self,
        now: Instant,
        channel: ChannelId,
        grant: &Grant,
        options: AttachOptions,
        moves: bool,
    ) {
        let Engine { front, views, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return };
        let id = grant.meta.id;
        let can_read = grant.meta.may_read(party.owned.contains(&id));
        let attachment = attachment_of(&mut party.attachments, &grant.meta, can_read);
        if std::mem::take(&mut attachment.is_finished) {
            party.finished.retain(|finished| *finished != id);
        }
        let Some(view) = views.get_mut(&id) else { return };
        if !can_read {
            front.stop_reading(&mut view.readers, channel, id);
            return front.mark_view(view);
        }
        if grant.attach.is_none() {
            return;
        }
        let timeout = options.stall_timeout.unwrap_or(grant.meta.stall_timeout);
        match attachment.reader {
            Some(key) if moves => view.readers.move_to(now, key, grant.position, timeout),
            Some(_) => {}
            None => {
                let key = view.readers.attach(now, channel, grant.position, timeout);
                attachment.reader = Some(key);
                party.readers += 1;
            }
        }
        front.mark_view(view);
    }
}

impl Engine {
    /// Another channel has become the creator of a stream: this one, of this worker, was it.
    pub(super) fn lose_ownership(&mut self, channel: ChannelId, id: StreamId) {
        let Engine { front, streams, views, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return };
        party.owned.remove(&id);
        let Some(attachment) = party.attachments.get_mut(&id) else { return };
        attachment.can_read = attachment.meta.may_read(false);
        if attachment.can_read {
            return;
        }
        if let Some(stream) = streams.get_mut(&id) {
            front.stop_reading(&mut stream.readers, channel, id);
        } else if let Some(view) = views.get_mut(&id) {
            front.stop_reading(&mut view.readers, channel, id);
            front.mark_view(view);
        }
    }
}

impl Front {
    /// Asks a stream's home for leave to attach; the channel waits for the answer.
    pub(super) fn ask_to_attach(
        &mut self,
        channel: ChannelId,
        token: &Token,
        id: StreamId,
        options: AttachOptions,
        what: WaitingFor,
    ) {
        let Some(party) = self.parties.get(channel) else { return };
        let asker = party.asker();
        self.wait(channel, token, what);
        let home = id.home(self.workers);
        self.send(home, Body::Attach { stream: id, asker, options });
    }

    /// Takes a reader away from a channel that may not read the stream any more; its reads are
    /// answered.
    fn stop_reading(&mut self, readers: &mut Readers, channel: ChannelId, id: StreamId) {
        let Some(party) = self.parties.get_mut(channel) else { return };
        let attachment = party.attachments.get_mut(&id);
        let Some(key) = attachment.and_then(|attachment| attachment.reader.take()) else { return };
        party.readers -= 1;
        let reader = readers.detach(key);
        self.cancel_reads(reader);
    }

    /// Answers a departing reader's reads.
    pub(super) fn cancel_reads(&mut self, reader: Reader) {
        let channel = reader.channel;
        for read in reader.reads {
            if let Some(party) = self.parties.get_mut(channel) {
                party.parked_reads -= 1;
            }
            let error = Some(Refusal::Cancelled);
            let reply = Reply::Read { data: Chunks::EMPTY, error, lost: 0, eos: true };
            self.reply(channel, read.token, reply);
        }
    }

    /// Answers what a channel has parked in a stream, writes first.
    pub(super) fn cancel_writes(&mut self, stream: &mut Stream, channel: ChannelId) {
        let id = stream.meta.id;
        for write in stream.parked.remove_channel(channel) {
            let error = Err(write.cancelled());
            self.answer_write(id, channel, write.token, write.size, error);
        }
        if let Some((channel, token)) = stream.take_ending_of(channel) {
            self.answer_write(id, channel, token, 0, Err(Refusal::Cancelled));
        }
    }
}

impl Stream {
    /// Whether a channel may still attach. A disposed stream stays for those who can read it:
    /// others have been told of its end, and would not be told again.
    pub(super) fn accepts(&self, now: Instant, channel: Option<ChannelId>) -> bool {
        if !self.is_disposed {
            return true;
        }
        let is_owner = channel.is_some_and(|channel| self.is_owner(channel));
        self.meta.may_read(is_owner) && self.linger_until.is_some_and(|until| now < until)
    }

    /// Whether a worker has readers that drain what is left; one of them may ask to be moved.
    fn has_readers_on(&self, worker: WorkerId) -> bool {
        self.views.iter().any(|view| view.worker == worker && view.readers > 0)
    }

    /// Takes back an end that the channel has asked for and that has not taken effect. The end
    /// stays where the stream ends all the same, its creator being gone.
    pub(super) fn take_ending_of(&mut self, channel: ChannelId) -> Option<(ChannelId, Token)> {
        let ending = self.ending.as_mut()?;
        let by = ending.by.take_if(|(asker, _)| *asker == channel)?;
        if !ending.then_dispose {
            self.ending = None;
        }
        Some(by)
    }

    /// Where a reader starts that asks for `from`, and how many bytes it misses.
    fn resolve(&self, from: From) -> Result<(Offset, u64), Refusal> {
        let (start, end) = (self.log.start(), self.log.end());
        match from {
            From::Oldest => Ok((start, 0)),
            From::Latest => Ok((end, 0)),
            From::Offset(offset) if offset > end => Err(Refusal::InvalidValue(format!(
                "From is {offset}, beyond the end of stream {}, which is {end}",
                self.meta.id
            ))),
            From::Offset(offset) if offset < start => Ok((start, start.since(offset))),
            From::Offset(offset) => Ok((offset, 0)),
        }
    }

    pub(super) fn grant_to_writer(&self) -> Grant {
        Grant {
            meta: self.meta.clone(),
            attach: None,
            position: self.log.end(),
            lost: 0,
            sent_from: self.log.end(),
            sent: Chunks::EMPTY,
            told: self.told_at(self.log.end()),
        }
    }

    /// Everything from `position`, or from what the worker has not been sent yet, is part of the
    /// leave: so the view is whole as soon as it has it.
    pub(super) fn grant_to_reader(&mut self, to: WorkerId, position: Offset, lost: u64) -> Grant {
        let told = self.told_at(self.log.end());
        let index = match self.views.iter().position(|view| view.worker == to) {
            Some(index) => index,
            None => {
                self.views.push(RemoteView::new(to, position, told));
                self.views.len() - 1
            }
        };
        let view = &mut self.views[index];
        let from = position.min(view.sent.max(self.log.start()));
        view.attaches += 1;
        view.unseen.push_back((view.attaches, position));
        view.sent = self.log.end();
        view.told = told;
        Grant {
            meta: self.meta.clone(),
            attach: Some(view.attaches),
            position,
            lost,
            sent_from: from,
            sent: self.log.read_at(from, u64::MAX),
            told,
        }
    }
}

impl RemoteView {
    fn new(worker: WorkerId, position: Offset, told: crate::stream::home::Told) -> RemoteView {
        RemoteView {
            worker,
            sent: position,
            received: position,
            attaches: 0,
            unseen: Default::default(),
            holding: None,
            floor: None,
            readers: 0,
            told,
            is_listed: false,
        }
    }
}

fn attachment_of<'a>(
    attachments: &'a mut rustc_hash::FxHashMap<StreamId, Attachment>,
    meta: &Arc<Meta>,
    can_read: bool,
) -> &'a mut Attachment {
    let attachment = attachments.entry(meta.id).or_insert_with(|| Attachment {
        meta: meta.clone(),
        reader: None::<ReaderKey>,
        remote_pending: 0,
        can_read,
        is_finished: false,
    });
    attachment.can_read = can_read;
    attachment
}
