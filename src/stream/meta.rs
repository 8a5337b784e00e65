//! What a stream is, as opposed to what is in it: fixed at creation and shared by all workers.

use std::sync::Arc;
use std::time::Duration;

use crate::id::{Offset, StreamId, WorkerId};
use crate::stream::segments::Segments;
use crate::stream::{Direction, Properties, StallTimeout};
use crate::time::Instant;

/// The fixed properties of one stream.
#[derive(Debug)]
pub struct Meta {
    pub(super) id: StreamId,
    pub(super) home: WorkerId,
    pub(super) stream_type: Arc<str>,
    pub(super) context: Option<Arc<str>>,
    pub(super) name: Option<Arc<str>>,
    pub(super) direction: Direction,
    pub(super) buffer_bytes: u64,
    pub(super) history_bytes: u64,
    pub(super) stall_timeout: StallTimeout,
    pub(super) linger: Duration,
    pub(super) keep_for: Duration,
    /// The offset of its first byte.
    pub(super) origin: Offset,
    pub(super) created_at: Instant,
    /// What counts its bytes, at its home.
    pub(super) segments: Segments,
}

impl Meta {
    pub(super) fn new(
        id: StreamId,
        home: WorkerId,
        now: Instant,
        properties: &Properties,
        segments: &Segments,
    ) -> Meta {
        Meta {
            id,
            home,
            stream_type: properties.stream_type.as_str().into(),
            context: properties.context.as_deref().map(Arc::from),
            name: properties.name.as_deref().map(Arc::from),
            direction: properties.direction,
            buffer_bytes: properties.buffer_bytes,
            history_bytes: properties.history_bytes,
            stall_timeout: properties.stall_timeout,
            linger: properties.linger,
            keep_for: properties.keep_for,
            origin: properties.origin,
            created_at: now,
            segments: segments.clone(),
        }
    }

    /// Bytes of its names.
    pub(super) fn name_bytes(&self) -> u64 {
        let optional = [&self.context, &self.name];
        let names = optional.into_iter().flatten().map(|name| name.len()).sum::<usize>();
        (self.stream_type.len() + names) as u64
    }

    /// Whether a subscription to `wanted` covers the stream.
    pub(super) fn matches(&self, wanted: &str) -> bool {
        wanted == ANY_TYPE || wanted == &*self.stream_type
    }

    /// Whether a channel may read the stream: the creator of an `in` stream, everybody else on an
    /// `out` stream, anyone on a `bus`.
    pub(super) fn may_read(&self, is_owner: bool) -> bool {
        match self.direction {
            Direction::Out => !is_owner,
            Direction::In => is_owner,
            Direction::Bus => true,
        }
    }

    /// Whether a channel may write the stream.
    pub(super) fn may_write(&self, is_owner: bool) -> bool {
        match self.direction {
            Direction::Out => is_owner,
            Direction::In => !is_owner,
            Direction::Bus => true,
        }
    }
}

/// The subscription that covers every type.
pub(super) const ANY_TYPE: &str = "*";
