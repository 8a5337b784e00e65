//! What the core knows of each channel of its worker: a party, with its principal.

use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::access::Principal;
use crate::id::{ChannelId, Door, Offset, StreamId, Token};
use crate::stream::account::{
    ATTACHMENT_BYTES, Account, FOUND_BYTES, READ_BYTES, listed_bytes, subscription_bytes,
};
use crate::stream::budget::{Budget, Overparked};
use crate::stream::home::Owner;
use crate::stream::message::Asker;
use crate::stream::meta::Meta;
use crate::stream::places::Host;
use crate::stream::readers::ReaderKey;
use crate::stream::{AttachOptions, Introduction, PlaceReport, Refusal, StreamReport};
use crate::time::Instant;

/// Parked reads that each party has for nothing, so that an ordinary reader is never refused one.
const READS_FREE: usize = 16;
/// Parked reads beyond are paid for so many at once: most come without a look at the account.
const READS_STEP: usize = 16;

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
    /// What the parked writes are charged with.
    pub(super) parked_cost: u64,
    /// Of that, what was parked without room for it.
    pub(super) overparked: Overparked,
    /// Parked reads that are paid for: the first few of each party, and what it is charged with.
    pub(super) reads_paid: usize,
    /// What the driver holds for it: bytes that wait to be sent to it alone, and those of a message
    /// under way.
    pub(super) outside: Outside,
    pub(super) account: Account,
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
    /// What it is charged with. The names of a stream that is gone live on with it.
    fn cost(&self) -> u64 {
        ATTACHMENT_BYTES + if self.is_finished { self.meta.name_bytes() } else { 0 }
    }

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
        /// That have yet to say all, this one too.
        workers: usize,
        streams: Vec<StreamReport>,
        /// Why there will be no list: what is still to come is dropped.
        refused: Option<Refusal>,
    },
    Subscribe {
        /// That have yet to say all, this one too; none: the subscription is answered, and what was
        /// found is being told.
        workers: usize,
        stream_type: Arc<str>,
        /// Streams to tell of, oldest first.
        found: BTreeMap<(Instant, StreamId), Found>,
        /// Why there will be no subscription: what is still to come is dropped.
        refused: Option<Refusal>,
    },
}

