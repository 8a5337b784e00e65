//! Taking places in streams, confirming, and losing them.

use std::sync::Arc;

use crate::id::{ChannelId, Offset, StreamId, Token};
use crate::stream::engine::Engine;
use crate::stream::engine::attach::{Manner, Site};
use crate::stream::front::Front;
use crate::stream::message::{Asker, Body, Grant};
use crate::stream::parties::{OwnPlace, WaitingFor};
use crate::stream::places::{Host, Place, Places};
use crate::stream::{AttachOptions, From, PLACE_NAME_BYTES_MAX, Placing, Refusal, Reply};
use crate::time::Instant;

impl Engine {
    /// `StreamBroker.attach` with a `Place`.
    pub(super) fn take_place(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        id: StreamId,
        options: AttachOptions,
        placing: Placing,
    ) {
        if let Err(error) = self.front.admits_attachment(channel, id) {
            return self.front.reply(channel, token.clone(), Reply::Attached(Err(error)));
        }
        let Some(party) = self.front.parties.get(channel) else { return };
        let (asker, host) = (party.asker(), party.as_host());
        let home = id.home(self.front.workers);
        if home != self.front.me {
            let what = WaitingFor::Place(options, placing.name.clone());
            self.front.wait(channel, token, what);
            let body = Body::TakePlace { stream: id, asker, host, options, placing };
            return self.front.send(home, body);
        }
        let name = placing.name.clone();
        let result = self.claim_place(now, &asker, host, id, options, &placing, |engine, from| {
            let options = AttachOptions { from, ..options };
            engine.attach_to(now, channel, Site::Home(id), options, Manner::Move)
        });
        if let Ok((position, _)) = result {
            self.front.note_place(channel, id, name, position);
        }
        self.front.reply(channel, token.clone(), Reply::Attached(result));
    }

    /// The same for a channel of another worker.
    pub(super) fn grant_place(
        &mut self,
        now: Instant,
        asker: &Asker,
        host: Host,
        id: StreamId,
        options: AttachOptions,
        placing: &Placing,
    ) -> Result<Grant, Refusal> {
        let mut grant = None;
        self.claim_place(now, asker, host, id, options, placing, |engine, from| {
            let leave = engine.grant(now, asker, id, from, false)?;
            let place = (leave.position, leave.lost);
            grant = Some(leave);
            Ok(place)
        })?;
        grant.ok_or(Refusal::Cancelled)
    }

    /// Gives the place to who asks, as far as `attach` succeeds, which gets the offset to start
    /// from. Whoever had it is told.
    #[allow(clippy::too_many_arguments)]
    fn claim_place(
        &mut self,
        now: Instant,
        asker: &Asker,
        host: Host,
        id: StreamId,
        options: AttachOptions,
        placing: &Placing,
        attach: impl FnOnce(&mut Engine, From) -> Result<(Offset, u64), Refusal>,
    ) -> Result<(Offset, u64), Refusal> {
        let channel = asker.channel;
        self.admits_place(asker, &host, id, placing)?;
        let Some(stream) = self.streams.get_mut(&id) else { return Err(Refusal::no_stream(id)) };
        let known = stream.places.named(&placing.name).map(|place| place.confirmed);
        let from = placing.from.unwrap_or(known.map_or(From::Oldest, From::Offset));
        let mut place = Place {
            name: placing.name.clone(),
            holder: Some(channel),
            host,
            channel,
            confirmed: known.unwrap_or(stream.log.end()),
            stall_timeout: options.stall_timeout.unwrap_or(stream.meta.stall_timeout),
            keep_for: placing.keep_for,
            away_until: None,
            is_lagging: false,
            progress_at: now,
        };
        let old = stream.places.put(place.clone());
        let result = attach(self, from);
        let Some(stream) = self.streams.get_mut(&id) else { return result };
        let Ok((position, _)) = result else {
            stream.places.remove(&placing.name);
            old.into_iter().for_each(|old| drop(stream.places.put(old)));
            return result;
        };
        // Its reader has one place, and this is where that begins.
        stream.places.give_up(channel);
        place.confirmed = position;
        stream.places.put(place);
        stream.is_timer_stale = true;
        self.front.recharge(stream);
        self.front.mark(stream);
        if let Some(old) = old.and_then(|old| old.holder).filter(|old| *old != channel) {
            if old.worker == self.front.me {
                self.lose_place(old, id);
            } else {
                self.front.send(old.worker, Body::PlaceTaken { channel: old, stream: id });
            }
        }
        result
    }

