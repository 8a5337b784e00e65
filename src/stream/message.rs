//! What engines say to each other. Plain data; payload is shared, never copied.

use std::sync::Arc;

use bytes::Bytes;

use crate::access::Principal;
use crate::id::{ChannelId, Offset, StreamId, Token};
use crate::stream::home::{Owner, Told};
use crate::stream::meta::Meta;
use crate::stream::places::Host;
use crate::stream::view::ViewReport;
use crate::stream::{AttachOptions, Chunks, Placing, Refusal, StreamReport};

/// One message from one engine to another. Opaque outside the core.
#[derive(Debug)]
pub struct Message(pub(super) Body);

/// Who asks for something: a channel, with what its principal may do.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) channel: ChannelId,
    pub(super) principal: Principal,
}

/// A message's content. Requests name the channel that asks; one that waits has one request under
/// way, so the answer needs no other key.
#[derive(Debug)]
pub(super) enum Body {
    // To a stream's home.
    Attach {
        stream: StreamId,
        asker: Asker,
        options: AttachOptions,
        /// The channel reads the stream already.
        is_reader: bool,
    },
    TakePlace {
        stream: StreamId,
        asker: Asker,
        host: Host,
        options: AttachOptions,
        placing: Placing,
    },
    /// Everything before the offset has arrived for good at the channel, which has a place.
    Confirm {
        stream: StreamId,
        channel: ChannelId,
        offset: Offset,
    },
    /// The channel has left the stream, and its place with it.
    GiveUpPlace {
        stream: StreamId,
        channel: ChannelId,
    },
    Write {
        stream: StreamId,
        channel: ChannelId,
        token: Token,
        data: Bytes,
    },
    Eos {
        stream: StreamId,
        channel: ChannelId,
        token: Token,
    },
    /// Answer what the channel has parked, then say so.
    Cancel {
        stream: StreamId,
        channel: ChannelId,
    },
    /// The channel writes: it was connected by a subscription.
    Writes {
        stream: StreamId,
        channel: ChannelId,
    },
    /// The channel, which had nothing outstanding, no longer writes.
    Leave {
        stream: StreamId,
        channel: ChannelId,
    },
    /// The channel is closed: forget what it has parked; where it is the creator, the stream ends.
    ChannelClosed {
        stream: StreamId,
        channel: ChannelId,
    },
    Dispose {
        stream: StreamId,
        asker: Asker,
        only_test_streams: bool,
    },
    Adopt {
        stream: StreamId,
        asker: Asker,
        owner: Owner,
        key: Box<str>,
    },
    Report {
        stream: StreamId,
        report: ViewReport,
    },
    // To every other worker.
    List {
        asker: Asker,
        stream_type: Arc<str>,
    },
    Subscribe {
        asker: Asker,
        stream_type: Arc<str>,
    },
    /// No channel of the sender is subscribed to the type any more.
    LoseInterest {
        stream_type: Arc<str>,
    },
    // From a stream's home.
    Attached {
        channel: ChannelId,
        result: Result<Grant, Refusal>,
    },
    /// A write or an end is answered. `size` bytes are no longer outstanding.
    Replied {
        channel: ChannelId,
        stream: StreamId,
        token: Token,
        size: u64,
        result: Result<(), Refusal>,
    },
    Cancelled {
        channel: ChannelId,
    },
    DisposeDone {
        channel: ChannelId,
        result: Result<(), Refusal>,
    },
    /// The stream is disposed; the channel is attached to it without reading.
    WriterDisposed {
        channel: ChannelId,
        stream: StreamId,
    },
    /// Another channel has become the stream's creator in this one's place.
    TakenOver {
        channel: ChannelId,
        stream: StreamId,
    },
    /// Another channel has taken this one's place.
    PlaceTaken {
        channel: ChannelId,
        stream: StreamId,
    },
    Adopted {
        channel: ChannelId,
        result: Result<(Offset, Grant), Refusal>,
    },
    Created {
        grant: Grant,
    },
    Data {
        stream: StreamId,
        start: Offset,
        at: Offset,
        chunks: Chunks,
        told: Told,
    },
    // To the channel's worker.
    Listed {
        channel: ChannelId,
        streams: Vec<StreamReport>,
        /// Whether the sender has said all.
        is_last: bool,
    },
    Subscribed {
        channel: ChannelId,
        grants: Vec<Grant>,
        /// Whether the sender has said all.
        is_last: bool,
    },
}

/// The home's leave to read a stream from `position`, with the bytes that were sent to the worker
/// before the leave was given: what comes after it arrives as `Data`.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) meta: Arc<Meta>,
    /// The number of this leave among those for this worker; `None`: the channel may only write.
    pub(super) attach: Option<u32>,
    pub(super) position: Offset,
    pub(super) lost: u64,
    /// Where `sent` begins: at `position` or before it.
    pub(super) sent_from: Offset,
    pub(super) sent: Chunks,
    pub(super) told: Told,
}
