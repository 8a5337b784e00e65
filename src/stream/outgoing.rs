//! What one engine has to say to another.

use std::collections::VecDeque;

use crate::id::StreamId;
use crate::stream::message::Body;

/// Messages for one other worker. Questions and answers queue in order, bounded by the commands
/// that channels may have pending; bytes and reports do not queue: the streams and views that have
/// some are listed, and what they have is gathered when there is room for a message.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) queue: VecDeque<Body>,
    /// Streams at home here with something new for that worker's view.
    pub(super) streams: VecDeque<StreamId>,
    /// Views here with something new for their home, that worker.
    pub(super) views: VecDeque<StreamId>,
    /// Channels that take no further command until the queue is shorter.
    pub(super) paused: Vec<crate::id::ChannelId>,
}
