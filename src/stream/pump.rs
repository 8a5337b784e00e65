//! The pump between a pair of test streams: what clients write to one comes out of the other.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use crate::id::{Offset, StreamId};
use crate::stream::log::Log;

/// Bytes between the two streams, as in the reference agent: the capacity of the pair is the
/// input's size, this, and the output's size.
pub(super) const PIPE_BYTES: u64 = 111;

/// A pump's place in its input stream, and what it has taken out of it. It moves segments, not
/// bytes.
#[derive(Debug)]
pub(super) struct Pump {
    pub(super) output: StreamId,
    pub(super) cursor: Offset,
    pipe: VecDeque<Bytes>,
    pipe_bytes: u64,
}

impl Pump {
    pub(super) fn new(output: StreamId) -> Pump {
        Pump { output, cursor: Offset::ZERO, pipe: VecDeque::new(), pipe_bytes: 0 }
    }

    /// Takes up to `space` bytes for the output from the pipe and then from the input, and fills
    /// the pipe again.
    pub(super) fn take(&mut self, input: &mut Log, space: u64) -> Vec<Bytes> {
        let mut taken = Vec::new();
        let mut space = space;
        while space > 0
            && let Some(front) = self.pipe.front_mut()
        {
            let len = space.min(front.len() as u64);
            taken.push(front.copy_to_bytes(len as usize));
            if front.is_empty() {
                self.pipe.pop_front();
            }
            self.pipe_bytes -= len;
            space -= len;
        }
        if space > 0 {
            taken.extend(self.advance(input, space));
        }
        let room = PIPE_BYTES - self.pipe_bytes;
        for piece in self.advance(input, room) {
            self.pipe_bytes += piece.len() as u64;
            self.pipe.push_back(piece);
        }
        taken
    }

    fn advance(&mut self, input: &mut Log, max: u64) -> impl Iterator<Item = Bytes> + use<> {
        let chunks = input.read_at(self.cursor, max);
        self.cursor = self.cursor.plus(chunks.len() as u64);
        chunks.into_iter()
    }

    /// Whether all of the input's bytes have gone to the output.
    pub(super) fn is_drained(&self, input: &Log) -> bool {
        self.pipe_bytes == 0 && self.cursor == input.end()
    }
}
