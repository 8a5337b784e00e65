//! What exists for whom, and whom news reach: the two answers that commands and events go by.

use std::collections::BTreeSet;

use crate::access::{Principal, Right};
use crate::id::{ChannelId, StreamId};
use crate::stream::Refusal;
use crate::stream::engine::Engine;
use crate::stream::home::Stream;
use crate::stream::message::Asker;
use crate::stream::meta::{ANY_TYPE, Meta};
use crate::stream::streams::Streams;

impl Streams {
    /// The one answer to "does this stream exist for you, and may you do that". A stream's creator
    /// may do everything with it.
    pub(super) fn find(
        &mut self,
        asker: &Asker,
        id: StreamId,
        right: Right,
    ) -> Result<&mut Stream, Refusal> {
        let Some(stream) = self.get_mut(&id) else { return Err(Refusal::no_stream(id)) };
        let is_owner = stream.is_owner(asker.channel);
        stream.meta.permits(&asker.principal, is_owner, right)?;
        Ok(stream)
    }

    /// The same for a channel that wants to attach: one that cannot read is there to write.
    pub(super) fn find_to_attach(
        &mut self,
        asker: &Asker,
        id: StreamId,
    ) -> Result<&mut Stream, Refusal> {
        let is_owner = self.get(&id).is_some_and(|stream| stream.is_owner(asker.channel));
        let can_read = self.get(&id).is_none_or(|stream| stream.meta.may_read(is_owner));
        self.find(asker, id, if can_read { Right::Read } else { Right::Write })
    }
}

impl Stream {
    /// Whether who asks may know of the stream.
    pub(super) fn is_seen_by(&self, asker: &Asker) -> bool {
        self.meta.permits(&asker.principal, self.is_owner(asker.channel), Right::See).is_ok()
    }
}

impl Meta {
    /// The same for a stream that is there, wherever its home is.
    #[inline]
    pub(super) fn permits(
        &self,
        principal: &Principal,
        is_owner: bool,
        right: Right,
    ) -> Result<(), Refusal> {
        if is_owner || principal.has(right) {
            return Ok(());
        }
        // What may not be seen is not told apart from what is not there.
        match principal.has(Right::See) {
            true => Err(Refusal::Denied(right)),
            false => Err(Refusal::no_stream(self.id)),
        }
    }
}

impl Engine {
    /// The one answer to "whom does news of this stream reach": channels here whose subscriptions,
    /// answered or not, cover it, and which may see it.
    pub(super) fn reached_by(&self, meta: &Meta) -> Vec<ChannelId> {
        let exact = self.subscribers.get(&*meta.stream_type).into_iter().flatten();
        let any = self.subscribers.get(ANY_TYPE).into_iter().flatten();
        let may_see = |channel: &ChannelId| {
            let party = self.front.parties.get(*channel);
            party.is_some_and(|party| party.principal.has(Right::See))
        };
        let channels: BTreeSet<ChannelId> = exact.chain(any).copied().filter(may_see).collect();
        channels.into_iter().collect()
    }
}
