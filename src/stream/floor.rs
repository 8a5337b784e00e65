//! The lowest of many cursors, without looking at all of them each time one moves.

use crate::id::Offset;

/// The lowest of a set of offsets. Valid floors are exact; one that lost its last holder is found
/// again on demand, so a round in which every reader moves costs one search.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Floor {
    at: Offset,
    holders: usize,
    members: usize,
}

impl Floor {
    /// One more offset.
    pub(super) fn add(&mut self, offset: Offset) {
        let is_known = self.holders > 0;
        if self.members == 0 || (is_known && offset < self.at) {
            self.at = offset;
            self.holders = 1;
        } else if is_known && offset == self.at {
            self.holders += 1;
        }
        self.members += 1;
    }

    /// One offset fewer.
    pub(super) fn remove(&mut self, offset: Offset) {
        self.members -= 1;
        if self.holders > 0 && offset == self.at {
            self.holders -= 1;
        }
    }

    /// One offset moves on.
    pub(super) fn advance(&mut self, from: Offset, to: Offset) {
        debug_assert!(from <= to);
        if from != to && self.holders > 0 && from == self.at {
            self.holders -= 1;
        }
    }

    /// The lowest offset, or `None` of an empty set. `all` lists the set.
    pub(super) fn lowest(&mut self, all: impl Iterator<Item = Offset>) -> Option<Offset> {
        if self.members == 0 {
            return None;
        }
        if self.holders == 0 {
            self.at = Offset(u64::MAX);
            for offset in all {
                if offset < self.at {
                    self.at = offset;
                    self.holders = 0;
                }
                self.holders += usize::from(offset == self.at);
            }
        }
        Some(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_is_the_minimum_whatever_moves() {
        let mut floor = Floor::default();
        let mut model: Vec<Offset> = Vec::new();
        let mut seed = 1u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let pick = (seed >> 33) as usize;
            match pick % 4 {
                0 if model.len() < 20 => {
                    let offset = Offset((seed >> 40) % 50);
                    floor.add(offset);
                    model.push(offset);
                }
                1 if !model.is_empty() => {
                    let offset = model.swap_remove(pick % model.len());
                    floor.remove(offset);
                }
                2 if !model.is_empty() => {
                    let index = pick % model.len();
                    let to = model[index].plus((seed >> 50) % 5);
                    floor.advance(model[index], to);
                    model[index] = to;
                }
                _ => {
                    let lowest = floor.lowest(model.iter().copied());
                    assert_eq!(lowest, model.iter().min().copied());
                }
            }
        }
    }
}
