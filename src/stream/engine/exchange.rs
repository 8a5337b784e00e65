//! Messages of other engines, in and out.

use crate::id::{ChannelId, StreamId, WorkerId};
use crate::stream::engine::Engine;
use crate::stream::engine::attach::{Manner, Site};
use crate::stream::engine::walk::Quest;
use crate::stream::message::{Body, Grant};
use crate::stream::parties::{Finishing, Waiting, WaitingFor};
use crate::stream::view::ViewReport;
use crate::stream::{AttachOptions, Message, Refusal, Reply};
use crate::time::Instant;

impl Engine {
    /// Takes in what another engine said.
    pub fn handle_message(&mut self, now: Instant, from: WorkerId, message: Message) {
        match message.0 {
            Body::Attach { stream, asker, options, is_reader } => {
                let channel = asker.channel;
                let result = self.grant(now, &asker, stream, options.from, is_reader);
                self.front.send(from, Body::Attached { channel, result });
            }
            Body::Write { stream, channel, token, data } => {
                self.write_from_afar(now, channel, token, stream, data);
            }
            Body::Eos { stream, channel, token } => self.eos_here(now, channel, token, stream),
            Body::TakePlace { stream, asker, host, options, placing } => {
                let channel = asker.channel;
                let result = self.grant_place(now, &asker, host, stream, options, &placing);
                self.front.send(from, Body::Attached { channel, result });
            }
            Body::Confirm { stream, channel, offset } => {
                self.move_place(now, channel, stream, offset);
            }
            Body::GiveUpPlace { stream, channel } => self.give_up_place(channel, stream),
            Body::Cancel { stream, channel } => self.cancel_from_afar(from, stream, channel),
            Body::Writes { stream, channel } => self.note_writer(from, stream, channel),
            Body::Leave { stream, channel } => {
                if let Some(stream) = self.streams.get_mut(&stream) {
                    stream.writers.retain(|writer| *writer != channel);
                }
            }
            Body::ChannelClosed { stream, channel } => self.lose_channel(now, stream, channel),
            Body::Dispose { stream, asker, only_test_streams } => {
                let channel = asker.channel;
                let result = self.dispose_for(now, &asker, stream, only_test_streams);
                self.front.send(from, Body::DisposeDone { channel, result });
            }
            Body::Adopt { stream, asker, owner, key } => {
                let channel = asker.channel;
                let result = self.adopt_from_afar(now, &asker, owner, stream, &key);
                self.front.send(from, Body::Adopted { channel, result });
            }
            Body::Report { stream, report } => self.take_report(from, stream, report),
            Body::List { asker, stream_type } => {
                self.begin_walk(now, asker, stream_type, Quest::List);
            }
            Body::Subscribe { asker, stream_type } => {
                self.note_interest(now, from, asker, stream_type);
            }
            Body::LoseInterest { stream_type } => self.lose_interest(from, &stream_type),
            body => self.handle_answer(now, body),
        }
    }

    /// What comes from a stream's home, or to a channel's worker.
    fn handle_answer(&mut self, now: Instant, body: Body) {
        match body {
            Body::Attached { channel, result } => self.take_attached(now, channel, result),
            Body::Replied { channel, stream, token, size, result } => {
                if let Some(party) = self.front.parties.get_mut(channel) {
                    if let Some(attachment) = party.attachments.get_mut(&stream) {
                        attachment.remote_pending -= 1;
                    }
                    self.front.answer_write(stream, channel, token, size, result);
                }
            }
            Body::Cancelled { channel } => self.take_cancelled(channel),
            Body::DisposeDone { channel, result } => {
                if let Some(waiting) = self.front.take_waiting(channel) {
                    self.front.done(channel, waiting.token, result);
                }
                self.front.resume(channel);
            }
            Body::WriterDisposed { channel, stream } => {
                // One that reads after all, which its home need not know, is told with its last
                // byte.
                let party = self.front.parties.get(channel);
                let attachment = party.and_then(|party| party.attachments.get(&stream));
                if attachment.is_some_and(|attachment| attachment.reader.is_none()) {
                    self.front.finish_attachment(channel, stream);
                }
            }
            Body::PlaceTaken { channel, stream } => self.lose_place(channel, stream),
            Body::TakenOver { channel, stream } => self.lose_ownership(channel, stream),
            Body::Adopted { channel, result } => {
                if let Ok((_, grant)) = &result {
                    self.take_grant(grant);
                    self.give_back(channel, grant);
                    self.own(channel, grant.meta.id);
                    let options = AttachOptions::default();
                    let _ = self.attach_to(now, channel, Site::View(grant), options, Manner::Own);
                }
                if let Some(waiting) = self.front.take_waiting(channel) {
                    let reply = Reply::Adopted(result.map(|(position, _)| position));
                    self.front.reply(channel, waiting.token, reply);
                }
                self.front.resume(channel);
            }
            Body::Created { grant } => self.take_created(now, grant),
            Body::Data { stream, start, at, chunks, told } => {
                let Some(view) = self.views.get_mut(&stream) else { return };
                view.home_start = start;
                view.log.extend(at, chunks);
                view.has_news = true;
                view.is_timer_stale |= view.told != told;
                view.told = told;
                self.front.mark_view(view);
            }
            Body::Listed { channel, streams, is_last } => {
                self.take_listed(channel, streams, is_last);
            }
            Body::Subscribed { channel, grants, is_last } => {
                self.take_subscribed(now, channel, grants, is_last);
            }
            _ => debug_assert!(false, "a request is no answer"),
        }
    }

