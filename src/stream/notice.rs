//! What an operator should hear of. The core writes no log: it hands these out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{ChannelId, StreamId};
use crate::stream::{Introduction, StallTimeout};

/// Notices that wait to be taken. More are counted: who floods the log learns nothing more by it.
const NOTICES_MAX: usize = 64;

/// Something that happened to one reader.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The stream.
    pub stream: StreamId,
    /// Its type.
    pub stream_type: Arc<str>,
    /// The reader's channel.
    pub channel: ChannelId,
    /// Its peer.
    pub peer: Arc<str>,
    /// What that says of itself.
    pub introduction: Option<Arc<Introduction>>,
    /// How long the full stream waits for it.
    pub stall_timeout: StallTimeout,
    /// What happened.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It took nothing for its stall timeout while the stream was full: it holds the buffer no
    /// longer.
    Stalled {
        /// Bytes that wait for it.
        lag: u64,
        /// For how long it had taken nothing.
        silent_for: Duration,
    },
    /// It took nothing of a disposed stream for its stall timeout: it is no longer attached.
    LetGo {
        /// Bytes that it has not got.
        lost: u64,
        /// For how long it had taken nothing.
        silent_for: Duration,
    },
    /// It has been told that bytes are lost.
    Lost {
        /// How many.
        bytes: u64,
    },
}

/// Notices to take, in order.
#[derive(Debug, Default)]
pub(super) struct Notices {
    waiting: VecDeque<Notice>,
    missed: u64,
}

impl Notices {
    pub(super) fn push(&mut self, notice: Notice) {
        if self.waiting.len() < NOTICES_MAX {
            self.waiting.push_back(notice);
        } else {
            self.missed += 1;
        }
    }

    pub(super) fn pop(&mut self) -> Option<Notice> {
        self.waiting.pop_front()
    }

    /// How many found no room since this was asked last.
    pub(super) fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }
}
