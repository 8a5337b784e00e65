//! What went through streams, by type.

use std::collections::HashMap;
use std::sync::Arc;

use crate::id::Door;
use crate::stream::StallTimeout;

/// Types that are counted by name on one worker, in the order in which they come. Names are the
/// peers' own: the bound keeps one that invents names from filling memory and every scrape. The
/// rest is counted together.
pub const TYPES_MAX: usize = 32;

/// How long a reader is waited for, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Never: `StallTimeout` 0.
    Viewer,
    /// So many milliseconds.
    Timed,
    /// For ever: `StallTimeout` null.
    Lossless,
}

impl Policy {
    /// All of them.
    pub const ALL: [Policy; 3] = [Policy::Viewer, Policy::Timed, Policy::Lossless];

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::Viewer => "viewer",
            Policy::Timed => "timed",
            Policy::Lossless => "lossless",
        }
    }
}

impl From<StallTimeout> for Policy {
    fn from(timeout: StallTimeout) -> Policy {
        match timeout {
            StallTimeout::After(time) if time.is_zero() => Policy::Viewer,
            StallTimeout::After(_) => Policy::Timed,
            StallTimeout::Never => Policy::Lossless,
        }
    }
}

/// What readers got and did not get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Bytes handed out, by door.
    delivered: [u64; Door::ALL.len()],
    /// Bytes lost, by policy.
    lost: [u64; Policy::ALL.len()],
}

impl Delivery {
    /// Counts what one reply brought.
    #[inline]
    pub(super) fn count(&mut self, door: Door, policy: Policy, delivered: u64, lost: u64) {
        self.delivered[door as usize] += delivered;
        self.lost[policy as usize] += lost;
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Delivery) {
        for (count, more) in self.delivered.iter_mut().zip(other.delivered) {
            *count += more;
        }
        for (count, more) in self.lost.iter_mut().zip(other.lost) {
            *count += more;
        }
    }

    /// Bytes handed out through one door.
    pub fn delivered_through(&self, door: Door) -> u64 {
        self.delivered[door as usize]
    }

    /// Bytes lost under one policy.
    pub fn lost_under(&self, policy: Policy) -> u64 {
        self.lost[policy as usize]
    }

    /// All bytes handed out.
    pub fn delivered(&self) -> u64 {
        self.delivered.iter().sum()
    }

    /// All bytes lost.
    pub fn lost(&self) -> u64 {
        self.lost.iter().sum()
    }
}

/// What went through the streams of one type, ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypeTraffic {
    /// Bytes accepted.
    pub accepted_bytes: u64,
    /// To readers.
    pub delivery: Delivery,
}

impl TypeTraffic {
    /// Adds another's counts.
    pub fn add(&mut self, other: &TypeTraffic) {
        self.accepted_bytes += other.accepted_bytes;
        self.delivery.add(&other.delivery);
    }
}

/// Where a type is counted on one engine; stays the same as long as the engine lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypeSlot(u8);

impl TypeSlot {
    /// All types that have no name of their own.
    pub const OTHERS: TypeSlot = TypeSlot(0);
    /// How many there are.
    pub const COUNT: usize = TYPES_MAX + 1;

    /// Its place in a table of [`TypeSlot::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Counts by type. Which types have a name here is settled when a stream of theirs first comes, and
/// stays: a count only grows.
#[derive(Clone, Debug)]
pub struct Traffic {
    slots: HashMap<Arc<str>, TypeSlot>,
    counts: Vec<TypeTraffic>,
}

impl Default for Traffic {
    fn default() -> Traffic {
        Traffic { slots: HashMap::new(), counts: vec![TypeTraffic::default()] }
    }
}

impl Traffic {
    /// Where the type is counted; gives it a name here, if there is room.
    pub(super) fn name(&mut self, stream_type: &Arc<str>) -> TypeSlot {
        if let Some(slot) = self.slots.get(stream_type) {
            return *slot;
        }
        if self.slots.len() == TYPES_MAX {
            return TypeSlot::OTHERS;
        }
        let slot = TypeSlot(u8::try_from(self.counts.len()).expect("TYPES_MAX is small"));
        self.slots.insert(Arc::clone(stream_type), slot);
        self.counts.push(TypeTraffic::default());
        slot
    }

    /// Counts what came in and went out since the last time, and forgets it there.
    #[inline]
    pub(super) fn count(&mut self, slot: TypeSlot, accepted: &mut u64, delivery: &mut Delivery) {
        let counts = &mut self.counts[slot.index()];
        counts.accepted_bytes += std::mem::take(accepted);
        counts.delivery.add(delivery);
        *delivery = Delivery::default();
    }

    /// Those with a name.
    pub fn named(&self) -> impl Iterator<Item = (&Arc<str>, TypeSlot, &TypeTraffic)> {
        self.slots.iter().map(|(name, slot)| (name, *slot, &self.counts[slot.index()]))
    }

    /// The rest.
    pub fn others(&self) -> &TypeTraffic {
        &self.counts[TypeSlot::OTHERS.index()]
    }

    /// All together.
    pub fn sum(&self) -> TypeTraffic {
        let mut sum = TypeTraffic::default();
        self.counts.iter().for_each(|counts| sum.add(counts));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_beyond_the_bound_are_counted_together() {
        let mut traffic = Traffic::default();
        let names: Vec<Arc<str>> = (0..=TYPES_MAX).map(|n| format!("type {n}").into()).collect();
        for name in names.iter().chain(&names) {
            let slot = traffic.name(name);
            traffic.count(slot, &mut 1, &mut Delivery::default());
        }
        assert_eq!(traffic.named().count(), TYPES_MAX);
        assert!(traffic.named().all(|(_, _, counts)| counts.accepted_bytes == 2));
        assert_eq!(traffic.others().accepted_bytes, 2);
        assert_eq!(traffic.sum().accepted_bytes, 2 * (TYPES_MAX as u64 + 1));
    }

    #[test]
    fn what_readers_got_is_kept_apart_by_door_and_policy() {
        let mut delivery = Delivery::default();
        delivery.count(Door::Tcf, Policy::Lossless, 10, 0);
        delivery.count(Door::Http, Policy::Viewer, 5, 3);
        assert_eq!((delivery.delivered(), delivery.lost()), (15, 3));
        assert_eq!(delivery.delivered_through(Door::Http), 5);
        assert_eq!(delivery.lost_under(Policy::Viewer), 3);
    }
}
