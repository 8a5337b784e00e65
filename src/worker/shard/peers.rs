//! The table of a shard's peers.

use slab::Slab;

use crate::id::{ChannelId, WorkerId};
use crate::worker::shard::peer::Peer;

/// Peers by their channel's slot. A slot is used again, with another generation: the ID of a
/// channel that is gone finds nothing.
#[derive(Debug)]
pub struct Peers {
    worker: WorkerId,
    slots: Slab<Peer>,
    /// By slot, how many channels had it before.
    generations: Vec<u32>,
}

impl Peers {
    /// An empty table.
    pub fn new(worker: WorkerId) -> Peers {
        Peers { worker, slots: Slab::new(), generations: Vec::new() }
    }

    /// Puts in what `open` makes of the new channel's ID.
    pub fn insert(&mut self, open: impl FnOnce(ChannelId) -> Peer) -> &mut Peer {
        let entry = self.slots.vacant_entry();
        let slot = entry.key();
        if slot == self.generations.len() {
            self.generations.push(0);
        }
        let id = ChannelId {
            worker: self.worker,
            slot: u32::try_from(slot).expect("file descriptors run out before slots do"),
            generation: self.generations[slot],
        };
        entry.insert(open(id))
    }

    /// The channel's peer, if it is still there.
    pub fn get(&self, id: ChannelId) -> Option<&Peer> {
        self.slots.get(id.slot as usize).filter(|peer| peer.id == id)
    }

    /// The channel's peer, if it is still there.
    pub fn get_mut(&mut self, id: ChannelId) -> Option<&mut Peer> {
        self.slots.get_mut(id.slot as usize).filter(|peer| peer.id == id)
    }

    /// Takes the channel out, if it is still there.
    pub fn remove(&mut self, id: ChannelId) -> Option<Peer> {
        self.get(id)?;
        let generation = &mut self.generations[id.slot as usize];
        *generation = generation.wrapping_add(1);
        self.slots.try_remove(id.slot as usize)
    }

    /// Those from a slot on, with their slots.
    pub fn from(&self, slot: usize) -> impl Iterator<Item = (usize, &Peer)> {
        let slots = slot..self.slots.capacity();
        slots.filter_map(|slot| Some((slot, self.slots.get(slot)?)))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.slots.iter().map(|(_, peer)| peer)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }
}
