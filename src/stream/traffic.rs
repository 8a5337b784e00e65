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

/// What went through the streams of one type, and what they have now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypeTraffic {
    /// Streams there are.
    pub streams: u64,
    /// Bytes that they hold.
    pub buffered_bytes: u64,
    /// Bytes that they may hold.
    pub buffer_bytes: u64,
    /// Bytes accepted, ever.
    pub accepted_bytes: u64,
    /// To readers, ever.
    pub delivery: Delivery,
}

impl TypeTraffic {
    /// Adds another's counts.
    pub fn add(&mut self, other: &TypeTraffic) {
        self.streams += other.streams;
        self.buffered_bytes += other.buffered_bytes;
        self.buffer_bytes += other.buffer_bytes;
        self.accepted_bytes += other.accepted_bytes;
        self.delivery.add(&other.delivery);
    }
}

/// Counts by type. Which types have a name here is settled when a stream of theirs first comes, and
/// stays: a count only grows.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    named: HashMap<Arc<str>, TypeTraffic>,
    others: TypeTraffic,
}

impl Traffic {
    /// Gives the type a name here, if there is room.
    pub(super) fn name(&mut self, stream_type: &Arc<str>) {
        if self.named.len() < TYPES_MAX && !self.named.contains_key(stream_type) {
            self.named.insert(Arc::clone(stream_type), TypeTraffic::default());
        }
    }

    /// Where a type is counted.
    pub(super) fn of(&mut self, stream_type: &str) -> &mut TypeTraffic {
        self.named.get_mut(stream_type).unwrap_or(&mut self.others)
    }

    /// Those with a name.
    pub fn named(&self) -> impl Iterator<Item = (&Arc<str>, &TypeTraffic)> {
        self.named.iter()
    }

    /// The rest.
    pub fn others(&self) -> &TypeTraffic {
        &self.others
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
            traffic.name(name);
            traffic.of(name).accepted_bytes += 1;
        }
        assert_eq!(traffic.named().count(), TYPES_MAX);
        assert!(traffic.named().all(|(_, counts)| counts.accepted_bytes == 2));
        assert_eq!(traffic.others().accepted_bytes, 2);
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
