//! What the core knows of each channel of its worker: a party, with its principal.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::access::Principal;
use crate::id::{ChannelId, Door, Offset, StreamId, Token};
use crate::stream::home::Owner;
use crate::stream::message::Asker;
use crate::stream::meta::Meta;
use crate::stream::places::Host;
use crate::stream::readers::ReaderKey;
use crate::stream::{AttachOptions, Introduction, PlaceReport, StreamReport};

/// One channel, as the core has it: who it is, what it is connected to, and what it waits for.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) id: ChannelId,
    /// What it may see and do.
    pub(super) principal: Principal,
    /// Its address, for people.
    pub(super) peer: Arc<str>,
    /// What it said of itself.
    pub(super) introduction: Option<Arc<Introduction>>,
    pub(super) door: Door,
    pub(super) attachments: FxHashMap<StreamId, Attachment>,
    /// Attachments whose end has been read, oldest first.
    pub(super) finished: VecDeque<StreamId>,
    pub(super) subscriptions: Vec<Arc<str>>,
    /// Streams, on any worker, that end with the channel.
    pub(super) owned: FxHashSet<StreamId>,
    pub(super) waiting: Option<Waiting>,
    /// No further command is taken, since too much of it is parked.
    pub(super) parks_too_much: bool,
    /// No further command is taken, since a queue to another worker is long: it is in that queue's
    /// list.
    pub(super) is_congested: bool,
    pub(super) reads_paused: bool,
    /// Attachments with a place to read from.
    pub(super) readers: usize,
    pub(super) parked_reads: usize,
    pub(super) parked_writes: usize,
    pub(super) parked_bytes: u64,
    /// Bytes served in turn `served_in`.
    pub(super) served_bytes: usize,
    pub(super) served_in: u64,
    pub(super) finishing: Finishing,
}

/// A channel that has nothing here, between two engines.
#[derive(Debug)]
pub struct Departed(pub(super) Box<Party>);

/// How far the end of a channel has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finishing {
    No,
    /// Asked for while a command waits for another worker; begins when that is answered.
    Asked,
    /// So many other workers have yet to answer what the channel had parked with them.
    Cancelling(usize),
}

/// A channel's connection to one stream.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) meta: Arc<Meta>,
    /// The reader, at home in the stream or in the view; `None` for a channel that only writes.
    pub(super) reader: Option<ReaderKey>,
    /// Writes and ends that another worker has not answered.
    pub(super) remote_pending: u32,
    /// Whether the channel may read the stream at all.
    pub(super) can_read: bool,
    /// The channel has read the end of the disposed stream, or cannot read it; `disposed` was told.
    pub(super) is_finished: bool,
    /// Bytes lost to a reader that was let go, which its next reads are told.
    pub(super) untold: u64,
    /// The place that its reader has.
    pub(super) place: Option<Box<OwnPlace>>,
    /// Another channel has taken the place: there is nothing more to read here.
    pub(super) is_taken_over: bool,
}

/// What a channel knows of its place; the place itself is at the stream's home.
#[derive(Debug)]
pub(super) struct OwnPlace {
    pub(super) name: Arc<str>,
    pub(super) confirmed: Offset,
    /// How far the reader got, once it is gone.
    pub(super) position: Offset,
}

impl Attachment {
    pub(super) fn place_report(&self) -> Option<PlaceReport> {
        let OwnPlace { name, confirmed, .. } = &**self.place.as_ref()?;
        let (name, confirmed) = (name.clone(), *confirmed);
        Some(PlaceReport { name, confirmed, away_until: None })
    }

    /// Whether a subscription has nothing to add: the channel reads the stream, or cannot.
    pub(super) fn is_settled(&self) -> bool {
        !self.is_finished && (self.reader.is_some() || !self.can_read)
    }
}

/// The command for which the channel waits, and what its answer needs.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) token: Token,
    pub(super) what: WaitingFor,
}

#[derive(Debug)]
pub(super) enum WaitingFor {
    Connect,
    Attach(AttachOptions),
    /// The same with a place of this name.
    Place(AttachOptions, Arc<str>),
    /// The first read on a bus attaches; then it is parked.
    Read {
        stream: StreamId,
        size: u64,
    },
    Disconnect,
    Dispose,
    Adopt,
    List {
        workers: usize,
        streams: Vec<StreamReport>,
    },
    Subscribe {
        workers: usize,
        stream_type: Arc<str>,
        found: Vec<Found>,
    },
}

