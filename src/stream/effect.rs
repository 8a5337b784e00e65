//! What the core asks the outside to do.

use std::sync::Arc;

use crate::id::{ChannelId, Offset, StreamId, Token};
use crate::stream::{Chunks, Refusal, StreamReport};

/// One thing to do for one channel. Effects are in the order in which their messages must leave.
#[derive(Debug)]
pub enum Effect {
    /// Answer a command. Each command gets exactly one.
    Reply {
        /// Who asked.
        channel: ChannelId,
        /// What ties the reply to the command.
        token: Token,
        /// The answer.
        reply: Reply,
    },
    /// Tell of a new stream (`Streams.created`).
    Created {
        /// Whom.
        channel: ChannelId,
        /// The stream's type.
        stream_type: Arc<str>,
        /// The stream.
        stream: StreamId,
        /// The context it belongs to.
        context: Option<Arc<str>>,
    },
    /// Tell of a stream's end of life (`Streams.disposed`).
    Disposed {
        /// Whom.
        channel: ChannelId,
        /// The stream's type.
        stream_type: Arc<str>,
        /// The stream.
        stream: StreamId,
    },
    /// There is no room for the events that the channel is to be told of: it is to be ended.
    Overrun {
        /// Which channel.
        channel: ChannelId,
    },
    /// The channel may hand in its next command.
    Resume {
        /// Which channel.
        channel: ChannelId,
    },
    /// Everything the channel had pending is answered, as `Engine::finish` asked: it may be closed.
    Finished {
        /// Which channel.
        channel: ChannelId,
    },
}

/// The answer to one command, by the shape of its message.
#[derive(Debug)]
pub enum Reply {
    /// An error report alone: subscribe, unsubscribe, connect, disconnect, write, eos, dispose,
    /// disposeTestStream.
    Done(Result<(), Refusal>),
    /// `Streams.read`: data, error report, lost size, end of stream.
    Read {
        /// The bytes.
        data: Chunks,
        /// Why there are none, where that is an error.
        error: Option<Refusal>,
        /// Bytes lost right before `data`.
        lost: u64,
        /// Whether the reader has now read everything of an ended stream.
        eos: bool,
    },
    /// `StreamBroker.create`: the new stream.
    Stream(Result<StreamId, Refusal>),
    /// `StreamBroker.attach`: the reader's new position, and the bytes between the offset asked for
    /// and that position that are gone.
    Attached(Result<(Offset, u64), Refusal>),
    /// `StreamBroker.adopt`: the count of bytes that the stream has accepted.
    Adopted(Result<Offset, Refusal>),
    /// `StreamBroker.list`, oldest first.
    Streams(Result<Vec<StreamReport>, Refusal>),
    /// `Diagnostics.createTestStreams`: the streams to write and to read.
    TestStreams(Result<(StreamId, StreamId), Refusal>),
}

impl Effect {
    /// The channel that the effect is for.
    pub fn channel(&self) -> ChannelId {
        match self {
            Effect::Reply { channel, .. }
            | Effect::Created { channel, .. }
            | Effect::Disposed { channel, .. }
            | Effect::Overrun { channel }
            | Effect::Resume { channel }
            | Effect::Finished { channel } => *channel,
        }
    }
}
