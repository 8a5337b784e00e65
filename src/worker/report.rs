//! Copies of one worker's numbers, in pieces: no turn is long because somebody wants to see much.

use std::time::Duration;

use crate::id::{ChannelId, StreamId, WorkerId};
use crate::stats::Histogram;
use crate::stream::{ReadersReport, ReadersWanted, StreamRow};
use crate::time::Now;
use crate::worker::event_loop::Worker;
use crate::worker::{ChannelReport, Inquiry, Poller, ShardGauges, ShardTotals, ShardWalk};

/// Rows, of streams, readers and channels, that one answer has at most: some ten microseconds of a
/// turn.
pub const ROWS_MAX: usize = 128;

/// Streams, readers and channels that are looked at for one answer that has no rows.
const GAUGED_MAX: usize = 4096;

/// What may be asked of a worker.
#[derive(Clone, Debug)]
pub enum Question {
    /// What is counted.
    Totals,
    /// What rows come to: another piece of the walk.
    Gauges(ShardWalk),
    /// Streams at home there behind this one, oldest first, with their readers there.
    Rows(Option<StreamId>),
    /// The same for these.
    RowsOf(Vec<StreamId>),
    /// Readers there of these streams.
    Readers(Vec<ReadersWanted>),
    /// Channels from this slot on.
    Channels(usize),
    /// These channels.
    ChannelsOf(Vec<ChannelId>),
}

/// What a worker says, all of one moment.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When, by the broker's clock.
    pub now: Now,
    /// To the question of the same name.
    pub body: AnswerBody,
}

/// What a worker says to each [`Question`].
#[derive(Clone, Debug)]
pub enum AnswerBody {
    /// What is counted.
    Totals(Box<WorkerTotals>),
    /// What the piece comes to, and where the walk goes on.
    Gauges(Box<ShardGauges>, Option<ShardWalk>),
    /// Streams, and whether there are more.
    Rows(Vec<StreamRow>, bool),
    /// Streams, and how many of the IDs have been looked at.
    RowsOf(Vec<StreamRow>, usize),
    /// Readers, in the order of the streams.
    Readers(Vec<ReadersReport>),
    /// Channels, and the slot where to go on.
    Channels(Vec<ChannelReport>, Option<usize>),
}

impl<P: Poller> Worker<P> {
    /// Answers a question, from where everything lies.
    pub(super) fn answer(&self, inquiry: Inquiry) {
        let (question, take) = inquiry.open();
        let engine = self.shard.engine();
        let body = match question {
            Question::Totals => AnswerBody::Totals(Box::new(self.totals())),
            Question::Gauges(walk) => {
                let (gauges, next) = self.gauges(walk);
                AnswerBody::Gauges(Box::new(gauges), next)
            }
            Question::Rows(after) => {
                let (rows, has_more) = engine.rows_after(after, ROWS_MAX);
                AnswerBody::Rows(rows, has_more)
            }
            Question::RowsOf(ids) => {
                let (rows, looked) = engine.rows_of(&ids, ROWS_MAX);
                AnswerBody::RowsOf(rows, looked)
            }
            Question::Readers(wanted) => AnswerBody::Readers(engine.readers_of(&wanted, ROWS_MAX)),
            Question::Channels(slot) => {
                let (rows, next) = self.shard.channels_from(slot, ROWS_MAX);
                AnswerBody::Channels(rows, next)
            }
            Question::ChannelsOf(ids) => AnswerBody::Channels(self.shard.channels_of(&ids), None),
        };
        take(Answer { now: self.now, body });
    }

    /// One piece of a walk, over as many kinds of rows as there is room for.
    fn gauges(&self, walk: ShardWalk) -> (ShardGauges, Option<ShardWalk>) {
        let mut sum = ShardGauges::default();
        let mut next = Some(walk);
        while sum.engine.seen < GAUGED_MAX
            && let Some(walk) = next.take()
        {
            let left = GAUGED_MAX - sum.engine.seen;
            let (gauges, behind) = self.shard.gauges(self.now.instant, walk, left);
            sum.add(&gauges);
            next = behind;
        }
        (sum, next)
    }

    /// What is counted, all of one moment.
    pub fn totals(&self) -> WorkerTotals {
        WorkerTotals {
            worker: self.id,
            now: self.now,
            lingering: self.sessions.len().saturating_sub(self.shard.channel_count()),
            shard: self.shard.totals(),
            counters: self.counters,
            busy_ratio: self.load.ratio(),
            inbox_mail: self.links.inbox.len(),
        }
    }
}

/// What one worker counts, all of one moment.
#[derive(Clone, Debug)]
pub struct WorkerTotals {
    /// Which worker.
    pub worker: WorkerId,
    /// When, by the broker's clock.
    pub now: Now,
    /// Of its channels and streams.
    pub shard: ShardTotals,
    /// What its loop has done.
    pub counters: Counters,
    /// The share of its time, 0 to 1, that it was busy in the last second or a little longer.
    pub busy_ratio: f64,
    /// Mail that waits for it.
    pub inbox_mail: usize,
    /// Connections whose channel is over and whose last bytes are on their way.
    pub lingering: usize,
}

/// What a worker's loop has done, ever. Written by one thread only; others get copies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Passes of the loop.
    pub turns: u64,
    /// Time spent on something other than waiting.
    pub busy: Duration,
    /// Nanoseconds that each of them took.
    pub turn_time: TurnTime,
    /// Time in which the worker was late, and which counts against nobody.
    pub late: Duration,
    /// Connections taken on.
    pub connections: u64,
    /// Bytes read from sockets.
    pub received_bytes: u64,
    /// Bytes written to sockets.
    pub sent_bytes: u64,
    /// Connections that broke (reset, keep-alive without answer).
    pub broken: u64,
}

/// How long turns take, in nanoseconds; the first bound is about a microsecond.
#[derive(Clone, Copy, Debug)]
pub struct TurnTime(pub Histogram);

impl Default for TurnTime {
    fn default() -> TurnTime {
        TurnTime(Histogram::new(10))
    }
}