/// A live stream that a subscription covers, to be told of after its reply.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) meta: Arc<Meta>,
    /// The subscription has connected the channel to it, whose peer does not know yet.
    pub(super) is_new: bool,
}

impl Party {
    pub(super) fn new(id: ChannelId, principal: Principal, door: Door, peer: Arc<str>) -> Party {
        Party {
            id,
            principal,
            peer,
            introduction: None,
            door,
            attachments: FxHashMap::default(),
            finished: VecDeque::new(),
            subscriptions: Vec::new(),
            owned: FxHashSet::default(),
            waiting: None,
            parks_too_much: false,
            is_congested: false,
            reads_paused: false,
            readers: 0,
            parked_reads: 0,
            parked_writes: 0,
            parked_bytes: 0,
            served_bytes: 0,
            served_in: 0,
            finishing: Finishing::No,
        }
    }

    /// Whether nothing is here that others could know of: no stream, no subscription, no command
    /// that waits, no end under way.
    pub(super) fn is_blank(&self) -> bool {
        self.attachments.is_empty()
            && self.finished.is_empty()
            && self.subscriptions.is_empty()
            && self.owned.is_empty()
            && !self.must_wait()
            && !self.reads_paused
            && self.pending() == 0
            && self.finishing == Finishing::No
    }

    /// Who it is, for the home of a stream.
    pub(super) fn asker(&self) -> Asker {
        Asker { channel: self.id, principal: self.principal.clone() }
    }

    /// It as the creator of a stream.
    pub(super) fn as_owner(&self) -> Owner {
        let introduction = self.introduction.clone();
        Owner { channel: self.id, peer: self.peer.clone(), introduction }
    }

    /// It as the reader that has a place.
    pub(super) fn as_host(&self) -> Host {
        Host { peer: self.peer.clone(), introduction: self.introduction.clone() }
    }

    /// Whether no further command may be taken.
    pub(super) fn must_wait(&self) -> bool {
        self.waiting.is_some() || self.parks_too_much || self.is_congested
    }

    /// Whether a subscription that has been answered covers the stream.
    pub(super) fn is_subscribed_to(&self, meta: &Meta) -> bool {
        self.subscriptions.iter().any(|wanted| meta.matches(wanted))
    }

    /// Drops a stream from what is told after a pending subscription's reply; whether that
    /// subscription was what connected the channel to it. Such a channel has no reader that could
    /// have read the end: it cannot read the stream.
    pub(super) fn forget_found(&mut self, stream: StreamId) -> bool {
        let Some(waiting) = &mut self.waiting else { return false };
        let WaitingFor::Subscribe { found, .. } = &mut waiting.what else { return false };
        let Some(at) = found.iter().position(|found| found.meta.id == stream) else { return false };
        found.swap_remove(at).is_new
    }

    /// Whether a read may be served in this turn; one that may not is served in the next, when the
    /// outside has had a chance to say that the peer does not keep up.
    pub(super) fn may_be_served(&mut self, turn: u64, bytes_max: usize) -> bool {
        if self.served_in != turn {
            (self.served_in, self.served_bytes) = (turn, 0);
        }
        !self.reads_paused && self.served_bytes < bytes_max
    }

    /// Parked commands.
    pub(super) fn pending(&self) -> usize {
        self.parked_reads + self.parked_writes
    }
}

/// The parties of one worker, by their channels' slots. One that has gone is found no more, also
/// when another has its slot.
#[derive(Debug, Default)]
pub(super) struct Parties {
    slots: Vec<Option<Box<Party>>>,
}

impl Parties {
    pub(super) fn insert(&mut self, party: Party) {
        let slot = party.id.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(Box::new(party));
    }

    pub(super) fn get(&self, id: ChannelId) -> Option<&Party> {
        let party = self.slots.get(id.slot as usize)?.as_deref()?;
        (party.id == id).then_some(party)
    }

    pub(super) fn get_mut(&mut self, id: ChannelId) -> Option<&mut Party> {
        let party = self.slots.get_mut(id.slot as usize)?.as_deref_mut()?;
        (party.id == id).then_some(party)
    }

    pub(super) fn remove(&mut self, id: ChannelId) -> Option<Box<Party>> {
        self.get(id)?;
        self.slots[id.slot as usize].take()
    }
}