/// What the driver holds for one party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outside {
    pub(super) unsent: u64,
    pub(super) receiving: u64,
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
            parked_cost: 0,
            overparked: Overparked::default(),
            reads_paid: READS_FREE,
            outside: Outside::default(),
            account: Account::default(),
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
    /// subscription was what connected the channel to it. Such a channel has read nothing of it.
    pub(super) fn forget_found(&mut self, meta: &Meta, budget: &mut Budget) -> bool {
        let Some(waiting) = &mut self.waiting else { return false };
        let WaitingFor::Subscribe { found, .. } = &mut waiting.what else { return false };
        let Some(found) = found.remove(&(meta.created_at, meta.id)) else { return false };
        budget.release(&mut self.account, FOUND_BYTES);
        found.is_new
    }

    /// Notes a stream to be told of after a pending subscription's reply. False where the account
    /// has no room for it.
    pub(super) fn note_found(&mut self, found: Found, budget: &mut Budget) -> bool {
        let Some(waiting) = &mut self.waiting else { return true };
        let WaitingFor::Subscribe { found: known, refused, .. } = &mut waiting.what else {
            return true;
        };
        if let Err(error) = budget.admit(&self.account, FOUND_BYTES) {
            refused.get_or_insert(error);
            return false;
        }
        if let Entry::Vacant(entry) = known.entry((found.meta.created_at, found.meta.id)) {
            budget.charge(&mut self.account, FOUND_BYTES);
            entry.insert(found);
        }
        true
    }

    /// Whether a subscription that has not been answered takes in what is found.
    pub(super) fn wants_found(&self) -> bool {
        let what = self.waiting.as_ref().map(|waiting| &waiting.what);
        matches!(what, Some(WaitingFor::Subscribe { refused: None, .. }))
    }

    /// The type of the subscription that is answered and whose streams are being told.
    pub(super) fn telling_of(&self) -> Option<Arc<str>> {
        match &self.waiting.as_ref()?.what {
            WaitingFor::Subscribe { workers: 0, stream_type, .. } => Some(stream_type.clone()),
            _ => None,
        }
    }

    /// Takes the next stream to be told of.
    pub(super) fn next_found(&mut self, budget: &mut Budget) -> Option<Found> {
        let WaitingFor::Subscribe { found, .. } = &mut self.waiting.as_mut()?.what else {
            return None;
        };
        let (_, found) = found.pop_first()?;
        budget.release(&mut self.account, FOUND_BYTES);
        Some(found)
    }

    /// Makes room for `more` in the account: what is there only for a late `disconnect` gives way.
    pub(super) fn make_room(&mut self, more: u64, budget: &mut Budget) -> Result<(), Refusal> {
        while let Err(error) = budget.admit(&self.account, more) {
            let Some(oldest) = self.finished.pop_front() else { return Err(error) };
            self.remove_attachment(oldest, budget);
        }
        Ok(())
    }

    /// Removes an attachment and what it is charged with.
    pub(super) fn remove_attachment(
        &mut self,
        stream: StreamId,
        budget: &mut Budget,
    ) -> Option<Attachment> {
        let attachment = self.attachments.remove(&stream)?;
        budget.release(&mut self.account, attachment.cost());
        Some(attachment)
    }

    /// Takes back what a pending subscription has connected; gives the reader, if there was one. A
    /// channel that has a place there had finished with the stream before: it keeps the place.
    pub(super) fn take_back(&mut self, meta: &Meta, budget: &mut Budget) -> Option<ReaderKey> {
        let attachment = self.attachments.get_mut(&meta.id)?;
        let reader = attachment.reader.take();
        self.readers -= usize::from(reader.is_some());
        if attachment.place.is_none() {
            self.remove_attachment(meta.id, budget);
        } else if !std::mem::replace(&mut attachment.is_finished, true) {
            budget.charge(&mut self.account, meta.name_bytes());
        }
        reader
    }

    /// Whether the account has room for one more parked read; charged where that is so.
    pub(super) fn park_read(&mut self, token: &Token, budget: &mut Budget) -> bool {
        if self.parked_reads >= self.reads_paid || token.heap_bytes() > 0 {
            let step = if self.parked_reads < self.reads_paid { 0 } else { READS_STEP };
            let cost = step as u64 * READ_BYTES + token.heap_bytes();
            if !budget.has_room(&self.account, cost) {
                return false;
            }
            budget.charge(&mut self.account, cost);
            self.reads_paid += step;
        }
        self.parked_reads += 1;
        true
    }

    /// A parked read is answered.
    pub(super) fn unpark_read(&mut self, token: &Token, budget: &mut Budget) {
        self.parked_reads -= 1;
        if self.reads_paid > self.parked_reads + 2 * READS_STEP {
            self.reads_paid -= READS_STEP;
            budget.release(&mut self.account, READS_STEP as u64 * READ_BYTES);
        }
        if token.heap_bytes() > 0 {
            budget.release(&mut self.account, token.heap_bytes());
        }
    }

    /// Charges a parked write, whether there is room for it or not. `is_short`: its message did not
    /// wait for room.
    pub(super) fn park_write(&mut self, cost: u64, is_short: bool, budget: &mut Budget) {
        if !budget.has_room(&self.account, cost) {
            let mut overparked = self.overparked;
            let sum = if is_short { &mut overparked.short } else { &mut overparked.long };
            *sum += cost;
            self.set_overparked(overparked, budget);
        }
        self.parked_cost += cost;
        budget.charge(&mut self.account, cost);
    }

    /// A parked write is answered. Those without room were parked last.
    pub(super) fn unpark_write(&mut self, cost: u64, budget: &mut Budget) {
        self.parked_cost -= cost;
        budget.release(&mut self.account, cost);
        self.set_overparked(self.overparked.at_most(self.parked_cost), budget);
    }

    fn set_overparked(&mut self, overparked: Overparked, budget: &mut Budget) {
        budget.replace_overparked(self.overparked, overparked);
        self.overparked = overparked;
    }

    /// Releases everything that the party was charged with: it goes.
    pub(super) fn release_all(&mut self, budget: &mut Budget) {
        let held = self.account.held;
        budget.release(&mut self.account, held);
        budget.replace_receiving(self.outside.receiving, 0);
        self.set_overparked(Overparked::default(), budget);
        self.outside = Outside::default();
        self.reads_paid = READS_FREE;
    }

    /// What the account should have, from its parts. `elsewhere`: what is known in the streams.
    pub(super) fn expected(&self, elsewhere: u64) -> u64 {
        let attachments: u64 = self.attachments.values().map(Attachment::cost).sum();
        let names = self.subscriptions.iter().map(|name| subscription_bytes(name)).sum::<u64>();
        let reads = (self.reads_paid - READS_FREE) as u64 * READ_BYTES;
        let waiting = match self.waiting.as_ref().map(|waiting| &waiting.what) {
            Some(WaitingFor::List { streams, .. }) => streams.iter().map(listed_bytes).sum(),
            Some(WaitingFor::Subscribe { stream_type, found, .. }) => {
                subscription_bytes(stream_type) + found.len() as u64 * FOUND_BYTES
            }
            _ => 0,
        };
        let outside = self.outside.unsent + self.outside.receiving;
        attachments + names + reads + waiting + outside + self.parked_cost + elsewhere
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

    pub(super) fn iter(&self) -> impl Iterator<Item = &Party> {
        self.slots.iter().filter_map(Option::as_deref)
    }

    pub(super) fn remove(&mut self, id: ChannelId) -> Option<Box<Party>> {
        self.get(id)?;
        self.slots[id.slot as usize].take()
    }
}
