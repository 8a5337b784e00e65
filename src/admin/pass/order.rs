//! The order of a sorted answer. The rows themselves are asked for again, in that order: to sort
//! them takes a number and an ID of each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The largest of what was put in, up to a bound.
#[derive(Debug)]
pub(super) struct Largest<T> {
    /// The smallest first, so that it gives way.
    heap: BinaryHeap<Reverse<(u64, Reverse<u64>, T)>>,
    most: usize,
    /// Counts, so that what is equal stays in the order in which it came.
    serial: u64,
}

impl<T: Ord> Largest<T> {
    pub(super) fn new(most: Option<usize>) -> Largest<T> {
        Largest { heap: BinaryHeap::new(), most: most.unwrap_or(usize::MAX), serial: 0 }
    }

    pub(super) fn put(&mut self, key: u64, value: T) {
        self.serial += 1;
        let is_full = self.heap.len() == self.most;
        let is_small = |Reverse((least, _, _)): &Reverse<(u64, Reverse<u64>, T)>| *least >= key;
        if is_full && self.heap.peek().is_some_and(is_small) {
            return;
        }
        self.heap.push(Reverse((key, Reverse(self.serial), value)));
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }

    /// The largest first.
    pub(super) fn into_sorted(self) -> Vec<T> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse((_, _, value))| value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(keys: &[u64], most: Option<usize>) -> Vec<usize> {
        let mut largest = Largest::new(most);
        keys.iter().enumerate().for_each(|(place, key)| largest.put(*key, place));
        largest.into_sorted()
    }

    #[test]
    fn the_largest_come_first_and_equals_in_the_order_of_coming() {
        assert_eq!(sorted(&[5, 9, 5, 1, 9], None), [1, 4, 0, 2, 3]);
        assert_eq!(sorted(&[5, 9, 5, 1, 9], Some(3)), [1, 4, 0]);
        assert_eq!(sorted(&[1, 2, 3, 4], Some(1)), [3]);
        assert_eq!(sorted(&[], Some(2)), Vec::<usize>::new());
    }
}
