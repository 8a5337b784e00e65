//! One connection of a worker, and the table of them.

use bytes::Bytes;
use slab::Slab;

use crate::id::ChannelId;
use crate::time::Instant;
use crate::wire::Output;

/// Names a session: a slot of the table in the lower half, a generation in the upper half, so that
/// readiness which was reported for a slot's last owner does not reach its next. It is the poller's
/// key too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionKey(pub(crate) usize);

const HALF_BITS: u32 = usize::BITS / 2;
const SLOT_MASK: usize = (1 << HALF_BITS) - 1;

impl SessionKey {
    fn new(slot: usize, generation: usize) -> SessionKey {
        debug_assert!(slot < SLOT_MASK, "the table is bounded by the file descriptors");
        SessionKey(slot | generation << HALF_BITS)
    }

    fn slot(self) -> usize {
        self.0 & SLOT_MASK
    }
}

/// What a session is doing.
#[derive(Debug)]
pub(crate) enum Stage {
    /// It carries this channel.
    Open(ChannelId),
    /// The channel is over; its last bytes are on their way.
    Lingering(Linger),
}

/// The end of a connection: the rest of the output goes out, then our FIN; what the peer still
/// sends is discarded until its FIN, since closing a socket with unread input makes the kernel send
/// a reset, which destroys what the peer has not read yet.
#[derive(Debug)]
pub(crate) struct Linger {
    /// What the channel had not sent.
    pub(crate) output: Output,
    /// Whether something of it has left since the deadline was last looked at.
    pub(crate) has_sent: bool,
    /// Whether our FIN is sent, or follows what the transport holds.
    pub(crate) is_finishing: bool,
    /// Bytes thrown away.
    pub(crate) discarded: u64,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Session<T> {
    /// Its own name.
    pub(crate) key: SessionKey,
    /// What carries its bytes.
    pub(crate) transport: T,
    /// What it is doing.
    pub(crate) stage: Stage,
    /// Input that the shard has not taken yet. Holds no memory when empty.
    pub(crate) leftover: Bytes,
    /// Whether the session is in the worker's queue.
    pub(crate) is_queued: bool,
    /// When it came there.
    pub(crate) queued_at: Instant,
}

/// The sessions of one worker.
#[derive(Debug)]
pub(crate) struct Sessions<T> {
    slab: Slab<Session<T>>,
    generation: usize,
    /// By the channel's slot.
    by_channel: Vec<Option<SessionKey>>,
}

impl<T> Default for Sessions<T> {
    fn default() -> Sessions<T> {
        Sessions { slab: Slab::new(), generation: 0, by_channel: Vec::new() }
    }
}

impl<T> Sessions<T> {
    /// The key that the next session will have.
    pub(crate) fn next_key(&self) -> SessionKey {
        SessionKey::new(self.slab.vacant_key(), self.generation)
    }

    /// Takes a connection on that was registered under `next_key`.
    pub(crate) fn insert(&mut self, transport: T, channel: ChannelId) -> SessionKey {
        let key = self.next_key();
        self.generation = self.generation.wrapping_add(1) & SLOT_MASK;
        let slot = channel.slot as usize;
        if self.by_channel.len() <= slot {
            self.by_channel.resize(slot + 1, None);
        }
        self.by_channel[slot] = Some(key);
        self.slab.insert(Session {
            key,
            transport,
            stage: Stage::Open(channel),
            leftover: Bytes::new(),
            is_queued: false,
            queued_at: Instant::default(),
        });
        key
    }

    /// The session, unless it is gone.
    pub(crate) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session<T>> {
        self.slab.get_mut(key.slot()).filter(|session| session.key == key)
    }

    /// The session that carries `channel`.
    pub(crate) fn key_of(&self, channel: ChannelId) -> Option<SessionKey> {
        let key = (*self.by_channel.get(channel.slot as usize)?)?;
        let session = self.slab.get(key.slot()).filter(|session| session.key == key)?;
        matches!(session.stage, Stage::Open(open) if open == channel).then_some(key)
    }

    /// Forgets a session and closes its socket.
    pub(crate) fn remove(&mut self, key: SessionKey) {
        if self.get_mut(key).is_some() {
            self.slab.remove(key.slot());
        }
    }

    /// Sessions, those that linger included.
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::WorkerId;

    #[test]
    fn a_key_of_the_slots_last_owner_finds_nothing() {
        let mut sessions = Sessions::default();
        let channel = |generation| ChannelId { worker: WorkerId(0), slot: 5, generation };
        let expected = sessions.next_key();
        let first = sessions.insert((), channel(0));
        assert_eq!((first, sessions.key_of(channel(0))), (expected, Some(first)));
        sessions.remove(first);
        let second = sessions.insert((), channel(1));
        assert_eq!(first.slot(), second.slot());
        assert!(sessions.get_mut(first).is_none());
        assert!(sessions.get_mut(second).is_some());
        assert_eq!(sessions.key_of(channel(0)), None);
        assert_eq!(sessions.key_of(channel(1)), Some(second));
        sessions.remove(first);
        assert_eq!(sessions.len(), 1);
    }
}
