//! The streams at home on one engine: by ID, and in order of age.

use std::collections::BTreeSet;
use std::ops::Bound;

use rustc_hash::FxHashMap;

use crate::id::StreamId;
use crate::stream::home::Stream;

/// The streams with their home here.
///
/// IDs of one engine grow with time, so that their order is that of age, and a walk over them can
/// be broken off and go on later.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Boxed, as views are: the table is up to half empty.
    by_id: FxHashMap<StreamId, Box<Stream>>,
    by_age: BTreeSet<StreamId>,
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn contains_key(&self, id: &StreamId) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn get(&self, id: &StreamId) -> Option<&Stream> {
        self.by_id.get(id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: &StreamId) -> Option<&mut Stream> {
        self.by_id.get_mut(id).map(Box::as_mut)
    }

    pub(super) fn insert(&mut self, stream: Box<Stream>) {
        self.by_age.insert(stream.meta.id);
        self.by_id.insert(stream.meta.id, stream);
    }

    pub(super) fn remove(&mut self, id: &StreamId) -> Option<Box<Stream>> {
        self.by_age.remove(id);
        self.by_id.remove(id)
    }

    /// All of them, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &Stream> {
        self.by_id.values().map(Box::as_ref)
    }

    /// The IDs behind `last`, oldest first; all where there is none.
    pub(super) fn after(&self, last: Option<StreamId>) -> impl Iterator<Item = StreamId> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_age.range((from, Bound::Unbounded)).copied()
    }
}
