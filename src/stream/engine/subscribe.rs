//! Interest in types of streams, announcing, and listing.

use std::sync::Arc;

use crate::id::{ChannelId, StreamId, Token, WorkerId};
use crate::stream::engine::Engine;
use crate::stream::engine::attach::{Manner, Site};
use crate::stream::message::{Asker, Body, Grant};
use crate::stream::meta::{ANY_TYPE, Meta};
use crate::stream::parties::{Attachment, Found, WaitingFor};
use crate::stream::{AttachOptions, Effect, From, Refusal, Reply, StreamReport};
use crate::time::Instant;

impl Engine {
    /// Notes the interest on every worker; then comes the reply, then a `created` for each stream
    /// that lives already, the channel being connected to it.
    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        stream_type: &str,
    ) {
        let Some(party) = self.front.parties.get(channel) else { return };
        let refusal = if party.subscriptions.iter().any(|wanted| &**wanted == stream_type) {
            Some(Refusal::AlreadySubscribed)
        } else if party.subscriptions.len() >= self.front.limits.subscriptions_per_channel_max {
            let count = party.subscriptions.len();
            Some(Refusal::Limit(format!("the channel has {count} subscriptions")))
        } else {
            None
        };
        if let Some(error) = refusal {
            return self.front.done(channel, token.clone(), Err(error));
        }
        let asker = party.asker();
        let stream_type: Arc<str> = stream_type.into();
        self.subscribers.entry(stream_type.clone()).or_default().push(channel);
        let workers = self.front.others().count();
        for worker in self.front.others() {
            let (asker, stream_type) = (asker.clone(), stream_type.clone());
            let body = Body::Subscribe { asker, stream_type };
            self.front.send(worker, body);
        }
        let what = WaitingFor::Subscribe { workers, stream_type, found: Vec::new() };
        self.front.wait(channel, token, what);
        if workers == 0 {
            self.complete_subscribe(now, channel);
        }
    }

    /// Every worker has noted the interest.
    pub(super) fn complete_subscribe(&mut self, now: Instant, channel: ChannelId) {
        let Some(waiting) = self.front.take_waiting(channel) else { return };
        let WaitingFor::Subscribe { stream_type, mut found, .. } = waiting.what else { return };
        let Some(party) = self.front.parties.get(channel) else { return };
        let asker = party.asker();
        for stream in self.streams.values().filter(|stream| stream.is_seen_by(&asker)) {
            let meta = &stream.meta;
            let is_known = found.iter().any(|known| known.meta.id == meta.id);
            if meta.matches(&stream_type) && stream.accepts(now, Some(channel)) && !is_known {
                found.push(Found { meta: meta.clone(), is_new: false });
            }
        }
        found.sort_by_key(|found| (found.meta.created_at, found.meta.id));
        self.front.done(channel, waiting.token, Ok(()));
        for Found { meta, .. } in found {
            let Some(party) = self.front.parties.get(channel) else { return };
            if !party.is_subscribed_to(&meta) {
                self.attach_subscriber(now, channel, &meta);
                self.tell_created(channel, &meta);
            }
        }
        if let Some(party) = self.front.parties.get_mut(channel) {
            party.subscriptions.push(stream_type);
        }
        self.front.resume(channel);
    }

    /// Connects a subscriber to a stream at home here, at the oldest byte kept, unless it is
    /// connected.
    fn attach_subscriber(&mut self, now: Instant, channel: ChannelId, meta: &Arc<Meta>) {
        let is_attached = self
            .front
            .parties
            .get(channel)
            .and_then(|party| party.attachments.get(&meta.id))
            .is_some_and(Attachment::is_settled);
        if meta.home == self.front.me && !is_attached {
            // One that is beyond its bound on attachments is told of the stream and not connected.
            let site = Site::Home(meta.id);
            let _ = self.attach_to(now, channel, site, AttachOptions::default(), Manner::Join);
        }
    }

    fn tell_created(&mut self, channel: ChannelId, meta: &Meta) {
        self.front.effects.push_back(Effect::Created {
            channel,
            stream_type: meta.stream_type.clone(),
            stream: meta.id,
            context: meta.context.clone(),
        });
    }

    /// `Streams.unsubscribe`: streams that the channel is connected to stay connected.
    pub(super) fn unsubscribe(&mut self, channel: ChannelId, token: &Token, stream_type: &str) {
        let Some(party) = self.front.parties.get_mut(channel) else { return };
        let Some(at) = party.subscriptions.iter().position(|wanted| &**wanted == stream_type)
        else {
            let error = Refusal::UnknownContext(format!("no subscription to {stream_type}"));
            return self.front.done(channel, token.clone(), Err(error));
        };
        let stream_type = party.subscriptions.swap_remove(at);
        self.lose_subscriber(channel, &stream_type);
        self.front.done(channel, token.clone(), Ok(()));
    }

    /// Forgets a channel's interest; the last one here is told to the other workers.
    pub(super) fn lose_subscriber(&mut self, channel: ChannelId, stream_type: &Arc<str>) {
        let Some(channels) = self.subscribers.get_mut(stream_type) else { return };
        channels.retain(|subscriber| *subscriber != channel);
        if channels.is_empty() {
            self.subscribers.remove(stream_type);
            for worker in self.front.others() {
                let stream_type = stream_type.clone();
                self.front.send(worker, Body::LoseInterest { stream_type });
            }
        }
    }

    /// Another worker's channel subscribes: note it, and give leave for what lives here.
    pub(super) fn note_interest(
        &mut self,
        now: Instant,
        worker: WorkerId,
        asker: &Asker,
        stream_type: Arc<str>,
    ) {
        let channel = asker.channel;
        let mut ids: Vec<StreamId> = self
            .streams
            .values()
            .filter(|stream| stream.meta.matches(&stream_type) && stream.is_seen_by(asker))
            .filter(|stream| stream.accepts(now, Some(channel)))
            .map(|stream| stream.meta.id)
            .collect();
        ids.sort_unstable();
        self.interest.entry(stream_type).or_default().insert(worker);
        let grants = ids
            .into_iter()
            .filter_map(|id| self.grant(now, asker, id, From::Oldest, false).ok())
            .collect();
        self.front.send(worker, Body::Subscribed { channel, grants });
    }

    /// Another worker has no subscriber to the type any more.
    pub(super) fn lose_interest(&mut self, worker: WorkerId, stream_type: &str) {
        if let Some(workers) = self.interest.get_mut(stream_type) {
            workers.remove(&worker);
            if workers.is_empty() {
                self.interest.remove(stream_type);
            }
        }
    }

    /// One worker's answer to a subscription: what lives there. The channel reads from now on; it
    /// is told when all workers have answered.
    pub(super) fn take_subscribed(&mut self, now: Instant, channel: ChannelId, grants: Vec<Grant>) {
        let mut live = Vec::new();
        for grant in grants {
            self.take_grant(&grant);
            self.give_back(channel, &grant);
            let Some(party) = self.front.parties.get(channel) else { continue };
            let attachment = party.attachments.get(&grant.meta.id);
            let is_attached = attachment.is_some_and(Attachment::is_settled);
            // What an earlier subscription has announced may have been left on purpose.
            let is_new = !is_attached && !party.is_subscribed_to(&grant.meta);
            if is_new {
                let (site, options) = (Site::View(&grant), AttachOptions::default());
                if self.attach_to(now, channel, site, options, Manner::Join).is_err() {
                    self.give_up_grant(channel, &grant);
                }
            }
            live.push(Found { meta: grant.meta, is_new });
        }
        let Some(party) = self.front.parties.get_mut(channel) else { return };
        let Some(waiting) = &mut party.waiting else { return };
        let WaitingFor::Subscribe { workers, found, .. } = &mut waiting.what else { return };
        for stream in live {
            if !found.iter().any(|known| known.meta.id == stream.meta.id) {
                found.push(stream);
            }
        }
        *workers -= 1;
        if *workers == 0 {
            self.complete_subscribe(now, channel);
        }
    }

    /// Tells the channels here of a new stream, each connected to it from its first byte.
    pub(super) fn announce_here(&mut self, now: Instant, meta: &Arc<Meta>) {
        for channel in self.reached_by(meta) {
            self.attach_subscriber(now, channel, meta);
            self.tell_or_note(channel, meta);
        }
    }

    /// Tells other workers with subscribers of a new stream. Each counts as a reader at its first
    /// byte until it says otherwise.
    pub(super) fn announce_there(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let exact = self.interest.get(&*stream.meta.stream_type).into_iter().flatten();
        let any = self.interest.get(ANY_TYPE).into_iter().flatten();
        let mut workers: Vec<WorkerId> = exact.chain(any).copied().collect();
        workers.sort_unstable();
        workers.dedup();
        for worker in workers {
            // A subscriber of an `in` stream writes: nothing is to be held for it.
            let grant = match stream.meta.may_read(false) {
                true => stream.grant_to_reader(worker, stream.log.start(), 0),
                false => stream.grant_to_writer(),
            };
            self.front.send(worker, Body::Created { grant });
        }
    }

    /// A new stream elsewhere.
    pub(super) fn take_created(&mut self, now: Instant, grant: Grant) {
        self.take_grant(&grant);
        let (id, home) = (grant.meta.id, grant.meta.home);
        for channel in self.reached_by(&grant.meta) {
            let (site, options) = (Site::View(&grant), AttachOptions::default());
            let attached = self.attach_to(now, channel, site, options, Manner::Join);
            if attached.is_ok() && grant.attach.is_none() {
                self.front.send(home, Body::Writes { stream: id, channel });
            }
            self.tell_or_note(channel, &grant.meta);
        }
    }

    /// A channel whose subscription waits for other workers hears of the stream after its reply.
    fn tell_or_note(&mut self, channel: ChannelId, meta: &Arc<Meta>) {
        let Some(party) = self.front.parties.get_mut(channel) else { return };
        if party.is_subscribed_to(meta) {
            return self.tell_created(channel, meta);
        }
        if let Some(waiting) = &mut party.waiting
            && let WaitingFor::Subscribe { found, .. } = &mut waiting.what
            && !found.iter().any(|known| known.meta.id == meta.id)
        {
            found.push(Found { meta: meta.clone(), is_new: true });
        }
    }

    /// `StreamBroker.list`: each worker describes its own.
    pub(super) fn list(&mut self, channel: ChannelId, token: &Token, stream_type: Option<&str>) {
        let Some(party) = self.front.parties.get(channel) else { return };
        let asker = party.asker();
        let streams = self.describe(&asker, stream_type);
        let workers = self.front.others().count();
        if workers == 0 {
            return self.front.reply(channel, token.clone(), Reply::Streams(streams));
        }
        for worker in self.front.others() {
            let (asker, stream_type) = (asker.clone(), stream_type.map(Box::from));
            self.front.send(worker, Body::List { asker, stream_type });
        }
        self.front.wait(channel, token, WaitingFor::List { workers, streams });
    }

    /// The streams at home here, oldest first.
    pub(super) fn describe(&self, asker: &Asker, stream_type: Option<&str>) -> Vec<StreamReport> {
        let wanted = stream_type.unwrap_or(ANY_TYPE);
        let streams = self.streams.after(None).filter_map(|id| self.streams.get(&id));
        streams
            .filter(|stream| stream.meta.matches(wanted) && stream.is_seen_by(asker))
            .map(|stream| self.report_stream(stream))
            .collect()
    }

    /// One worker's answer to `list`.
    pub(super) fn take_listed(&mut self, channel: ChannelId, more: Vec<StreamReport>) {
        let Some(party) = self.front.parties.get_mut(channel) else { return };
        let Some(waiting) = &mut party.waiting else { return };
        let WaitingFor::List { workers, streams } = &mut waiting.what else { return };
        streams.extend(more);
        *workers -= 1;
        if *workers > 0 {
            return;
        }
        let mut streams = std::mem::take(streams);
        streams.sort_by_key(|stream| (stream.created_at, stream.id));
        if let Some(waiting) = self.front.take_waiting(channel) {
            self.front.reply(channel, waiting.token, Reply::Streams(streams));
        }
        self.front.resume(channel);
    }
}