    /// Tells a stream's home that the channel for which it gave leave has gone meanwhile, and did
    /// not know of the stream when it said so: it may be what the stream waits for as its creator,
    /// or as a writer.
    pub(super) fn give_back(&mut self, channel: ChannelId, grant: &Grant) {
        if self.front.parties.get(channel).is_none() {
            let stream = grant.meta.id;
            self.front.send(grant.meta.home, Body::ChannelClosed { stream, channel });
        }
    }

    /// The home's answer to an attachment.
    fn take_attached(&mut self, now: Instant, channel: ChannelId, result: Result<Grant, Refusal>) {
        if let Ok(grant) = &result {
            self.take_grant(grant);
            self.give_back(channel, grant);
        }
        let Some(Waiting { token, what }) = self.front.take_waiting(channel) else { return };
        if let WaitingFor::Place(options, name) = what {
            self.take_placed(now, channel, token, options, name, result);
            return self.front.resume(channel);
        }
        let (options, manner) = match &what {
            WaitingFor::Attach(options) => (*options, Manner::Move),
            _ => (AttachOptions::default(), Manner::Join),
        };
        let result = result.and_then(|grant| {
            let attached = self.attach_to(now, channel, Site::View(&grant), options, manner);
            if attached.is_err() {
                self.give_up_grant(channel, &grant);
            }
            attached.map(|_| grant)
        });
        match what {
            WaitingFor::Attach(_) => {
                let place = result.map(|grant| (grant.position, grant.lost));
                self.front.reply(channel, token, Reply::Attached(place));
            }
            WaitingFor::Read { stream, size } => match result {
                Ok(_) => self.read(now, channel, &token, stream, size),
                Err(error) => self.refuse_read(channel, &token, error),
            },
            _ => self.front.done(channel, token, result.map(|_| ())),
        }
        self.front.resume(channel);
    }

    /// A channel of another worker disconnects, or ends: answer what it has parked, then say so.
    fn cancel_from_afar(&mut self, from: WorkerId, id: StreamId, channel: ChannelId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            self.front.cancel_writes(stream, channel);
            stream.writers.retain(|writer| *writer != channel);
            self.front.mark(stream);
        }
        self.front.send(from, Body::Cancelled { channel });
    }

    /// A channel of another worker was connected by a subscription and writes.
    fn note_writer(&mut self, from: WorkerId, id: StreamId, channel: ChannelId) {
        match self.streams.get_mut(&id) {
            Some(stream) if !stream.is_disposed => {
                stream.add_writer(channel);
            }
            _ => self.front.send(from, Body::WriterDisposed { channel, stream: id }),
        }
    }

    /// Another worker has answered everything that the channel had parked there.
    fn take_cancelled(&mut self, channel: ChannelId) {
        let Some(party) = self.front.parties.get_mut(channel) else { return };
        if let Finishing::Cancelling(workers) = party.finishing {
            return self.front.await_cancelled(channel, workers.saturating_sub(1));
        }
        if let Some(waiting) = self.front.take_waiting(channel) {
            self.front.done(channel, waiting.token, Ok(()));
        }
        self.front.resume(channel);
    }

    /// A view tells where its readers are.
    fn take_report(&mut self, from: WorkerId, id: StreamId, report: ViewReport) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(index) = stream.views.iter().position(|view| view.worker == from) else { return };
        let view = &mut stream.views[index];
        view.unseen.retain(|(attach, _)| *attach > report.attaches_seen);
        view.received = report.received;
        view.holding = report.holding;
        view.floor = report.floor;
        view.readers = report.readers;
        let is_gone = report.readers == 0 && view.unseen.is_empty();
        if report.readers > 0 {
            stream.meet_reader();
        }
        if is_gone {
            stream.views.swap_remove(index);
        }
        self.front.mark(stream);
    }

    /// The next thing to say to another worker: questions and answers first, in order; then bytes;
    /// then reports.
    pub(super) fn next_body(&mut self, to: WorkerId) -> Option<Body> {
        let outgoing = &mut self.front.outgoing[to.index()];
        if let Some(body) = outgoing.queue.pop_front() {
            if !outgoing.paused.is_empty()
                && outgoing.queue.len() <= self.front.limits.outgoing_messages_pause / 2
            {
                self.unpause(to);
            }
            return Some(body);
        }
        while let Some(id) = self.front.outgoing[to.index()].streams.pop_front() {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            let Some(index) = stream.views.iter().position(|view| view.worker == to) else {
                continue;
            };
            let (at, chunks, told) = stream.data_for(index);
            let start = stream.log.start();
            return Some(Body::Data { stream: id, start, at, chunks, told });
        }
        while let Some(id) = self.front.outgoing[to.index()].views.pop_front() {
            let Some(view) = self.views.get_mut(&id) else { continue };
            view.is_listed = false;
            let report = view.report();
            view.reported = Some(report);
            if report.readers == 0 {
                self.forget_view(id);
            }
            return Some(Body::Report { stream: id, report });
        }
        None
    }

    /// Nobody here reads the stream any more.
    fn forget_view(&mut self, id: StreamId) {
        let Some(mut view) = self.views.remove(&id) else { return };
        self.front.arm(id, &mut view.timer, None);
        self.traffic.count(view.type_slot, &mut 0, &mut view.readers.delivery);
    }

    /// The queue to a worker is short again.
    fn unpause(&mut self, to: WorkerId) {
        for channel in std::mem::take(&mut self.front.outgoing[to.index()].paused) {
            if let Some(party) = self.front.parties.get_mut(channel) {
                party.is_congested = false;
            }
            self.front.resume(channel);
        }
    }
}