    /// Whether the place may be there.
    fn admits_place(
        &mut self,
        asker: &Asker,
        host: &Host,
        id: StreamId,
        placing: &Placing,
    ) -> Result<(), Refusal> {
        let len = placing.name.len();
        if len == 0 || len > PLACE_NAME_BYTES_MAX {
            return Err(Refusal::InvalidValue(format!(
                "Place has {len} bytes, not 1 to {PLACE_NAME_BYTES_MAX}"
            )));
        }
        let limits = &self.front.limits;
        let (keep_for, most) = (placing.keep_for.as_millis(), limits.keep_for_max.as_millis());
        if keep_for > most {
            return Err(Refusal::InvalidValue(format!("KeepFor is {keep_for}, more than {most}")));
        }
        let stream = self.streams.find_to_attach(asker, id)?;
        if !stream.meta.may_read(stream.is_owner(asker.channel)) {
            return Err(Refusal::WrongDirection("this side of the stream cannot be read"));
        }
        let is_there = stream.places.named(&placing.name).is_some();
        let most = limits.places_per_stream_max;
        if !is_there && stream.places.len() >= most {
            return Err(Refusal::Limit(format!("the stream has {most} places; give some up")));
        }
        if !is_there && self.front.budget.free() < Places::cost(&placing.name, host) {
            return Err(Refusal::Limit("there is no memory for one more place".to_owned()));
        }
        Ok(())
    }

    /// The home's leave to read from a place.
    pub(super) fn take_placed(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: Token,
        options: AttachOptions,
        name: Arc<str>,
        result: Result<Grant, Refusal>,
    ) {
        let result = result.and_then(|grant| {
            let site = Site::View(&grant);
            let attached = self.attach_to(now, channel, site, options, Manner::Move);
            if attached.is_err() {
                let stream = grant.meta.id;
                self.give_up_grant(channel, &grant);
                self.front.send(grant.meta.home, Body::ChannelClosed { stream, channel });
            } else {
                self.front.note_place(channel, grant.meta.id, name, grant.position);
            }
            attached.map(|_| (grant.position, grant.lost))
        });
        self.front.reply(channel, token, Reply::Attached(result));
    }

    /// `StreamBroker.confirm`.
    pub(super) fn confirm(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        id: StreamId,
        offset: Offset,
    ) {
        let result = self.confirm_here(channel, id, offset);
        let home = id.home(self.front.workers);
        if result.is_ok() && home == self.front.me {
            self.move_place(now, channel, id, offset);
        } else if result.is_ok() {
            self.front.send(home, Body::Confirm { stream: id, channel, offset });
            self.front.pause_if_congested(channel, home);
        }
        self.front.done(channel, token.clone(), result);
    }

    /// Notes it with the channel, which knows all that can be wrong with it.
    fn confirm_here(
        &mut self,
        channel: ChannelId,
        id: StreamId,
        offset: Offset,
    ) -> Result<(), Refusal> {
        let Engine { front, streams, views, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return Err(Refusal::Cancelled) };
        let Some(attachment) = party.attachments.get_mut(&id) else {
            return Err(Refusal::NotConnected(id));
        };
        let Some(place) = &mut attachment.place else {
            return Err(Refusal::InvalidValue(format!("the channel has no place in {id}")));
        };
        let reader = attachment.reader.and_then(|key| match streams.get(&id) {
            Some(stream) => Some(stream.readers.get(key)),
            None => views.get(&id).map(|view| view.readers.get(key)),
        });
        let position = reader.map_or(place.position, |reader| reader.cursor);
        if offset > position || offset < place.confirmed {
            let confirmed = place.confirmed;
            return Err(Refusal::InvalidValue(format!(
                "the offset is {offset}, not {confirmed}, which is confirmed, to {position}"
            )));
        }
        place.confirmed = offset;
        Ok(())
    }

    /// Moves the place of a channel, of any worker, in a stream at home here.
    pub(super) fn move_place(
        &mut self,
        now: Instant,
        channel: ChannelId,
        id: StreamId,
        offset: Offset,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let (start, end) = (stream.log.start(), stream.log.end());
        stream.places.confirm(now, channel, offset, start);
        if stream.is_disposed && stream.is_ended {
            stream.places.complete(channel, end);
        }
        self.front.mark(stream);
    }

    /// The channel has left the stream: its place goes.
    pub(super) fn give_up_place(&mut self, channel: ChannelId, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.places.give_up(channel);
            self.front.mark(stream);
        }
    }

    /// Another channel has taken the place: this one, of this worker, reads the stream no more. It
    /// is told as if it had disconnected.
    pub(super) fn lose_place(&mut self, channel: ChannelId, id: StreamId) {
        let Engine { front, streams, views, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return };
        let Some(attachment) = party.attachments.get_mut(&id) else { return };
        if attachment.place.take().is_none() {
            return;
        }
        attachment.is_taken_over = true;
        let reader = attachment.reader;
        front.finish_attachment(channel, id);
        let Some(key) = reader else { return };
        if let Some(stream) = streams.get_mut(&id) {
            let reader = stream.readers.detach(key);
            front.cancel_reads(reader);
            front.mark(stream);
        } else if let Some(view) = views.get_mut(&id) {
            let reader = view.readers.detach(key);
            front.cancel_reads(reader);
            front.mark_view(view);
        }
    }
}

impl Front {
    /// Notes the place that a channel has.
    fn note_place(&mut self, channel: ChannelId, id: StreamId, name: Arc<str>, position: Offset) {
        let Some(party) = self.parties.get_mut(channel) else { return };
        let Some(attachment) = party.attachments.get_mut(&id) else { return };
        attachment.place = Some(Box::new(OwnPlace { name, confirmed: position, position }));
    }
}
