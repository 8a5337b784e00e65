//! Counts of values by size, for one writer.

/// How many buckets there are, the last one without a bound.
pub const BUCKETS: usize = 12;

/// Counts of values by size: bucket `i` has values up to its bound that are above the bound before.
/// Each bound is four times the one before. Adding a value costs a few instructions and no lock;
/// whoever wants to look gets a copy.
#[derive(Clone, Copy, Debug)]
pub struct Histogram {
    /// The first bound is 2 to this power.
    shift: u32,
    buckets: [u64; BUCKETS],
    sum: u64,
}

impl Histogram {
    /// An empty one whose first bound is 2 to the power of `shift`.
    pub const fn new(shift: u32) -> Histogram {
        Histogram { shift, buckets: [0; BUCKETS], sum: 0 }
    }

    /// Counts one value.
    #[inline]
    pub fn record(&mut self, value: u64) {
        let bits = u64::BITS - value.saturating_sub(1).leading_zeros();
        let bucket = bits.saturating_sub(self.shift).div_ceil(2);
        self.buckets[(bucket as usize).min(BUCKETS - 1)] += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// Adds what another one of the same bounds has counted.
    pub fn merge(&mut self, other: &Histogram) {
        debug_assert_eq!(self.shift, other.shift, "histograms of one kind");
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Each bucket's bound and count; the last has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let bound = |index: usize| 1u64 << (self.shift + 2 * index as u32);
        self.buckets
            .iter()
            .enumerate()
            .map(move |(index, count)| ((index + 1 < BUCKETS).then(|| bound(index)), *count))
    }

    /// The sum of all values.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_between_the_bounds_of_its_bucket() {
        for shift in [0, 8, 10, 20] {
            let bounds: Vec<Option<u64>> =
                Histogram::new(shift).buckets().map(|(bound, _)| bound).collect();
            assert_eq!((bounds[0], bounds[BUCKETS - 1]), (Some(1 << shift), None));
            let near = bounds.iter().flatten().flat_map(|&bound| [bound - 1, bound, bound + 1]);
            for value in near.chain([0, 1, u64::MAX]) {
                let mut histogram = Histogram::new(shift);
                histogram.record(value);
                let bucket = histogram.buckets().position(|(_, count)| count == 1).unwrap();
                assert!(bounds[bucket].is_none_or(|bound| value <= bound), "{value} in {bucket}");
                assert!(bucket == 0 || bounds[bucket - 1].unwrap() < value, "{value} in {bucket}");
            }
        }
    }

    #[test]
    fn counts_add_up() {
        let (mut one, mut other) = (Histogram::new(8), Histogram::new(8));
        one.record(1);
        one.record(1000);
        other.record(1000);
        one.merge(&other);
        assert_eq!((one.count(), one.sum()), (3, 2001));
    }
}
