//! Interest in types of streams, announcing, and listing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{ChannelId, StreamId, Token, WorkerId};
use crate::stream::account::{FOUND_BYTES, listed_bytes, subscription_bytes};
use crate::stream::engine::Engine;
use crate::stream::engine::attach::{Manner, Site};
use crate::stream::engine::walk::Quest;
use crate::stream::front::Front;
use crate::stream::message::{Asker, Body, Grant};
use crate::stream::meta::{ANY_TYPE, Meta};
use crate::stream::parties::{Attachment, Found, Waiting, WaitingFor};
use crate::stream::{AttachOptions, Effect, Refusal, Reply, StreamReport};
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
        let cost = subscription_bytes(stream_type);
        let Front { parties, budget, .. } = &mut self.front;
        let room = parties.get_mut(channel).map(|party| party.make_room(cost, budget));
        if let Some(Err(error)) = room {
            return self.front.done(channel, token.clone(), Err(error));
        }
        let Some(party) = self.front.parties.get(channel) else { return };
        let asker = party.asker();
        let stream_type: Arc<str> = stream_type.into();
        if let Some(party) = self.front.parties.get_mut(channel) {
            self.front.budget.charge(&mut party.account, cost);
        }
        self.subscribers.entry(stream_type.clone()).or_default().insert(channel);
        for worker in self.front.others() {
            let (asker, stream_type) = (asker.clone(), stream_type.clone());
            self.front.send(worker, Body::Subscribe { asker, stream_type });
        }
        let what = WaitingFor::Subscribe {
            workers: usize::from(self.front.workers),
            stream_type: stream_type.clone(),
            found: BTreeMap::new(),
            refused: None,
        };
        self.front.wait(channel, token, what);
        self.begin_walk(now, asker, stream_type, Quest::Find);
    }

    /// A worker, this one too, has noted the interest and has said all that lives there.
    pub(super) fn note_found_all(&mut self, now: Instant, channel: ChannelId) {
        let Some(party) = self.front.parties.get_mut(channel) else { return };
        let Some(Waiting { token, what }) = &mut party.waiting else { return };
        let WaitingFor::Subscribe { workers, stream_type, refused, .. } = what else { return };
        *workers -= 1;
        if *workers > 0 {
            return;
        }
        let (token, wanted) = (token.clone(), stream_type.clone());
        if let Some(error) = refused.take() {
            self.drop_subscription(channel);
            self.front.done(channel, token, Err(error));
            return self.front.resume(channel);
        }
        let asker = party.asker();
        self.front.done(channel, token, Ok(()));
        self.begin_walk(now, asker, wanted, Quest::Tell);
    }

    /// Tells an answered subscription of some of what was found. False where there is nothing more
    /// to do now: all is told, or the peer is to take in what it was told first (`resume_reads`).
    pub(super) fn tell_found(&mut self, now: Instant, channel: ChannelId, most: usize) -> bool {
        for _ in 0..most {
            let Some(party) = self.front.parties.get_mut(channel) else { return false };
            if party.reads_paused {
                return false;
            }
            let Some(found) = party.next_found(&mut self.front.budget) else {
                self.end_telling(channel);
                return false;
            };
            let Found { meta, is_new } = found;
            let attachment = party.attachments.get(&meta.id);
            // What was announced meanwhile is read to its end, also if it is disposed.
            let is_read = is_new && attachment.is_some_and(|attachment| !attachment.is_finished);
            let home = self.streams.get(&meta.id);
            let accepts = home.is_some_and(|stream| stream.accepts(now, Some(channel)));
            let is_there = meta.home != self.front.me || is_read || accepts;
            if is_there && !party.is_subscribed_to(&meta) {
                self.attach_subscriber(now, channel, &meta);
                self.tell_created(channel, &meta);
            }
        }
        true
    }

    /// Everything that was found is told, or the channel ends: the subscription is as any other.
    pub(super) fn end_telling(&mut self, channel: ChannelId) {
        let Front { parties, budget, .. } = &mut self.front;
        let Some(party) = parties.get_mut(channel) else { return };
        while party.next_found(budget).is_some() {}
        let Some(waiting) = party.waiting.take() else { return };
        if let WaitingFor::Subscribe { stream_type, .. } = waiting.what {
            party.subscriptions.push(stream_type);
        }
        self.front.resume(channel);
    }

    /// There was no room for what was found: nothing stays of the subscription.
    fn drop_subscription(&mut self, channel: ChannelId) {
        let Some(Waiting { what, .. }) = self.front.take_waiting(channel) else { return };
        let WaitingFor::Subscribe { stream_type, found, .. } = what else { return };
        if let Some(party) = self.front.parties.get_mut(channel) {
            let cost = subscription_bytes(&stream_type) + found.len() as u64 * FOUND_BYTES;
            self.front.budget.release(&mut party.account, cost);
        }
        for (_, found) in found {
            if found.is_new {
                self.leave_silently(channel, &found.meta);
            }
        }
        self.lose_subscriber(channel, &stream_type);
    }

    /// Takes back what a subscription has connected and nobody was told of.
    fn leave_silently(&mut self, channel: ChannelId, meta: &Meta) {
        let Engine { front, streams, views, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return };
        if !party.attachments.contains_key(&meta.id) {
            return;
        }
        let reader = party.take_back(meta, &mut front.budget);
        if meta.home == front.me {
            // Announced here while the subscription waited.
            let Some(stream) = streams.get_mut(&meta.id) else { return };
            if let Some(key) = reader {
                stream.readers.detach(key);
            }
            stream.writers.retain(|writer| *writer != channel);
            return front.mark(stream);
        }
        match (reader, views.get_mut(&meta.id)) {
            (Some(key), Some(view)) => {
                view.readers.detach(key);
                front.mark_view(view);
            }
            _ => front.send(meta.home, Body::Leave { stream: meta.id, channel }),
        }
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
        self.front.budget.release(&mut party.account, subscription_bytes(&stream_type));
        self.lose_subscriber(channel, &stream_type);
        self.front.done(channel, token.clone(), Ok(()));
    }

    /// Forgets a channel's interest; the last one here is told to the other workers.
    pub(super) fn lose_subscriber(&mut self, channel: ChannelId, stream_type: &Arc<str>) {
        let Some(channels) = self.subscribers.get_mut(stream_type) else { return };
        channels.remove(&channel);
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
        asker: Asker,
        stream_type: Arc<str>,
    ) {
        self.interest.entry(stream_type.clone()).or_default().insert(worker);
        self.begin_walk(now, asker, stream_type, Quest::Find);
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

    /// A piece of another worker's answer to a subscription: what lives there. The channel reads
    /// from now on; it is told when all workers have answered.
    pub(super) fn take_subscribed(
        &mut self,
        now: Instant,
        channel: ChannelId,
        grants: Vec<Grant>,
        is_last: bool,
    ) {
        for grant in grants {
            self.take_grant(&grant);
            self.give_back(channel, &grant);
            let Some(party) = self.front.parties.get(channel) else { continue };
            let attachment = party.attachments.get(&grant.meta.id);
            // What an earlier subscription has announced may have been left on purpose.
            let mut is_new = !attachment.is_some_and(Attachment::is_settled)
                && !party.is_subscribed_to(&grant.meta);
            let is_known = attachment.is_some();
            let is_live = attachment.is_some_and(|attachment| !attachment.is_finished);
            if is_new && party.wants_found() {
                let (site, options) = (Site::View(&grant), AttachOptions::default());
                is_new =
                    self.attach_to(now, channel, site, options, Manner::Join).is_ok() && !is_live;
                let found = Found { meta: grant.meta.clone(), is_new };
                let Front { parties, budget, .. } = &mut self.front;
                let Some(party) = parties.get_mut(channel) else { continue };
                if party.note_found(found, budget) && is_new {
                    continue;
                }
                if is_new && !is_known {
                    self.leave_silently(channel, &grant.meta);
                }
            }
            if !is_known {
                self.give_up_grant(channel, &grant);
            }
        }
        if is_last {
            self.note_found_all(now, channel);
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
    pub(super) fn announce_there(&mut self, id: StreamId, creator: Option<ChannelId>) {
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
            if let Some(creator) = creator {
                self.front.pause_if_congested(creator, worker);
            }
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

    /// A channel whose subscription is not done hears of the stream in its turn. Where there is no
    /// room to note that, the subscription comes to nothing, and so does what it has connected.
    fn tell_or_note(&mut self, channel: ChannelId, meta: &Arc<Meta>) {
        let Front { parties, budget, effects, .. } = &mut self.front;
        let Some(party) = parties.get_mut(channel) else { return };
        if party.is_subscribed_to(meta) {
            return self.tell_created(channel, meta);
        }
        let is_answered = party.telling_of().is_some();
        let is_noted = party.note_found(Found { meta: meta.clone(), is_new: true }, budget);
        if !is_noted && is_answered {
            effects.push_back(Effect::Overrun { channel });
        } else if !is_noted {
            self.leave_silently(channel, meta);
        }
    }

    /// `StreamBroker.list`: each worker describes its own.
    pub(super) fn list(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        stream_type: Option<&str>,
    ) {
        let Some(party) = self.front.parties.get(channel) else { return };
        let asker = party.asker();
        let wanted: Arc<str> = stream_type.unwrap_or(ANY_TYPE).into();
        for worker in self.front.others() {
            let (asker, stream_type) = (asker.clone(), wanted.clone());
            self.front.send(worker, Body::List { asker, stream_type });
        }
        let workers = usize::from(self.front.workers);
        let what = WaitingFor::List { workers, streams: Vec::new(), refused: None };
        self.front.wait(channel, token, what);
        self.begin_walk(now, asker, wanted, Quest::List);
    }

    /// A piece of one worker's answer to `list`.
    pub(super) fn take_listed(
        &mut self,
        channel: ChannelId,
        more: Vec<StreamReport>,
        is_last: bool,
    ) {
        let Front { parties, budget, .. } = &mut self.front;
        let Some(party) = parties.get_mut(channel) else { return };
        let Some(Waiting { what, .. }) = &mut party.waiting else { return };
        let WaitingFor::List { workers, streams, refused } = what else { return };
        let cost = more.iter().map(listed_bytes).sum();
        if refused.is_none() {
            match budget.admit(&party.account, cost) {
                Ok(()) => {
                    budget.charge(&mut party.account, cost);
                    streams.extend(more);
                }
                Err(error) => {
                    *refused = Some(error);
                    let listed = std::mem::take(streams);
                    budget.release(&mut party.account, listed.iter().map(listed_bytes).sum());
                }
            }
        }
        *workers -= usize::from(is_last);
        if *workers > 0 {
            return;
        }
        let (mut streams, refused) = (std::mem::take(streams), refused.take());
        budget.release(&mut party.account, streams.iter().map(listed_bytes).sum());
        streams.sort_by_key(|stream| (stream.created_at, stream.id));
        if let Some(waiting) = self.front.take_waiting(channel) {
            let result = refused.map_or(Ok(streams), Err);
            self.front.reply(channel, waiting.token, Reply::Streams(result));
        }
        self.front.resume(channel);
    }
}
