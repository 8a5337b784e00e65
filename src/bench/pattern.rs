//! The bytes that are written, and the check that they came.

use crate::bench::BenchError;

/// How thoroughly readers look at what they get. All of it is counted in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// The ends of each piece received.
    #[default]
    Sampled,
    /// Every byte.
    Full,
}

/// Bytes at each end of a piece that a sample looks at.
const SAMPLE_BYTES: usize = 8;

/// Each stream's byte is a function of its offset. It repeats after `period` bytes, so that what is
/// to be sent can be encoded once.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The period, twice: every run of up to `period` bytes lies in one piece.
    doubled: Vec<u8>,
    period: usize,
    check: Check,
}

impl Pattern {
    /// A pattern of this period, at least 1.
    pub fn new(period: usize, check: Check) -> Pattern {
        let mut doubled = Vec::with_capacity(period * 2 + 8);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        while doubled.len() < period {
            // xorshift64*: every byte value comes, the framing's escape too.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            doubled.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        }
        doubled.truncate(period);
        doubled.extend_from_within(..);
        Pattern { doubled, period, check }
    }

    /// The stream's bytes from `offset` on, one period of them.
    pub fn at(&self, stream: usize, offset: u64) -> &[u8] {
        // Streams are shifted against each other, so that one taken for another shows.
        let shift = stream as u64 * 8191;
        let start = ((offset + shift) % self.period as u64) as usize;
        &self.doubled[start..start + self.period]
    }

    /// Compares what a reader got at `offset`.
    ///
    /// # Errors
    /// [`BenchError::Wrong`].
    pub fn verify(&self, stream: usize, offset: u64, piece: &[u8]) -> Result<(), BenchError> {
        let is_right = match self.check {
            Check::Full => self.is_at(stream, offset, piece),
            Check::Sampled if piece.len() <= 2 * SAMPLE_BYTES => self.is_at(stream, offset, piece),
            Check::Sampled => {
                let behind = piece.len() - SAMPLE_BYTES;
                self.is_at(stream, offset, &piece[..SAMPLE_BYTES])
                    && self.is_at(stream, offset + behind as u64, &piece[behind..])
            }
        };
        if is_right { Ok(()) } else { Err(BenchError::Wrong { stream, offset }) }
    }

    /// Whether every byte is looked at.
    pub fn check(&self) -> Check {
        self.check
    }

    fn is_at(&self, stream: usize, offset: u64, piece: &[u8]) -> bool {
        piece.chunks(self.period).enumerate().all(|(index, chunk)| {
            let from = offset + (index * self.period) as u64;
            self.at(stream, from)[..chunk.len()] == *chunk
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_of_a_stream_is_recognised() {
        let pattern = Pattern::new(1000, Check::Full);
        let data: Vec<u8> = pattern.at(3, 0).iter().copied().cycle().take(5000).collect();
        assert!(data.contains(&3));
        for (from, to) in [(0, 5000), (0, 1), (999, 1001), (17, 4000), (2000, 3000)] {
            pattern.verify(3, from as u64, &data[from..to]).unwrap();
            assert!(pattern.verify(4, from as u64, &data[from..to]).is_err() || to - from < 4);
        }
        let mut broken = data[..3000].to_vec();
        broken[1500] ^= 1;
        assert!(pattern.verify(3, 0, &broken).is_err());
        assert!(Pattern::new(1000, Check::Sampled).verify(3, 0, &broken).is_ok());
        broken[2999] ^= 1;
        assert!(Pattern::new(1000, Check::Sampled).verify(3, 0, &broken).is_err());
    }
}
