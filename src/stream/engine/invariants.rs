//! What always holds in an engine between two calls, in one place.

use rustc_hash::FxHashMap;

use crate::id::{ChannelId, Offset, StreamId};
use crate::stream::budget::Parts;
use crate::stream::engine::Engine;
use crate::stream::home::{Payer, Stream};
use crate::stream::parties::Party;
use crate::stream::readers::Reader;
use crate::stream::view::View;
use crate::time::Instant;

impl Engine {
    /// Checks everything that must hold between two calls, for tests: that the accounts are sums of
    /// their parts and the budget is the sum of all, and that each stream keeps its promises. It
    /// looks at everything there is.
    ///
    /// # Panics
    /// Something does not hold; the text says what.
    pub fn check_invariants(&self) {
        let mut elsewhere: FxHashMap<ChannelId, Elsewhere> = FxHashMap::default();
        let mut parts = Parts::default();
        let mut timers = 0;
        for stream in self.streams.values() {
            check_stream(stream);
            self.check_owner(stream);
            timers += self.check_timer(stream.meta.id, stream.timer);
            parts.streams += stream.charged;
            parts.kept += stream.log.kept_bytes();
            match stream.payer {
                Payer::Unbilled => panic!("{}: nobody is charged", stream.meta.id),
                Payer::Nobody => parts.ownerless += stream.overhead,
                Payer::Channel(payer) => {
                    elsewhere.entry(payer).or_default().bytes += stream.overhead
                }
            }
            let is_ownerless = self.front.ownerless.contains(&stream.meta.id);
            assert_eq!(is_ownerless, stream.owner.is_none(), "{}", stream.meta.id);
        }
        for view in self.views.values() {
            check_view(view);
            timers += self.check_timer(view.meta.id, view.timer);
        }
        assert_eq!(self.front.timers.len(), timers, "timers of what is gone");
        let here = self.streams.values().flat_map(|stream| stream.readers.iter());
        let there = self.views.values().flat_map(|view| view.readers.iter());
        for reader in here.chain(there) {
            check_reader(reader);
            let party = elsewhere.entry(reader.channel).or_default();
            party.reads += reader.reads.len();
            party.readers += 1;
            party.bytes += reader.reads.iter().map(|read| read.token.heap_bytes()).sum::<u64>();
        }
        for party in self.front.parties.iter() {
            let elsewhere = elsewhere.remove(&party.id).unwrap_or_default();
            let id = party.id;
            assert_eq!(party.account.held, party.expected(elsewhere.bytes), "the account of {id}");
            assert_eq!(party.parked_reads, elsewhere.reads, "parked reads of {id}");
            assert_eq!(party.readers, elsewhere.readers, "readers of {id}");
            let readers = party.attachments.values().filter(|a| a.reader.is_some()).count();
            assert_eq!(party.readers, readers, "attachments of {id} with a reader");
            self.check_party(party);
            parts.accounts += party.account.held;
            parts.overparked += party.overparked;
        }
        for (id, party) in elsewhere {
            assert!(party.reads == 0 && party.readers == 0, "{id} is gone and still reads");
        }
        let budget = &self.front.budget;
        assert!(budget.is_sound(&parts), "{budget:?} of {parts:?}");
    }

    /// Counts the timer of a stream or view, which must be set as it says.
    fn check_timer(&self, id: StreamId, timer: Option<Instant>) -> usize {
        let is_set = timer.is_none_or(|at| self.front.timers.contains(&(at, id)));
        assert!(is_set, "{id}: its timer is not set");
        usize::from(timer.is_some())
    }

    /// A creator here knows what ends with it.
    fn check_owner(&self, stream: &Stream) {
        let owner = stream.owner.as_ref().map(|owner| owner.channel);
        let Some(owner) = owner.filter(|owner| owner.worker == self.front.me) else { return };
        let party = self.front.parties.get(owner);
        let is_known = party.is_some_and(|party| party.owned.contains(&stream.meta.id));
        assert!(is_known || stream.is_disposed, "{}: {owner} is not its creator", stream.meta.id);
    }

    fn check_party(&self, party: &Party) {
        let id = party.id;
        for stream in &party.finished {
            let attachment = party.attachments.get(stream);
            assert!(attachment.is_some_and(|a| a.is_finished), "{id} has not finished {stream}");
        }
        for wanted in &party.subscriptions {
            let channels = self.subscribers.get(wanted);
            assert!(channels.is_some_and(|c| c.contains(&id)), "{id} will not hear of {wanted}");
        }
    }
}

/// What a party has in streams and views.
#[derive(Debug, Default)]
struct Elsewhere {
    bytes: u64,
    reads: usize,
    readers: usize,
}

fn check_stream(stream: &Stream) {
    let (id, meta) = (stream.meta.id, &stream.meta);
    let (start, end) = (stream.log.start(), stream.log.end());
    assert!(stream.log.len() <= meta.buffer_bytes, "{id} holds more than its buffer");
    assert!(stream.charged >= stream.log.len(), "{id} holds more than it is charged with");
    assert!(!stream.is_disposed || stream.is_ended, "{id} is disposed and goes on");
    assert!(!stream.is_ended || stream.ending.is_none(), "{id} ends twice");
    let kept = stream.places.holding_floor().into_iter().chain(stream.pumped_to).min();
    assert!(kept.is_none_or(|kept| kept >= start), "{id} let go of what {kept:?} holds");
    for place in stream.places.iter() {
        assert!(place.confirmed <= end, "{id}: a place is beyond the end");
        assert_eq!(place.holder.is_none(), place.away_until.is_some(), "{id}: {place:?}");
    }
    // A reader elsewhere that has caught up with what its worker has holds again, also behind the
    // oldest byte here.
    let remote = stream.views.iter().filter_map(|view| view.lowest(view.holding));
    check_parked(stream, remote.chain(kept).min());
    for reader in stream.readers.iter() {
        assert!(reader.cursor <= end, "{id}: a reader is beyond the end");
        assert!(!reader.holds() || reader.cursor >= start, "{id}: a reader lost what it holds");
    }
}

/// While something is parked, there is no room for the write whose turn it is, or it waits for
/// memory. `floor`: what is held for others than readers here.
fn check_parked(stream: &Stream, floor: Option<Offset>) {
    let Some((size, _)) = stream.parked.first() else { return };
    if stream.is_dirty || stream.starved_for.is_some() || stream.is_held {
        return;
    }
    let holding = stream.readers.iter().filter(|reader| reader.holds());
    let floor = holding.map(|reader| reader.cursor).chain(floor).min();
    let end = stream.log.end();
    let held = end.since(floor.unwrap_or(end).min(end));
    let needed = if stream.takes_whole(size) { size } else { 1 };
    let buffer = stream.meta.buffer_bytes;
    assert!(held + needed > buffer, "{}: {size} bytes wait for nothing", stream.meta.id);
}

fn check_view(view: &View) {
    let (id, end) = (view.meta.id, view.log.end());
    for reader in view.readers.iter() {
        assert!(reader.cursor <= end, "{id}: a reader is beyond what has come");
    }
}

fn check_reader(reader: &Reader) {
    let position = reader.start.plus(reader.delivered + reader.lost);
    assert_eq!(position, reader.cursor, "a reader of {}", reader.channel);
}
