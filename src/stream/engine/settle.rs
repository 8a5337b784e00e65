//! What parked commands get, when there is something for them, and what time alone changes.

use crate::id::StreamId;
use crate::stream::engine::Engine;
use crate::stream::front::Front;
use crate::stream::home::Stream;
use crate::stream::view::View;
use crate::stream::{Chunks, Payload};
use crate::time::Instant;

/// Reads answered in one turn, if they are short: of thousands of readers of one stream, the others
/// come in the next.
const SERVES_PER_TURN: usize = 1_024;

/// Streams looked at in one turn, a few milliseconds: of a hundred thousand whose creators leave at
/// once, the others come in the next.
const SETTLED_PER_TURN: usize = 2_048;

impl Engine {
    /// Serves what is parked and what the calls since the last time made possible: reads that have
    /// data, writes that have space, ends whose turn has come. Called once after a batch of
    /// commands, so that many small writes leave in one reply. What is more than one turn should do
    /// is left for the next call, for which `next_deadline` asks at once.
    pub fn settle(&mut self, now: Instant) {
        self.front.turn += 1;
        self.front.settled_at = now;
        self.front.serves_left = SERVES_PER_TURN;
        self.front.budget.begin_turn();
        self.thin_out_ownerless(now);
        self.walk_on(now);
        for channel in std::mem::take(&mut self.front.finish_now) {
            self.finish_now(now, channel);
        }
        // What is left for the next turn is marked again meanwhile, so only today's count is taken.
        let mut later = Vec::new();
        for _ in 0..SETTLED_PER_TURN {
            let Some(id) = self.next_to_settle() else { break };
            let has_more = if self.streams.contains_key(&id) {
                self.settle_stream(now, id)
            } else {
                self.settle_view(now, id)
            };
            if has_more {
                later.push(id);
            }
        }
        for id in later {
            if let Some(stream) = self.streams.get_mut(&id) {
                self.front.mark(stream);
            } else if let Some(view) = self.views.get_mut(&id) {
                self.front.mark_view(view);
            }
        }
    }

    /// What has changed, and then what waits for memory, as long as there is some.
    fn next_to_settle(&mut self) -> Option<StreamId> {
        if let Some(id) = self.front.dirty.pop_front() {
            return Some(id);
        }
        if !self.can_feed() {
            return None;
        }
        let id = self.front.budget.pop_starved()?;
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.starved_for = None;
        }
        Some(id)
    }

    /// Whether memory has come for the stream that has waited for some longest.
    pub(super) fn can_feed(&self) -> bool {
        let first = self.front.budget.first_starved();
        first.is_some_and(|id| {
            self.streams.get(&id).is_none_or(|stream| stream.can_be_fed(&self.front.budget))
        })
    }

    /// Settles one stream; returns whether something is left for the next turn.
    fn settle_stream(&mut self, now: Instant, id: StreamId) -> bool {
        let Engine { front, streams, .. } = self;
        let Some(stream) = streams.get_mut(&id) else { return false };
        stream.is_dirty = false;
        let mut has_more = false;
        loop {
            let served = front.serve_stream(now, stream);
            has_more |= served;
            if !front.unpark(now, stream) {
                break;
            }
        }
        if stream.ending.is_some() && stream.parked.is_empty() {
            // Marks the stream, so that this same call comes back to it.
            self.end_if_due(now, id);
            return false;
        }
        self.pump(id);
        let Engine { front, streams, traffic, .. } = self;
        let Some(stream) = streams.get_mut(&id) else { return false };
        // A lagging reader is behind by bytes that are gone; how long is told of them too.
        let needed = stream.floor().min(stream.log.start());
        stream.marks.note(now, needed, stream.log.end());
        stream.retire();
        let delivery = &mut stream.readers.delivery;
        traffic.count(stream.type_slot, &mut stream.accepted_bytes, delivery);
        front.recharge(stream);
        front.list_for_views(stream);
        if stream.timer.is_none() || stream.is_timer_stale {
            stream.is_timer_stale = false;
            let at = stream.next_timer(now);
            front.arm(id, &mut stream.timer, at);
        }
        if stream.is_forgettable(now) {
            self.forget(id);
        }
        has_more
    }

    pub(super) fn forget(&mut self, id: StreamId) {
        let Some(mut stream) = self.streams.remove(&id) else { return };
        self.front.arm(id, &mut stream.timer, None);
        self.front.budget.recharge(&mut stream.charged, 0);
        self.front.unbill(&mut stream);
        self.pairs.forget(id);
        let delivery = &mut stream.readers.delivery;
        self.traffic.count(stream.type_slot, &mut stream.accepted_bytes, delivery);
    }

    /// Settles one view; returns whether something is left for the next turn.
    fn settle_view(&mut self, now: Instant, id: StreamId) -> bool {
        let Engine { front, views, traffic, .. } = self;
        let Some(view) = views.get_mut(&id) else { return false };
        view.is_dirty = false;
        let served = front.serve_view(now, view);
        traffic.count(view.type_slot, &mut 0, &mut view.readers.delivery);
        view.retire();
        front.list_for_home(view);
        view.learn_times(now);
        if view.timer.is_none() || view.is_timer_stale {
            view.is_timer_stale = false;
            let at = view.next_timer(now);
            front.arm(id, &mut view.timer, at);
        }
        served
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.front.timers.first()
            && at <= now
        {
            self.front.timers.pop_first();
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.timer = None;
                self.expire_stream(now, id);
            } else if let Some(view) = self.views.get_mut(&id) {
                view.timer = None;
                let View { meta, log, readers, full_since, let_go_from, .. } = &mut **view;
                self.front.expire(now, meta, readers, log, *full_since, *let_go_from);
                self.front.mark_view(view);
            }
        }
    }

    fn expire_stream(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        self.front.mark(stream);
        let Stream { meta, log, readers, places, full_since, let_go_from, .. } = stream;
        self.front.expire(now, meta, readers, log, *full_since, *let_go_from);
        if let Some(since) = *full_since {
            let stalls = places.expire_stalls(now, since, log.end());
            self.front.note_stalls(meta, stalls);
        }
        places.expire(now, *let_go_from);
        if stream.keep_until.is_some_and(|until| until <= now) {
            self.end_orphan(now, id, false);
        }
    }
}

