//! Framing: escapes, BIN blocks, end of message, end of stream (TCF specification, "Message format").

use std::marker::PhantomData;

use crate::wire::{Arguments, Header, Limits, WireError};

/// Decodes one direction of one channel, in any split of its input: one byte at a time or a thousand
/// messages at once. Idle, it holds no memory of its own to speak of.
#[derive(Debug)]
pub struct Framer {}

/// What the framer found.
#[derive(Debug)]
pub enum Frame<'a> {
    /// One whole message, its framing removed.
    Message(Body<'a>),
    /// `ESC 2`. A message under way is discarded; the peer sends nothing more that counts.
    EndOfStream,
}

impl Framer {
    /// A framer at the start of a channel.
    pub fn new(limits: Limits) -> Framer {
        let _ = limits;
        unimplemented!()
    }

    /// Decodes the next frame and advances `input` behind it. `None`: all input is taken in, and more is
    /// needed. After an error the framer is of no further use.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Frame<'_>>, WireError> {
        let _ = input;
        unimplemented!()
    }

    /// The unfilled rest of a large BIN block under way, where there is one: the next bytes from the
    /// socket belong there and need no decoding. Report how many came with `filled`.
    pub fn direct(&mut self) -> Option<&mut [u8]> {
        unimplemented!()
    }

    /// Says that the first `count` bytes of `direct` are there now.
    pub fn filled(&mut self, count: usize) {
        let _ = count;
        unimplemented!()
    }

    /// Bytes held for a message under way.
    pub fn buffered_bytes(&self) -> usize {
        unimplemented!()
    }
}

/// One whole message: text, with large BIN blocks kept apart in their own memory.
#[derive(Debug)]
pub struct Body<'a> {
    marker: PhantomData<&'a ()>,
}

impl<'a> Body<'a> {
    /// Reads the header fields, and gives what reads the arguments behind them.
    pub fn open(self, limits: &'a Limits) -> Result<(Header<'a>, Arguments<'a>), WireError> {
        let _ = limits;
        unimplemented!()
    }
}
