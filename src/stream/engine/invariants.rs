//! What always holds in an engine between two calls, in one place.

use rustc_hash::FxHashMap;

use crate::id::ChannelId;
use crate::stream::budget::Parts;
use crate::stream::engine::Engine;
use crate::stream::home::{Payer, Stream};
use crate::stream::readers::Reader;

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
        for stream in self.streams.values() {
            check_stream(stream);
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
            parts.accounts += party.account.held;
            parts.overparked += party.overparked;
        }
        for (id, party) in elsewhere {
            assert!(party.reads == 0 && party.readers == 0, "{id} is gone and still reads");
        }
        let budget = &self.front.budget;
        assert!(budget.is_sound(&parts), "{budget:?} of {parts:?}");
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
    for reader in stream.readers.iter() {
        assert!(reader.cursor <= end, "{id}: a reader is beyond the end");
        assert!(!reader.holds() || reader.cursor >= start, "{id}: a reader lost what it holds");
    }
}

fn check_reader(reader: &Reader) {
    let position = reader.start.plus(reader.delivered + reader.lost);
    assert_eq!(position, reader.cursor, "a reader of {}", reader.channel);
}
