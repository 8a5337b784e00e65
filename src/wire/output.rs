//! What waits to be sent on one channel.

use std::io::IoSlice;

use bytes::Bytes;

/// A queue of bytes to send. Small ones are gathered by copying, large ones are kept as they are, so
/// that one `writev` takes many messages and no large payload is copied. Empty, it holds no memory.
#[derive(Debug, Default)]
pub struct Output {}

impl Output {
    /// Appends a copy of a few bytes.
    pub fn put_slice(&mut self, slice: &[u8]) {
        let _ = slice;
        unimplemented!()
    }

    /// Appends shared bytes; copies them where they are too few to be worth a piece of their own.
    pub fn put_shared(&mut self, bytes: Bytes) {
        let _ = bytes;
        unimplemented!()
    }

    /// Unsent bytes.
    pub fn len(&self) -> usize {
        unimplemented!()
    }

    /// Whether everything is sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `slices` from the front of the queue and says how many were filled.
    pub fn fill_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let _ = slices;
        unimplemented!()
    }

    /// Drops the first `count` bytes, which are sent.
    pub fn advance(&mut self, count: usize) {
        let _ = count;
        unimplemented!()
    }

    /// Everything that waits, as one copy (for tests and blocking clients).
    pub fn to_vec(&self) -> Vec<u8> {
        unimplemented!()
    }
}
