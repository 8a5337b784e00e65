//! What a channel may ask of the core.

use bytes::Bytes;

use crate::id::{Offset, StreamId};
use crate::stream::{AttachOptions, Introduction, Placing, Properties};

/// A command of one channel, its arguments already read and of the right type.
#[derive(Debug)]
pub enum Command<'a> {
    /// Note interest in a type of streams; `"*"` is every type. Answered with
    /// [`Reply::Done`](crate::stream::Reply).
    Subscribe(&'a str),
    /// Forget that interest.
    Unsubscribe(&'a str),
    /// Attach from the oldest byte kept; success where already attached.
    Connect(StreamId),
    /// Attach at a chosen position, or move there.
    Attach(StreamId, AttachOptions),
    /// Attach with a place, or take it up again.
    TakePlace(StreamId, AttachOptions, Placing),
    /// Say that everything before an offset has arrived for good: the channel's place holds the
    /// buffer from there.
    Confirm(StreamId, Offset),
    /// Say who is at the other end.
    Introduce(Introduction),
    /// Leave a stream.
    Disconnect(StreamId),
    /// Take up to `size` bytes, or wait for some. `u64::MAX` means "no limit".
    Read {
        /// Which stream.
        stream: StreamId,
        /// The most bytes that the reply may carry.
        size: u64,
    },
    /// Append bytes; the size has been checked against the data.
    Write {
        /// Which stream.
        stream: StreamId,
        /// The bytes.
        data: Payload<'a>,
    },
    /// End the stream behind what was accepted or parked before.
    Eos(StreamId),
    /// Make a stream. Answered with [`Reply::Stream`](crate::stream::Reply).
    Create(Box<Properties>),
    /// End a stream and let it go once it is drained.
    Dispose(StreamId),
    /// Describe the streams of a type, or of all (`None`), oldest first.
    List(Option<&'a str>),
    /// Become the creator of a keyed stream.
    Adopt {
        /// Which stream.
        stream: StreamId,
        /// The secret that `create` was given.
        key: &'a str,
    },
    /// Make a pair of test streams: what is written to the first comes out of the second.
    CreateTestStreams {
        /// Byte capacity of the stream that clients write, at least 1.
        input_bytes: u64,
        /// Byte capacity of the stream that clients read, at least 1.
        output_bytes: u64,
    },
    /// Dispose one of a pair of test streams.
    DisposeTestStream(StreamId),
}

/// The bytes of a write: borrowed from the receive buffer where they are few, owned where they
/// already lie where they will stay.
#[derive(Debug)]
pub enum Payload<'a> {
    /// To be copied into the stream.
    Borrowed(&'a [u8]),
    /// To become a segment as they are.
    Owned(Bytes),
}

impl Payload<'_> {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Payload::Borrowed(slice) => slice,
            Payload::Owned(bytes) => bytes,
        }
    }

    /// The count of bytes.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether a channel may go on with its next command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// Go on.
    Continue,
    /// Hand in nothing more of this channel until [`Effect::Resume`](crate::stream::Effect): either
    /// this command needs another worker and what follows must not overtake it, or the channel has
    /// filled one of its bounds.
    Wait,
}
