//! Connecting: the one way in which a channel comes to a stream.

use std::sync::Arc;

use crate::access::Right;
use crate::id::{ChannelId, Offset, StreamId, Token};
use crate::stream::account::ATTACHMENT_BYTES;
use crate::stream::engine::Engine;
use crate::stream::front::Front;
use crate::stream::message::{Body, Grant};
use crate::stream::meta::Meta;
use crate::stream::parties::{Attachment, WaitingFor};
use crate::stream::readers::{ReaderKey, Readers};
use crate::stream::{AttachOptions, Direction, Refusal, Reply};
use crate::time::Instant;

/// Where a channel attaches.
#[derive(Clone, Copy, Debug)]
pub(super) enum Site<'g> {
    /// To a stream at home here.
    Home(StreamId),
    /// To the view of a stream elsewhere, whose home has given leave. It is taken in already.
    View(&'g Grant),
}

/// How it attaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// A reader that is there stays where it is.
    Join,
    /// A reader that is there moves.
    Move,
    /// As the stream's creator, which is no reader of a bus before it asks to be. Its bounds were
    /// looked at before the stream was made or taken over.
    Own,
}

impl Site<'_> {
    fn id(&self) -> StreamId {
        match self {
            Site::Home(id) => *id,
            Site::View(grant) => grant.meta.id,
        }
    }
}

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
        if let Err(error) = self.front.admits_attachment(channel, id) {
            return self.front.done(channel, token.clone(), Err(error));
        }
        let options = AttachOptions::default();
        let home = id.home(self.front.workers);
        if home == self.front.me {
            let result = self.attach_to(now, channel, Site::Home(id), options, Manner::Join);
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
        if let Err(error) = self.front.admits_attachment(channel, id) {
            return self.front.reply(channel, token.clone(), Reply::Attached(Err(error)));
        }
        let home = id.home(self.front.workers);
        if home == self.front.me {
            let result = self.attach_to(now, channel, Site::Home(id), options, Manner::Move);
            return self.front.reply(channel, token.clone(), Reply::Attached(result));
        }
        self.front.ask_to_attach(channel, token, id, options, WaitingFor::Attach(options));
    }

    fn attachment(&self, channel: ChannelId, id: StreamId) -> Option<&Attachment> {
        self.front.parties.get(channel)?.attachments.get(&id)
    }

    /// Attaches a channel of this worker to a stream: every way of attaching comes here, with the
    /// same bounds (connect, attach, subscribe, create, adopt, `created`, the first read on a bus).
    /// Returns the reader's position, or the stream's end for a channel that only writes, and what
    /// of the bytes asked for is gone.
    ///
    /// # Errors
    /// A bound is reached, the stream is not there for this channel, or it may not do that. Then
    /// nothing has happened, but that a home which has given leave is to be told (`give_up_grant`).
    pub(super) fn attach_to(
        &mut self,
        now: Instant,
        channel: ChannelId,
        site: Site<'_>,
        options: AttachOptions,
        manner: Manner,
    ) -> Result<(Offset, u64), Refusal> {
        let id = site.id();
        if manner != Manner::Own {
            self.front.admits_attachment(channel, id)?;
        }
        let Engine { front, streams, views, .. } = self;
        let Some(party) = front.parties.get(channel) else { return Err(Refusal::Cancelled) };
        let reader = party.attachments.get(&id).and_then(|attachment| attachment.reader);
        let (meta, can_read, place, end) = match site {
            Site::Home(id) => {
                let stream = streams.find_to_attach(&party.asker(), id)?;
                if reader.is_none() && !stream.accepts(now, Some(channel)) {
                    return Err(Refusal::no_stream(id));
                }
                let place = stream.resolve(options.from)?;
                let can_read = stream.meta.may_read(stream.is_owner(channel));
                (stream.meta.clone(), can_read, place, stream.log.end())
            }
            Site::View(grant) => {
                let is_owner = party.owned.contains(&id);
                let can_read = grant.meta.may_read(is_owner);
                let right = if can_read { Right::Read } else { Right::Write };
                grant.meta.permits(&party.principal, is_owner, right)?;
                (grant.meta.clone(), can_read, (grant.position, grant.lost), grant.position)
            }
        };
        let is_silent = manner == Manner::Own && meta.direction == Direction::Bus;
        let reads = can_read && (!is_silent || reader.is_some());
        front.note_attachment(channel, &meta, can_read);
        let timeout = options.stall_timeout.unwrap_or(meta.stall_timeout);
        let seat = |front: &mut Front, readers: &mut Readers| {
            if !reads {
                front.stop_reading(readers, channel, id);
                return (end, 0);
            }
            match reader {
                Some(key) if manner == Manner::Move => readers.move_to(now, key, place.0, timeout),
                Some(key) => return (readers.get(key).cursor, 0),
                None => {
                    let key = readers.attach(now, channel, place.0, timeout);
                    front.note_reader(channel, id, key);
                }
            }
            place
        };
        let mut result = (end, 0);
        if let Some(stream) = streams.get_mut(&id) {
            if reads {
                stream.meet_reader();
                stream.writers.retain(|writer| *writer != channel);
            } else {
                stream.add_writer(channel);
            }
            result = seat(front, &mut stream.readers);
            stream.is_timer_stale = true;
            front.mark(stream);
        } else if let Some(view) = views.get_mut(&id) {
            // A leave without a place is one to write.
            if matches!(site, Site::View(grant) if grant.attach.is_some()) || !reads {
                result = seat(front, &mut view.readers);
            }
            front.mark_view(view);
        }
        Ok(result)
    }

    /// The home's leave came to nothing: it is not to wait for the channel. A view without readers
    /// says so by itself.
    pub(super) fn give_up_grant(&mut self, channel: ChannelId, grant: &Grant) {
        let stream = grant.meta.id;
        match self.views.get_mut(&stream) {
            Some(view) if grant.attach.is_some() => self.front.mark_view(view),
            _ => self.front.send(grant.meta.home, Body::Leave { stream, channel }),
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
        let attachment = party.attachments.get(&id);
        let is_reader = attachment.is_some_and(|attachment| attachment.reader.is_some());
        self.wait(channel, token, what);
        let home = id.home(self.workers);
        self.send(home, Body::Attach { stream: id, asker, options, is_reader });
    }

    /// Whether the channel may be attached to one more stream, if it is not to this one.
    pub(super) fn admits_attachment(
        &mut self,
        channel: ChannelId,
        id: StreamId,
    ) -> Result<(), Refusal> {
        let Some(party) = self.parties.get_mut(channel) else { return Ok(()) };
        let most = self.limits.attachments_per_channel_max;
        if party.attachments.contains_key(&id) {
            return Ok(());
        }
        if party.attachments.len() < most {
            return party.make_room(ATTACHMENT_BYTES, &mut self.budget);
        }
        let error = format!("the channel is attached to {most} streams; disconnect from some");
        Err(Refusal::Limit(error))
    }

    /// Notes that the channel is attached to a stream.
    fn note_attachment(&mut self, channel: ChannelId, meta: &Arc<Meta>, can_read: bool) {
        let Some(party) = self.parties.get_mut(channel) else { return };
        let attachment = party.attachments.entry(meta.id).or_insert_with(|| {
            self.budget.charge(&mut party.account, ATTACHMENT_BYTES);
            Attachment {
                meta: meta.clone(),
                reader: None,
                remote_pending: 0,
                can_read,
                is_finished: false,
                untold: 0,
                place: None,
                is_taken_over: false,
            }
        });
        attachment.can_read = can_read;
        if std::mem::take(&mut attachment.is_finished) {
            attachment.untold = 0;
            attachment.is_taken_over = false;
            party.finished.retain(|finished| *finished != meta.id);
            self.budget.release(&mut party.account, meta.name_bytes());
        }
    }

    /// Notes where a reader of the channel is.
    fn note_reader(&mut self, channel: ChannelId, id: StreamId, key: ReaderKey) {
        let Some(party) = self.parties.get_mut(channel) else { return };
        let Some(attachment) = party.attachments.get_mut(&id) else { return };
        attachment.reader = Some(key);
        party.readers += 1;
    }
}
