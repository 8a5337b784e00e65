//! The home's leave for a channel elsewhere: how readers on other workers come to their place.

use crate::id::{ChannelId, Offset, StreamId, Token, WorkerId};
use crate::stream::engine::Engine;
use crate::stream::home::{RemoteView, Stream, Told};
use crate::stream::message::{Asker, Grant};
use crate::stream::view::View;
use crate::stream::{Chunks, From, Refusal};
use crate::time::Instant;

impl Engine {
    /// Gives another worker leave to read a stream at home here, and the bytes it needs for that.
    /// `is_reader`: the channel reads it already, and may move.
    pub(super) fn grant(
        &mut self,
        now: Instant,
        asker: &Asker,
        id: StreamId,
        from: From,
        is_reader: bool,
    ) -> Result<Grant, Refusal> {
        let channel = asker.channel;
        let to = channel.worker;
        let stream = self.streams.find_to_attach(asker, id)?;
        if !stream.accepts(now, Some(channel)) && !is_reader {
            return Err(Refusal::no_stream(id));
        }
        let (position, lost) = stream.resolve(from)?;
        if !stream.meta.may_read(stream.is_owner(channel)) {
            stream.add_writer(channel);
            return Ok(stream.grant_to_writer());
        }
        stream.meet_reader();
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
            let mut view = View::new(grant.meta.clone(), grant.sent_from);
            view.type_slot = self.traffic.name(&grant.meta.stream_type);
            view.into()
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
}

impl Stream {
    /// Whether a channel may still attach. A disposed stream stays for those who can read it:
    /// others have been told of its end, and would not be told again.
    pub(super) fn accepts(&self, now: Instant, channel: Option<ChannelId>) -> bool {
        if !self.is_disposed {
            return true;
        }
        let is_owner = channel.is_some_and(|channel| self.is_owner(channel));
        let has_place = channel.is_some_and(|channel| self.places.is_held_by(channel));
        let lingers = self.linger_until.is_some_and(|until| now < until);
        self.meta.may_read(is_owner) && (lingers || has_place)
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
    pub(super) fn resolve(&self, from: From) -> Result<(Offset, u64), Refusal> {
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
            sent: self.log.hand_out(from, u64::MAX),
            told,
        }
    }
}

impl RemoteView {
    fn new(worker: WorkerId, position: Offset, told: Told) -> RemoteView {
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
