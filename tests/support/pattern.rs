//! Endless bytes that can be checked without being kept.

/// The bytes of a stream by offset: every value occurs, also runs of ESC and NUL, and no two
/// stretches of 8 bytes are alike, so that a byte lost, doubled or moved is seen.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    seed: u64,
}

impl Pattern {
    /// The pattern of a seed.
    pub fn new(seed: u64) -> Pattern {
        Pattern { seed }
    }

    fn word(self, index: u64) -> [u8; 8] {
        let mut mixed = self.seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mut bytes = (mixed ^ (mixed >> 31)).to_le_bytes();
        if index % 64 == 5 {
            bytes[2..6].copy_from_slice(&[3, 0, 3, 3]);
        }
        bytes
    }

    /// The `size` bytes from `offset` on.
    pub fn bytes(self, offset: u64, size: usize) -> Vec<u8> {
        let first = offset / 8;
        let skip = (offset % 8) as usize;
        let words = (skip + size).div_ceil(8) as u64;
        let mut out = Vec::with_capacity((words * 8) as usize);
        for index in first..first + words {
            out.extend_from_slice(&self.word(index));
        }
        out.drain(..skip);
        out.truncate(size);
        out
    }

    /// A checker that stands at `offset`.
    pub fn check_from(self, offset: u64) -> Checked {
        Checked { pattern: self, offset }
    }
}

/// Compares bytes with a pattern as they come.
#[derive(Clone, Debug)]
pub struct Checked {
    pattern: Pattern,
    offset: u64,
}

impl Checked {
    /// Where the next byte belongs.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Leaves bytes out that were told to be lost.
    pub fn skip(&mut self, bytes: u64) {
        self.offset += bytes;
    }

    /// Compares the next bytes.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let want = self.pattern.bytes(self.offset, bytes.len());
        if want != bytes {
            let at = want.iter().zip(bytes).position(|(left, right)| left != right).unwrap_or(0);
            return Err(format!("wrong byte at offset {}", self.offset + at as u64));
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }
}
