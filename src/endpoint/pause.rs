//! Why a channel is not read.

/// One reason not to read a channel's socket. Each has one place that begins and one that ends it,
/// and none of them ends another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Pause {
    /// The core takes no further command before it says so (`Effect::Resume`): one that was handed
    /// in needs another worker, or too many pend there.
    Core = 1,
    /// Its unsent bytes went over their bound and have not come down yet.
    Unsent = 1 << 1,
    /// It has a long message under way, for which there is no memory.
    Memory = 1 << 2,
}

/// The reasons that hold now. The channel is read again when the last has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pauses(u8);

impl Pauses {
    /// Adds a reason; false where it held before.
    pub fn insert(&mut self, reason: Pause) -> bool {
        let is_new = !self.contains(reason);
        self.0 |= reason as u8;
        is_new
    }

    /// Takes a reason away; false where it did not hold.
    pub fn remove(&mut self, reason: Pause) -> bool {
        let held = self.contains(reason);
        self.0 &= !(reason as u8);
        held
    }

    /// Whether a reason holds.
    pub fn contains(self, reason: Pause) -> bool {
        self.0 & reason as u8 != 0
    }

    /// Whether the channel may be read.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_come_and_go_without_each_other() {
        let all = [Pause::Core, Pause::Unsent, Pause::Memory];
        for first in all {
            for second in all.into_iter().filter(|second| *second != first) {
                let mut pauses = Pauses::default();
                assert!(pauses.is_empty() && !pauses.remove(first));
                assert!(pauses.insert(first) && !pauses.insert(first));
                assert!(pauses.insert(second));
                assert!(pauses.contains(first) && pauses.contains(second));
                assert!(pauses.remove(first) && !pauses.remove(first));
                assert!(!pauses.contains(first) && pauses.contains(second) && !pauses.is_empty());
                assert!(pauses.remove(second) && pauses.is_empty());
            }
        }
    }
}
