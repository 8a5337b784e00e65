//! Leaving a stream: what a channel had parked in it is answered.

use crate::id::{ChannelId, StreamId, Token};
use crate::stream::engine::Engine;
use crate::stream::front::Front;
use crate::stream::home::Stream;
use crate::stream::message::Body;
use crate::stream::parties::WaitingFor;
use crate::stream::readers::{Reader, Readers};
use crate::stream::{Chunks, Effect, Refusal, Reply};

impl Engine {
    /// `Streams.disconnect`: `disposed`, then what was parked is answered, then the reply.
    pub(super) fn disconnect(&mut self, channel: ChannelId, token: &Token, id: StreamId) {
        let Engine { front, streams, views, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return };
        let Some(attachment) = party.remove_attachment(id, &mut front.budget) else {
            return front.done(channel, token.clone(), Err(Refusal::NotConnected(id)));
        };
        let home = attachment.meta.home;
        if attachment.place.is_some() && home != front.me {
            front.send(home, Body::GiveUpPlace { stream: id, channel });
        } else if let Some(stream) = streams.get_mut(&id) {
            stream.places.give_up(channel);
            front.mark(stream);
        }
        let Some(party) = front.parties.get_mut(channel) else { return };
        if attachment.is_finished {
            party.finished.retain(|finished| *finished != id);
            if let Some(stream) = streams.get_mut(&id) {
                // One that has lost its place may have gone on writing.
                front.cancel_writes(stream, channel);
                stream.writers.retain(|writer| *writer != channel);
                front.mark(stream);
            }
            if attachment.remote_pending == 0 {
                return front.done(channel, token.clone(), Ok(()));
            }
            // Writes crossed the end; their answers come first.
            front.wait(channel, token, WaitingFor::Disconnect);
            return front.send(home, Body::Cancel { stream: id, channel });
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
        if attachment.remote_pending > 0 {
            front.wait(channel, token, WaitingFor::Disconnect);
            return front.send(home, Body::Cancel { stream: id, channel });
        }
        front.send(home, Body::Leave { stream: id, channel });
        front.done(channel, token.clone(), Ok(()));
    }

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
    /// Takes a reader away from a channel that may not read the stream any more; its reads are
    /// answered.
    pub(super) fn stop_reading(&mut self, readers: &mut Readers, channel: ChannelId, id: StreamId) {
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
                party.unpark_read(&read.token, &mut self.budget);
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