impl Front {
    /// Answers reads of readers here. Returns whether some are left for the next turn.
    fn serve_stream(&mut self, now: Instant, stream: &mut Stream) -> bool {
        let Stream { meta, log, readers, .. } = stream;
        if std::mem::take(&mut stream.has_news) {
            readers.make_all_ready();
        }
        let served = self.serve(now, meta, readers, log, stream.is_ended, stream.is_disposed);
        if stream.is_disposed {
            for reader in readers.detach_finished() {
                self.finish_reader(&reader, meta.id);
            }
        }
        served
    }

    fn serve_view(&mut self, now: Instant, view: &mut View) -> bool {
        let View { meta, log, readers, told, .. } = view;
        if std::mem::take(&mut view.has_news) {
            readers.make_all_ready();
        }
        let served = self.serve(now, meta, readers, log, told.is_ended, told.is_disposed);
        if told.is_disposed {
            for reader in readers.detach_finished() {
                self.finish_reader(&reader, meta.id);
            }
        }
        served
    }

    /// Lets parked writes in as far as there is room. Returns whether a byte or a write went in.
    fn unpark(&mut self, now: Instant, stream: &mut Stream) -> bool {
        let mut went_in = false;
        while let Some((size, rest)) = stream.parked.first() {
            let (count, ceiling) = stream.admit(size, rest, &self.budget);
            if count == 0 && rest > 0 {
                self.note_starved(stream, size);
                break;
            }
            let Some((piece, done)) = stream.parked.take(count) else { break };
            let len = piece.len();
            self.append(stream, &Payload::Owned(piece), len, ceiling);
            went_in = true;
            if let Some((channel, write)) = done {
                let waited = now.since(write.since).as_nanos();
                self.park_time.record(u64::try_from(waited).unwrap_or(u64::MAX));
                self.answer_write(stream.meta.id, channel, write.token, write.size, Ok(()));
            }
        }
        if stream.parked.is_empty() {
            stream.full_since = None;
        }
        went_in
    }

    /// Lists a stream whose own buffer has space for a write of this size, so that it is looked at
    /// when there is memory.
    fn note_starved(&mut self, stream: &mut Stream, size: u64) {
        let Some(want) = stream.want(size) else { return };
        if stream.starved_for.replace(want).is_none() {
            self.budget.starve(stream.meta.id);
        }
    }

    /// Lists the stream for each worker whose view lacks something that it may have now.
    fn list_for_views(&mut self, stream: &mut Stream) {
        let (id, end) = (stream.meta.id, stream.log.end());
        let buffer = stream.meta.buffer_bytes;
        for index in 0..stream.views.len() {
            let view = &stream.views[index];
            let has_bytes = view.sent < end && view.sent < view.may_send_until(buffer);
            let has_told = view.told == stream.told_at(view.sent);
            let view = &mut stream.views[index];
            if !view.is_listed && (has_bytes || !has_told) {
                view.is_listed = true;
                self.outgoing[view.worker.index()].streams.push_back(id);
            }
        }
    }

    /// Lists the view for its home if there is something to tell.
    fn list_for_home(&mut self, view: &mut View) {
        let report = view.report();
        if !view.is_listed && view.reported != Some(report) {
            view.is_listed = true;
            self.outgoing[view.meta.home.index()].views.push_back(view.meta.id);
        }
    }
}

impl Stream {
    /// What the view of one worker lacks and may have now.
    pub(super) fn data_for(
        &mut self,
        index: usize,
    ) -> (crate::id::Offset, Chunks, crate::stream::home::Told) {
        let until = self.views[index].may_send_until(self.meta.buffer_bytes).min(self.log.end());
        let view = &mut self.views[index];
        let at = view.sent.max(self.log.start());
        let chunks = match until > at {
            true => self.log.hand_out(at, until.since(at)),
            false => Chunks::EMPTY,
        };
        view.sent = at.max(until);
        view.is_listed = false;
        let told = self.told_at(at.max(until));
        self.views[index].told = told;
        (at, chunks, told)
    }
}
