//! Several writes of one channel to one stream, for one look at who they are.

use crate::access::Right;
use crate::id::{ChannelId, StreamId};
use crate::stream::Payload;
use crate::stream::engine::Engine;
use crate::stream::front::Front;
use crate::stream::home::Stream;

/// Appends writes of one channel to one stream as long as nothing stands in their way. What they
/// need besides is done once, when this is dropped.
#[derive(Debug)]
pub struct Writes<'e> {
    front: &'e mut Front,
    stream: &'e mut Stream,
    /// The most bytes that the stream may have meanwhile.
    ceiling: u64,
    /// Bytes that may come in with nothing let go for them.
    room: u64,
    /// Whether any has come in.
    has_come: bool,
}

impl Engine {
    /// Takes up writes of a channel to a stream. `None` where it may not write now, where others
    /// wait, or where the stream is not at home here.
    #[inline]
    pub fn writes(&mut self, channel: ChannelId, id: StreamId) -> Option<Writes<'_>> {
        let Engine { front, streams, .. } = self;
        let party = front.parties.get(channel)?;
        if !party.attachments.contains_key(&id) {
            return None;
        }
        let stream = streams.get_mut(&id)?;
        if !stream.parked.is_empty() || stream.accepts_write(channel).is_err() {
            return None;
        }
        let is_owner = stream.is_owner(channel);
        if stream.meta.permits(&party.principal, is_owner, Right::Write).is_err() {
            return None;
        }
        let ceiling = stream.ceiling(&front.budget);
        let room = ceiling.saturating_sub(stream.log.len());
        Some(Writes { front, stream, ceiling, room, has_come: false })
    }
}

impl Writes<'_> {
    /// Appends a whole write. False where there is no space for it, and nothing has happened.
    #[inline]
    pub fn append(&mut self, data: &Payload<'_>) -> bool {
        let len = data.len() as u64;
        if len > self.room {
            if self.stream.room_for(len, self.ceiling) != len {
                return false;
            }
            self.stream.make_room(len, self.ceiling);
            self.room = self.ceiling.saturating_sub(self.stream.log.len());
        }
        self.room -= len;
        self.stream.append(data, data.len());
        self.has_come = true;
        true
    }
}

impl Drop for Writes<'_> {
    fn drop(&mut self) {
        if self.has_come {
            self.front.recharge(self.stream);
            self.front.mark(self.stream);
        }
    }
}
