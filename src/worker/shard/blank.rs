//! A channel that has nothing in the core may move: it is taken out of one shard whole and put into
//! another, whatever its peer has said so far. Why one does is not decided here.

use crate::id::ChannelId;
use crate::stream::Departed;
use crate::time::Now;
use crate::worker::shard::Shard;
use crate::worker::shard::peer::Peer;

/// A channel on its way from one shard to another: what its peer has said, half a message too, what
/// it has not been sent, and what it counted. The driver carries the socket, and the input that it
/// has read and not handed in.
#[derive(Debug)]
pub struct Blank {
    peer: Peer,
    party: Departed,
}

impl Shard {
    /// Takes a channel out. `None` where it has something in the core (streams, subscriptions,
    /// commands that wait), is not read for whatever reason, or comes to its end: it stays.
    pub fn take_blank(&mut self, channel: ChannelId) -> Option<Blank> {
        let peer = self.peers.get(channel)?;
        if !peer.endpoint.wants_input() || peer.has_end_deadline {
            return None;
        }
        let party = self.engine.take_blank(channel)?;
        if let Some(deadline) = peer.hello_deadline {
            self.hello_deadlines.remove(&(deadline, channel));
        }
        let mut peer = self.peers.remove(channel)?;
        peer.leave();
        Some(Blank { peer, party })
    }

    /// Takes on a channel that was taken out elsewhere; it goes on where it was, under a new ID. It
    /// is in `poll_ready`: what it has not been sent may go, and what its driver kept comes next.
    pub fn put(&mut self, now: Now, blank: Blank) -> ChannelId {
        self.now = now;
        let Blank { mut peer, party } = blank;
        let peer = self.peers.insert(|id| {
            peer.id = id;
            peer
        });
        let id = peer.id;
        if let Some(deadline) = peer.hello_deadline {
            self.hello_deadlines.insert((deadline, id));
        }
        self.engine.put_blank(id, party);
        self.memory.count(&mut self.engine, peer);
        self.mark_ready(id);
        self.refuse_while_draining(now, id);
        id
    }
}
